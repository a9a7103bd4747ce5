"""A hub's gate, and nodes that dial it over real TLS on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random
from typing import Any, Self

from chapiteau.dash.engine.bus import Bus
from chapiteau.dash.engine.cluster.agent import Agent
from chapiteau.dash.engine.cluster.ca import Authority
from chapiteau.dash.engine.cluster.gate import Gate
from chapiteau.dash.engine.cluster.membership import Membership, join
from chapiteau.dash.engine.cluster.reception import Reception
from chapiteau.dash.engine.cluster.registry import Registry
from chapiteau.dash.engine.cluster.replay import Replay
from chapiteau.dash.engine.cluster.term import Term
from chapiteau.dash.engine.fleet import Fleet
from chapiteau.dash.engine.plane.embedded import SqliteLeases, SqliteStates
from chapiteau.dash.engine.plane.follower import Follower
from chapiteau.dash.engine.plane.intake import Intake
from chapiteau.dash.engine.plane.ledger import Ledger
from chapiteau.dash.logic.tokens import JoinToken, base32
from chapiteau.plumbing.clock import SystemClock


class ShiftedClock(SystemClock):
    """The real clock, moved by `ahead` seconds."""

    ahead = 0.0

    def wall(self) -> float:
        return super().wall() + self.ahead


def reception(node: Any, ledger: Ledger, folder: Path, clock: Any) -> Reception:
    """A node's side, put together as the agent's process does."""
    return Reception(
        Intake(node, ledger), Follower(node, folder / "wanted.json"), Replay(node, Random(4)), clock
    )


class Ring:
    """A hub on a free port."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = ShiftedClock()
        self.bus = Bus()
        self.fleet = Fleet(self.bus, clock=self.clock, chance=Random(1), history=0)
        self.registry = Registry(folder / "hub.sqlite3")
        self.states = SqliteStates(folder / "hub.sqlite3")
        self.leases = SqliteLeases(folder / "hub.sqlite3", self.clock)
        self.authority = Authority(folder / "hub", self.clock)
        self.gate = self._gate()
        self.port = 0

    def _gate(self) -> Gate:
        self.term = Term(self.leases, "ring")
        return Gate(
            self.fleet,
            self.registry,
            self.authority,
            self.clock,
            states=self.states,
            term=self.term,
        )

    async def open(self, port: int = 0) -> None:
        await self.gate.open("127.0.0.1", port)
        self.port = self.gate.port

    async def reopen(self) -> None:
        """The hub goes, and comes back on the same port."""
        await self.gate.close()
        await self.fleet.close()
        self.fleet = Fleet(self.bus, clock=self.clock, chance=Random(2), history=0)
        self.gate = self._gate()
        await self.open(self.port)

    async def close(self) -> None:
        await self.gate.close()
        await self.fleet.close()
        for part in (self.registry, self.states, self.leases):
            part.close()

    def token(self, seconds: float = 3600.0) -> JoinToken:
        made = JoinToken(
            ca=self.authority.hash(),
            id=base32(secrets.token_bytes(5)),
            secret=base32(secrets.token_bytes(16)),
        )
        self.registry.add_token(made, self.clock.wall() + seconds)
        return made

    async def join(self, name: str, port: int = 0, token: JoinToken | None = None) -> Membership:
        place = ("127.0.0.1", port or self.port)
        return await join(self.folder / name, place, token or self.token(), name)

    @contextlib.asynccontextmanager
    async def agent(
        self, membership: Membership, node: Any, clock: SystemClock | None = None
    ) -> AsyncIterator[Agent]:
        clock = clock or self.clock
        ledger = Ledger(membership.folder / "commands.sqlite3", clock)
        agent = Agent(
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
