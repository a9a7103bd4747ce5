"""Bad lines, bad clocks, bad papers, bad peers: F50–F58 of the failure catalogue, on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from random import Random
from typing import Any

import msgspec
import pytest

from chapiteau.core.errors import ChapiteauError
from chapiteau.dash.errors import NodeAwayError
from chapiteau.dash.fleet.watch import clock_shift
from chapiteau.dash.nodes import link
from chapiteau.dash.nodes.agent import _RETRY, _SPREAD
from chapiteau.dash.nodes.contract import DesiredServices
from chapiteau.dash.nodes.embedded import SqliteDesiredState, SqliteLeases
from chapiteau.dash.nodes.membership import Membership
from chapiteau.dash.nodes.node_state import DesiredStateApplier
from chapiteau.dash.nodes.request_handler import NodeRequestHandler
from chapiteau.dash.nodes.stats_backlog import StatsReplay
from tests.dash.nodes.ring import Proxy, ShiftedClock
from tests.support import wait_for_async

DAY = 86_400.0


# ── the line ──


async def test_statistics_of_a_cut_come_afterwards(ring: Any, memory: Any) -> None:
    async with Proxy(ring.port) as proxy:
        papers = await ring.join("far", port=proxy.port)
        async with ring.agent(papers, memory) as agent:
            node = ring.fleet.watch("far").node
            await wait_for_async(lambda: node.is_linked)
            seen = [await anext(node.stats()) for _ in range(1)]
            proxy.closed = True
            proxy.cut()
            measured = agent.handler._replay._backlog
            await wait_for_async(lambda: measured.newest >= seen[0]["number"] + 6)
            proxy.closed = False
            await wait_for_async(lambda: node.is_linked)
            async for message in node.stats(seen[-1]["number"]):
                seen.append(message)
                if len(seen) == 6:
                    break
    numbers = [message["number"] for message in seen]
    assert numbers == list(range(numbers[0], numbers[0] + 6))


async def test_the_oldest_statistics_go_first_and_are_counted(memory: Any) -> None:
    memory.period = 0.001
    replay = StatsReplay(memory, Random(1), most=5)
    first = await anext(replay.stats(-1))
    await wait_for_async(lambda: replay._backlog.newest > first["number"] + 20)
    after = await anext(replay.stats(first["number"]))
    assert after["number"] - first["number"] - 1 == after["dropped"] >= 15
    assert replay.dropped == after["dropped"]
    assert after["ids"] == ["web/1", "web/2"]
    await replay.close()


async def test_a_supervisor_that_is_away_is_told_and_found_again(memory: Any) -> None:
    replay = StatsReplay(memory, Random(1))
    memory.away = True
    with pytest.raises(NodeAwayError):
        await anext(replay.stats(-1))
    memory.away = False

    async def again() -> Any:
        try:
            return await anext(replay.stats(-1))
        except NodeAwayError:
            return None

    assert await wait_for_async(again)
    await replay.close()


async def test_recorded_bytes_that_are_sent_again_do_nothing(ring: Any, memory: Any) -> None:
    """Somebody on the way keeps all that a node and the hub say, and repeats it."""
    heard: list[bytes] = []

    class Recorder(Proxy):
        async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            plain = sink.write

            def write(data: bytes) -> None:
                heard.append(data)
                plain(data)

            sink.write = write  # type: ignore[method-assign, assignment]
            await super()._pump(source, sink)

    async with Recorder(ring.port) as proxy:
        papers = await ring.join("far", port=proxy.port)
        async with ring.agent(papers, memory):
            node = ring.fleet.watch("far").node
            await wait_for_async(lambda: node.is_linked)
            await node.command("restart", "web", {}, "ana")
    assert b"restart" not in b"".join(heard)
    await wait_for_async(lambda: not node.is_linked)
    reader, writer = await asyncio.open_connection("127.0.0.1", ring.port)
    writer.write(b"".join(heard))
    await asyncio.wait_for(reader.read(), 60)
    writer.close()
    assert not node.is_linked
    assert len(memory.commands) == 1


def test_a_hundred_nodes_do_not_come_back_in_one_moment() -> None:
    chance = Random(7)
    first = sorted(chance.uniform(0, _SPREAD) + _RETRY.delay(1, chance) for _ in range(100))
    assert max(sum(t <= at < t + 0.1 for at in first) for t in first) <= 25
    # … and while the hub is away, not in steps either.
    later = sorted(_RETRY.delay(8, chance) for _ in range(100))
    assert later[-1] - later[0] > 5


# ── peers that misbehave ──


async def ended(reader: asyncio.StreamReader) -> None:
    """Wait until the hub has hung up."""
    with contextlib.suppress(OSError):
        while await asyncio.wait_for(reader.read(1 << 16), 60):
            pass


async def talk(ring: Any, papers: Membership) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", ring.port, ssl=papers.context(), server_hostname="hub.chapiteau"
    )
    writer.write(json.dumps({"call": "hello", "id": 1, "args": {"name": papers.name}}).encode())
    writer.write(b"\n")
    await reader.readline()
    return reader, writer


async def test_a_message_of_ten_megabytes_ends_the_connection_and_nothing_else(
    ring: Any, memory: Any
) -> None:
    good, bad = await ring.join("good"), await ring.join("bad")
    async with ring.agent(good, memory) as agent:
        await wait_for_async(agent.connected.is_set)
        reader, writer = await talk(ring, bad)
        with contextlib.suppress(OSError):  # it may hang up while we still write
            for _ in range(40):
                writer.write(b"x" * (256 << 10))
                await writer.drain()
        await ended(reader)
        writer.transport.abort()
        assert (await ring.fleet.watch("good").node.status())["node"] == "far"


async def test_a_node_that_never_reads_costs_no_memory_and_is_given_up(
    ring: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chapiteau.dash.nodes.link.BEAT", 0.05)
    papers = await ring.join("deaf")
    reader, writer = await talk(ring, papers)
    reader._transport.pause_reading()  # type: ignore[attr-defined]
    node = ring.fleet.watch("deaf").node
    with pytest.raises(NodeAwayError):
        await node.status()
    await wait_for_async(lambda: not node.is_linked)
    writer.transport.abort()


async def test_nonsense_from_a_member_ends_its_connection(ring: Any) -> None:
    papers = await ring.join("mad")
    for line in (b"{}\x00\n", b"[1]\n", b'{"call": 1}\n', b'{"re": []}\n', b"\xff\xfe\n"):
        reader, writer = await talk(ring, papers)
        writer.write(line)
        writer.write(b'{"call":"hello","id":2,"args":{"name":"other"}}\n')
        found = await asyncio.wait_for(reader.read(), 60) if line[:2] != b"{}" else b""
        assert b'"ok"' not in found
        writer.transport.abort()


# ── clocks and papers ──


@pytest.mark.parametrize("ahead", [540.0, -540.0])
async def test_a_clock_that_is_nine_minutes_wrong_is_told_and_tolerated(
    ring: Any, memory: Any, ahead: float
) -> None:
    wrong = ShiftedClock()
    wrong.ahead = ahead
    memory.clock = wrong
    papers = await ring.join("far")
    async with ring.agent(papers, memory, wrong) as agent:
        await wait_for_async(agent.connected.is_set)
        watch = ring.fleet.watch("far")
        await wait_for_async(lambda: watch.skew and watch.status and not watch.away_since)
        assert watch.skew == pytest.approx(ahead, abs=2)
        assert (await watch.node.command("reload", "web", {}, "ana")).ok is True
        (told,) = [t for t in ring.fleet.view(watch)["problems"] if "clock" in t["what"]]
        assert ("ahead of" if ahead > 0 else "behind") in told["what"]


@pytest.mark.parametrize("ahead", [600.0, -600.0])
async def test_what_a_wrong_clock_dates_stands_on_the_hubs(
    ring: Any, memory: Any, ahead: float
) -> None:
    wrong = ShiftedClock()
    wrong.ahead = ahead
    memory.clock = wrong
    memory.happen("process.started", service="web")
    papers = await ring.join("far")
    async with ring.agent(papers, memory, wrong):
        watch = ring.fleet.watch("far")
        watch.watched(True)
        await wait_for_async(lambda: watch.events and watch.stats)
        now = ring.clock.wall()
        assert watch.events[0]["time"] == pytest.approx(now, abs=60)
        assert watch.stats["time"] == pytest.approx(now, abs=60)
        assert list(watch.recent(60))


def test_a_clock_is_corrected_when_it_was_set_and_not_for_jitter() -> None:
    assert clock_shift(0.0, 0.9) == 0.0
    assert clock_shift(0.0, 600.2) == 600.2
    assert clock_shift(600.2, 600.4) == 600.2
    assert clock_shift(600.2, 0.01) == 0.0


def test_a_cut_that_nobody_tells_of_is_noticed_within_five_seconds() -> None:
    assert (link.MISSED + 1) * link.BEAT <= 5


async def test_a_hub_that_starts_anew_knows_when_a_node_was_seen_last(ring: Any) -> None:
    await ring.join("far")
    ring.registry.saw_all(["far"], 1_000.0)
    await ring.reopen()
    watch = ring.fleet.watch("far")
    await wait_for_async(lambda: watch.away_since)
    assert ring.fleet.view(watch)["seen"] == 1_000.0


async def test_an_expired_certificate_is_refused_and_the_node_says_why(
    ring: Any, memory: Any
) -> None:
    ring.clock.ahead = -31 * DAY
    papers = await ring.join("far")
    ring.clock.ahead = 0.0
    async with ring.agent(papers, memory) as agent:
        await wait_for_async(lambda: "certificate expired" in agent.problem)
        assert not agent.connected.is_set()
    assert not ring.fleet.watch("far").node.is_linked


async def test_a_certificate_of_another_hub_opens_nothing(ring: Any, tmp_path: Any) -> None:
    from chapiteau.dash.nodes.certificates import CertificateAuthority, make_signing_request

    other = CertificateAuthority(tmp_path / "other", ring.clock)
    other.ensure()
    key, request = make_signing_request("far")
    (tmp_path / "false.pem").write_text(other.sign(request, "far").pem + key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=ring.authority.ca_pem)
    context.load_cert_chain(tmp_path / "false.pem")
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", ring.port, ssl=context, server_hostname="hub.chapiteau"
    )
    writer.write(b'{"call":"hello","id":1,"args":{"name":"far"}}\n')
    answer = b""
    with contextlib.suppress(OSError):  # cut off, with or without an alert before
        answer = await asyncio.wait_for(reader.readline(), 60)
    assert answer == b""
    writer.transport.abort()


async def test_old_tls_is_refused(ring: Any) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises((ssl.SSLError, OSError)):
        await asyncio.open_connection("127.0.0.1", ring.port, ssl=context)


# ── two hubs, and a restored one ──


async def test_a_restored_hub_looks_and_does_not_act_until_it_takes_over(
    ring: Any, memory: Any
) -> None:
    """The hub's file comes from an old copy: nodes have obeyed a later lease, and know more."""
    papers = await ring.join("far")
    wish = DesiredServices(node="far", services={"web": {"processes": 2}}, who="ana")
    async with ring.agent(papers, memory) as agent:
        await wait_for_async(agent.connected.is_set)
        agent.handler.commands.log.raise_fence(40)
        await agent.handler.desired.apply(
            DesiredServices(node="far", generation=90, services=wish.services)
        )
        await ring.reopen()
        watch = ring.fleet.watch("far")
        await wait_for_async(lambda: watch.status and not watch.away_since)
        with pytest.raises(ChapiteauError, match="another hub is the leader"):
            await watch.node.command("restart", "web", {}, "ana")
        await wait_for_async(lambda: "lease 40" in watch.overruled)
        fence = ring.leadership.fence
        assert ring.leases.take_over("hub") == fence + 1000
        await ring.leadership._turn()
        await ring.leadership._turn()
        assert ring.leadership.leads
        assert ring.leadership.fence == fence + 1001
        assert (await watch.node.command("restart", "web", {}, "ana")).ok is True
        # What the node has kept comes back to the hub, under a later generation.
        await wait_for_async(lambda: watch.generation > 90)
        assert (await ring.states.get("far")).services == wish.services


@pytest.mark.parametrize("fence", [10**12, 2**63 - 1, 2**80, -1, 1.5, "7", None])
async def test_a_node_that_tells_an_impossible_lease_is_refused_alone(
    ring: Any, memory: Any, fence: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One compromised node must not take the hub's hands off all the others."""
    honest, liar = await ring.join("far"), await ring.join("liar")
    async with ring.agent(honest, memory) as agent, ring.agent(liar, memory) as lying:
        await wait_for_async(lambda: agent.connected.is_set() and lying.connected.is_set())
    true = NodeRequestHandler.introduction
    async with ring.agent(liar, memory) as lying:
        told = msgspec.structs.replace(true(lying.handler), fence=fence)
        monkeypatch.setattr(lying.handler, "introduction", lambda: told)
        await wait_for_async(lambda: "no hub ever had" in lying.problem)
        async with ring.agent(honest, memory) as agent:
            await wait_for_async(agent.connected.is_set)
            watch = ring.fleet.watch("far")
            await wait_for_async(lambda: watch.status and not watch.away_since)
            assert ring.leadership.leads
            assert (await watch.node.command("restart", "web", {}, "ana")).ok is True
        problems = ring.fleet.problems(ring.fleet.watch("liar"))
        (problem,) = [p for p in problems if p.kind == "refused"]
        assert "liar says" in problem.cause
    before = ring.leadership.fence
    assert ring.leases.take_over("hub") == before + 1000


async def test_what_one_node_says_of_a_later_hub_concerns_it_alone(ring: Any, memory: Any) -> None:
    one, other = await ring.join("far"), await ring.join("near")
    async with ring.agent(one, memory) as first, ring.agent(other, memory) as second:
        first.handler.raise_fence(500)
        await wait_for_async(lambda: first.connected.is_set() and second.connected.is_set())
        near, far = ring.fleet.watch("near"), ring.fleet.watch("far")
        await wait_for_async(lambda: near.status and not near.away_since)
        await wait_for_async(lambda: "lease 500" in far.overruled)
        assert (await near.node.command("restart", "web", {}, "ana")).ok is True
        assert near.overruled == ""


async def test_a_node_keeps_its_copy_and_refuses_an_older_one(tmp_path: Any, memory: Any) -> None:
    follower = DesiredStateApplier(memory, tmp_path / "wanted.json")
    await follower.apply(
        DesiredServices(node="far", generation=5, services={"web": {"processes": 4}})
    )
    assert memory.commands[-1][2]["processes"] == 4
    again = DesiredStateApplier(memory, tmp_path / "wanted.json")
    assert again.applied == follower.applied
    await again.apply(DesiredServices(node="far", generation=4, services={"web": {"processes": 1}}))
    assert "not applied" in again.refused
    assert again.applied.generation == 5
    assert len(memory.commands) == 1
    await again.reapply()  # the same supervisor: nothing to do
    assert len(memory.commands) == 1
    (tmp_path / "wanted.json").write_text("{half")
    assert "not readable" in DesiredStateApplier(memory, tmp_path / "wanted.json").refused


async def test_two_hubs_on_one_file_take_turns(tmp_path: Any) -> None:
    one = SqliteLeases(tmp_path / "hub.sqlite3", ShiftedClock())
    later = ShiftedClock()
    two = SqliteLeases(tmp_path / "hub.sqlite3", later)
    lease = await one.take("hub", "h1", 15)
    with pytest.raises(ChapiteauError, match="h1 has the lease"):
        await two.take("hub", "h2", 15)
    later.ahead = 16
    taken = await two.take("hub", "h2", 15)
    assert taken.fence > lease.fence
    with pytest.raises(ChapiteauError, match="went to another"):
        await one.keep(lease)
    states = SqliteDesiredState(tmp_path / "hub.sqlite3")
    assert states.every() == []
    for part in (one, two, states):
        part.close()
