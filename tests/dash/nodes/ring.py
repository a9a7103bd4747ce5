"""A hub's listener, and nodes that dial it over real TLS on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random
from typing import Any, Self

from chapiteau.dash.auth.audit_trail import AuditTrail
from chapiteau.dash.fleet.bus import Bus
from chapiteau.dash.fleet.fleet import Fleet
from chapiteau.dash.nodes.agent import NodeAgent
from chapiteau.dash.nodes.certificates import CertificateAuthority
from chapiteau.dash.nodes.embedded import SqliteDesiredState, SqliteLeases
from chapiteau.dash.nodes.leadership import Leadership
from chapiteau.dash.nodes.listener import NodeListener
from chapiteau.dash.nodes.membership import Membership, join
from chapiteau.dash.nodes.node_state import CommandLog, CommandReceiver, DesiredStateApplier
from chapiteau.dash.nodes.registry import JoinToken, Registry, base32
from chapiteau.dash.nodes.request_handler import NodeRequestHandler
from chapiteau.dash.nodes.stats_backlog import StatsReplay
from chapiteau.dash.store import Store
from chapiteau.io.clock import SystemClock


class ShiftedClock(SystemClock):
    """The real clock, moved by `ahead` seconds."""

    ahead = 0.0

    def wall(self) -> float:
        return super().wall() + self.ahead


def reception(node: Any, ledger: CommandLog, folder: Path, clock: Any) -> NodeRequestHandler:
    """A node's side, put together as the agent's process does."""
    return NodeRequestHandler(
        CommandReceiver(node, ledger),
        DesiredStateApplier(node, folder / "wanted.json"),
        StatsReplay(node, Random(4)),
        clock,
    )


class Ring:
    """A hub on a free port."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = ShiftedClock()
        self.bus = Bus()
        self.fleet = Fleet(self.bus, clock=self.clock, chance=Random(1), history=0)
        self.registry = Registry(folder / "hub.sqlite3")
        self.states = SqliteDesiredState(folder / "hub.sqlite3")
        self.store = Store(folder / "hub.sqlite3")
        self.leases = SqliteLeases(folder / "hub.sqlite3", self.clock)
        self.authority = CertificateAuthority(folder / "hub", self.clock)
        self.listener = self._gate()
        self.port = 0

    def _gate(self) -> NodeListener:
        self.leadership = Leadership(self.leases, "ring")
        return NodeListener(
            self.fleet,
            self.registry,
            self.authority,
            self.clock,
            states=self.states,
            leadership=self.leadership,
            trail=AuditTrail(self.store, self.clock),
        )

    async def open(self, port: int = 0) -> None:
        await self.listener.open("127.0.0.1", port)
        self.port = self.listener.port

    async def reopen(self) -> None:
        """The hub goes, and comes back on the same port."""
        await self.listener.close()
        await self.fleet.close()
        self.fleet = Fleet(self.bus, clock=self.clock, chance=Random(2), history=0)
        self.listener = self._gate()
        await self.open(self.port)

    async def close(self) -> None:
        await self.listener.close()
        await self.fleet.close()
        for part in (self.registry, self.states, self.leases, self.store):
            part.close()

    @property
    def audited(self) -> list[tuple[str, str, str, str]]:
        """The audit trail, newest first: by whom, what, on what, with which result."""
        trail = self.store.audit_trail()
        return [(e["who"], e["verb"], e["target"], e["result"]) for e in trail]

    def token(self, seconds: float = 3600.0, replaces: str = "") -> JoinToken:
        made = JoinToken(
            ca=self.authority.hash(),
            id=base32(secrets.token_bytes(5)),
            secret=base32(secrets.token_bytes(16)),
        )
        self.registry.add_token(made, self.clock.wall() + seconds, replaces)
        return made

    async def join(self, name: str, port: int = 0, token: JoinToken | None = None) -> Membership:
        place = ("127.0.0.1", port or self.port)
        return await join(self.folder / name, place, token or self.token(), name)

    @contextlib.asynccontextmanager
    async def agent(
        self, membership: Membership, node: Any, clock: SystemClock | None = None
    ) -> AsyncIterator[NodeAgent]:
        clock = clock or self.clock
        ledger = CommandLog(membership.folder / "commands.sqlite3", clock)
        agent = NodeAgent(
            membership,
            reception(node, ledger, membership.folder, clock),
            clock=clock,
            chance=Random(3),
        )
        task = asyncio.create_task(agent.run())
        try:
            yield agent
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            ledger.close()


class Proxy:
    """A line between node and hub that can be cut, silenced and restored."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._pairs: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.silent = False
        self.closed = False
        self.port = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.cut()
        await asyncio.sleep(0)

    def cut(self) -> None:
        for writer in self._pairs:
            writer.transport.abort()
        self._pairs.clear()
        for task in self._tasks:
            task.cancel()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.closed:
            writer.transport.abort()
            return
        there, back = await asyncio.open_connection("127.0.0.1", self._target)
        self._pairs |= {writer, back}
        tasks = [
            asyncio.create_task(self._pump(*ends)) for ends in ((reader, back), (there, writer))
        ]
        self._tasks |= set(tasks)
        await asyncio.wait(tasks)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                while self.silent:
                    await asyncio.sleep(0.02)
                sink.write(data)
                await sink.drain()
        sink.close()
