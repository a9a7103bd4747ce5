"""TLS and certificates on both sides: everybody may do their part, and no more."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from chapiteau.core.errors import ChapiteauError
from chapiteau.dash.fleet.bus import Bus
from chapiteau.dash.fleet.fleet import Fleet
from chapiteau.dash.nodes.contract import DesiredServices
from chapiteau.dash.nodes.nats.agent import NatsAgent
from chapiteau.dash.nodes.nats.connection import NatsAddress, connect
from chapiteau.dash.nodes.nats.hub import NatsRuntime
from chapiteau.dash.nodes.node_state import CommandLog
from chapiteau.io.clock import SystemClock
from tests.dash.nodes.control_plane.guarded import PREFIX, Guarded, Papers
from tests.dash.nodes.control_plane.stage import find_server
from tests.dash.nodes.ring import reception
from tests.support import wait_for_async

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not find_server(), reason="needs nats-server")]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Guarded]:
    server = Guarded(tmp_path, ("far", "web.1"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
async def cluster(server: Guarded) -> AsyncIterator[NatsRuntime]:
    clock = SystemClock()
    fleet = Fleet(Bus(), clock=clock, chance=Random(1), history=0)
    place = server.place_of("hub")
    cluster = NatsRuntime(place, fleet, holder="h", clock=clock, chance=Random(2))
    await cluster.open()
    yield cluster
    await cluster.close()
    await fleet.close()
    gc.collect()  # nats-py leaves writers of refused connections to the collector
    await asyncio.sleep(0)


async def test_hub_and_node_do_their_part_with_the_rights_that_are_printed(
    server: Guarded, cluster: NatsRuntime, memory: Any, tmp_path: Path
) -> None:
    clock = SystemClock()
    ledger = CommandLog(tmp_path / "commands.sqlite3", clock)
    membership = server.membership(PREFIX, server.port)
    side = reception(memory, ledger, tmp_path, clock)
    agent = NatsAgent(membership, side, clock=clock, chance=Random(3))
    task = asyncio.create_task(agent.run())

    async def answers() -> bool:
        try:
            return bool(await cluster.node("far").status())
        except (ChapiteauError, KeyError):
            return False

    await wait_for_async(answers)
    node = cluster.node("far")
    assert (await node.command("reload", "web", {}, "ana")).ok is True
    assert (await anext(node.events(0)))["kind"] == "command.done"
    wanted = DesiredServices(node="far", services={"web": {"processes": 5}})
    made = await cluster.states.put(wanted, expect=0)
    await wait_for_async(lambda: side.generation == made.generation)
    memory.say("web", 1, "hello")
    assert (await anext(node.logs({"service": "web"})))["text"] == "hello"
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    ledger.close()


async def test_a_node_may_not_speak_hear_or_write_for_others(
    server: Guarded, cluster: NatsRuntime
) -> None:
    refused: list[str] = []

    async def told(exc: Exception) -> None:
        refused.append(str(exc).lower())

    wire = await connect(server.place_of("web.1"), keeps=False, name="web.1", node="web.1")
    wire.nc._error_cb = told
    names = wire.names
    forbidden = (
        names.subject("event", "far"),
        names.subject("here", "far"),
        names.subject("order", "far"),
        names.subject("dial", "far"),
        names.answer("far", "x"),
        names.line("far", "x", "up"),
        names.line("web.1", "x", "down"),
        f"$KV.{names.bucket('WANTED')}.far",
        f"$KV.{names.bucket('WANTED')}.web_1",
        f"$KV.{names.bucket('LEASES')}.hub",
        f"$KV.{names.bucket('NODES')}.far",
        f"$JS.API.STREAM.DELETE.{names.events}",
        f"$JS.API.STREAM.PURGE.{names.orders}",
        f"$JS.API.STREAM.MSG.GET.{names.orders}",
        f"$JS.API.CONSUMER.CREATE.{names.orders}.node-far.{names.subject('order', 'far')}",
        f"$JS.API.CONSUMER.MSG.NEXT.{names.orders}.node-far",
        f"$JS.API.CONSUMER.CREATE.{names.orders}",
        f"$JS.ACK.{names.orders}.node-far.1.1.1.1.0",
    )
    for subject in forbidden:
        await wire.nc.publish(subject, b"{}")
    hearing = (
        names.subject("order", "far"),
        names.subject("event", "far"),
        names.line("far", "*", "up"),
        names.line("*", "*", "down"),
        names.inbox("far", ">"),
        names.inbox("", ">"),
        f"{PREFIX}.>",
        "_INBOX.>",
        ">",
    )
    for subject in hearing:
        await wire.nc.subscribe(subject)
    await wire.nc.flush()
    await wait_for_async(lambda: len(refused) >= len(forbidden) + len(hearing))
    for subject in (*forbidden, *hearing):
        assert any(f'"{subject.lower()}"' in said for said in refused), subject
    await wire.close()


async def test_without_a_certificate_or_with_a_strangers_nobody_comes_in(
    server: Guarded, cluster: NatsRuntime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chapiteau.dash.nodes.nats.connection._SOON", 2.0)
    good = server.place_of("hub")
    (tmp_path / "other").mkdir()
    strange = Papers(tmp_path / "other").make("hub")
    unknown = server.certificates.make("nobody")
    for cert, key in ((None, None), strange, unknown):
        place = NatsAddress(url=good.url, ca=good.ca, cert=cert, key=key, prefix=PREFIX)
        with pytest.raises(ChapiteauError, match="can't be reached"):
            await connect(place, keeps=False, name="x")
    wrong = NatsAddress(url=good.url, ca=strange[0], cert=good.cert, key=good.key, prefix=PREFIX)
    with pytest.raises(ChapiteauError, match="can't be reached"):
        await connect(wrong, keeps=False, name="x")


async def test_papers_that_can_not_be_used_are_named(tmp_path: Path) -> None:
    papers = Papers(tmp_path)
    cert, _ = papers.make("a")
    _, other = papers.make("b")
    for place, said in (
        (NatsAddress(url="tls://127.0.0.1:4222", cert=cert, key=other), "can't be used"),
        (NatsAddress(url="tls://127.0.0.1:4222", cert=cert), "belong together"),
        (NatsAddress(url="tls://127.0.0.1:4222", ca=tmp_path / "none"), "none"),
        (NatsAddress(url="tls://127.0.0.1:4222", creds=tmp_path / "no.creds"), "no.creds"),
    ):
        with pytest.raises(ChapiteauError, match=said):
            await connect(place, keeps=False, name="x")
