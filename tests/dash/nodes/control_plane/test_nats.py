"""What is true of the NATS backend alone: who is refused, and that nothing is lost by a kill."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import pytest

from chapiteau.core.errors import ChapiteauError, UsageError
from chapiteau.core.problems import InvalidInputError
from chapiteau.dash.nodes.contract import DesiredServices
from chapiteau.dash.nodes.membership import NatsMembership, leave, read_membership
from chapiteau.dash.nodes.nats.connection import NatsAddress, connect, join_nats
from chapiteau.dash.nodes.nats.line import NatsLine
from chapiteau.dash.nodes.nats.stores import NatsDesiredState, NatsLeases
from chapiteau.io.clock import SystemClock
from tests.dash.nodes.control_plane.stage import NatsServer, nats_server, nats_stage
from tests.support import free_port, wait_for_async

pytestmark = pytest.mark.slow


async def refused(place: NatsAddress) -> str:
    with pytest.raises(ChapiteauError) as told:
        await connect(place, keeps=True, name="hub")
    return str(told.value)


async def test_a_server_that_acknowledges_before_it_writes_is_refused(tmp_path: Path) -> None:
    lazy = f'jetstream {{ store_dir: "{tmp_path}" }}'
    with nats_server(tmp_path, jetstream=lazy) as server:
        assert "acknowledges first and writes to disk every 120 s" in await refused(
            server.place("a")
        )
        place = server.place("a")
        blind = NatsAddress(url=place.url, prefix="a")
        assert "does not show whether it writes" in await refused(blind)


async def test_a_server_that_keeps_nothing_is_refused(tmp_path: Path) -> None:
    with nats_server(tmp_path, jetstream="# none") as server:
        assert "JetStream is off" in await refused(server.place("a"))


async def test_a_stream_in_memory_is_refused(nats: NatsServer) -> None:
    from nats.js import api

    wire = await connect(nats.place("mem"), keeps=False, name="t")
    await wire.js.add_stream(
        api.StreamConfig(
            name="MEM_EVENTS", subjects=["mem.event.*"], storage=api.StorageType.MEMORY
        )
    )
    assert "keeps MEM_EVENTS in memory" in await refused(nats.place("mem"))
    await wire.js.delete_stream("MEM_EVENTS")
    await wire.close()


async def test_nobody_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chapiteau.dash.nodes.nats.connection._SOON", 0.3)
    said = await refused(NatsAddress(url=f"nats://127.0.0.1:{free_port()}", monitor="http://x"))
    assert "can't be reached" in said


async def test_beyond_this_machine_without_tls_is_refused() -> None:
    said = await refused(NatsAddress(url="nats://192.0.2.1:4222"))
    assert "there is no TLS" in said


async def test_a_killed_server_loses_nothing_it_acknowledged(tmp_path: Path, memory: Any) -> None:
    """States, a lease and events, over kill -9 of the server; the hub and the node go on."""
    with nats_server(tmp_path) as server:
        async with nats_stage(tmp_path, memory, server) as stage:
            stage.was_cut = True
            made = await stage.plane.states.put(
                DesiredServices(node="n1", services={"web": {"processes": 3}}), expect=0
            )
            lease = await stage.plane.leases.take("turn", "h1", 30)
            seen: list[int] = []
            after = 0

            async def listen() -> None:
                nonlocal after
                while True:
                    with contextlib.suppress(ChapiteauError):
                        async for event in stage.plane.channel("far").events(after):
                            after = event["seq"]
                            seen.append(after)
                    await asyncio.sleep(0.05)

            listening = asyncio.create_task(listen())
            for number in range(1, 41):
                memory.happen("process.ready", service="web", process=number)
                if number == 20:
                    await wait_for_async(lambda: len(seen) >= 10)
                    server.kill()
                if number == 30:
                    await asyncio.to_thread(server.start)
            await wait_for_async(lambda: len(seen) >= 40)
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
            assert seen == list(range(1, 41))
            assert await stage.plane.states.get("n1") == made
            await stage.plane.leases.keep(lease)
            await stage.linked()
            await asyncio.sleep(0)


async def test_two_hubs_look_and_one_leads(tmp_path: Path, memory: Any, nats: NatsServer) -> None:
    from random import Random

    from chapiteau.dash.fleet.bus import Bus
    from chapiteau.dash.fleet.fleet import Fleet
    from chapiteau.dash.nodes.nats.hub import NatsRuntime

    async with nats_stage(tmp_path, memory, nats) as stage:
        clock = SystemClock()
        fleet = Fleet(Bus(), clock=clock, chance=Random(1), history=0)
        place = nats.place(stage.cluster._wire.names.prefix)
        second = NatsRuntime(place, fleet, holder="second", clock=clock, chance=Random(2))
        await second.open()
        try:
            assert stage.cluster.leadership.leads
            assert not second.leadership.leads
            assert "stage has the lease" in second.leadership.why

            async def sees() -> bool:
                with contextlib.suppress(ChapiteauError, KeyError):
                    return bool(await second.node("far").status())
                return False

            await wait_for_async(sees)
            await stage.cluster.node("far").command("reload", "web", {}, "ana")
            with pytest.raises(ChapiteauError, match="another hub is the leader"):
                await second.node("far").command("stop", "web", {}, "bo")
            assert len(memory.commands) == 1
            # The first one goes: the second leads from its next turn on.
            await stage.cluster.leadership.close()
            await second.leadership._turn()
            assert second.leadership.leads
            assert (await second.node("far").command("stop", "web", {}, "bo")).ok is True
        finally:
            await second.close()
            await fleet.close()


async def test_a_hole_in_a_line_ends_it(nats: NatsServer) -> None:
    wire = await connect(nats.place("hole"), keeps=False, name="t")
    line = NatsLine(wire, "n1", "s1", ours="up", theirs="down")
    other = NatsLine(wire, "n1", "s1", ours="down", theirs="up")
    await line.open()
    await other.open()
    other.write(b"one ")
    other.write(b"two")
    await other.drain()
    assert await asyncio.wait_for(line.reader.readexactly(7), 60) == b"one two"
    other._sent += 1  # a piece that never arrived
    other.write(b"three")
    await other.drain()
    assert await asyncio.wait_for(line.reader.read(), 60) == b""
    line.write(b"x")
    with pytest.raises(ConnectionResetError):
        await line.drain()
    assert await asyncio.wait_for(other.reader.read(), 60) == b""  # the other side is told
    await asyncio.sleep(0)
    await wire.close()


async def test_a_large_answer_comes_in_pieces(nats: NatsServer) -> None:
    wire = await connect(nats.place("large"), keeps=False, name="t")
    line = NatsLine(wire, "n1", "s2", ours="up", theirs="down")
    other = NatsLine(wire, "n1", "s2", ours="down", theirs="up")
    await line.open()
    await other.open()
    other.write(bytes(3 << 20))
    await other.drain()
    assert len(await asyncio.wait_for(line.reader.readexactly(3 << 20), 60)) == 3 << 20
    line.abort()
    await wire.close()


async def test_joining_keeps_papers_and_needs_a_hub_first(tmp_path: Path, nats: NatsServer) -> None:
    with pytest.raises(ChapiteauError, match="no hub has set up"):
        await join_nats(tmp_path / "node", nats.place("empty"), "n1")
    wire = await connect(nats.place("full"), keeps=True, name="hub")
    await join_nats(tmp_path / "node", nats.place("full"), "n1")
    found = read_membership(tmp_path / "node")
    assert isinstance(found, NatsMembership)
    assert (found.name, found.prefix) == ("n1", "full")
    assert (tmp_path / "node" / "hub.json").stat().st_mode & 0o777 == 0o600
    leave(tmp_path / "node")
    assert not (tmp_path / "node" / "hub.json").exists()
    states, leases = NatsDesiredState(wire), NatsLeases(wire, SystemClock())
    await wire.close()
    for call in (states.get("n1"), leases.take("x", "h", 1)):
        with pytest.raises(ChapiteauError, match="does not answer"):
            await call


def test_refusals_end_with_exit_code_2() -> None:
    assert issubclass(InvalidInputError, UsageError)
