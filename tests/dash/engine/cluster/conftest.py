"""A hub's gate, and nodes that dial it over real TLS on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from chapiteau.core.clock import ManualClock
from chapiteau.dash.engine.bus import Bus
from chapiteau.dash.engine.cluster.agent import Agent
from chapiteau.dash.engine.cluster.ca import Authority
from chapiteau.dash.engine.cluster.gate import Gate
from chapiteau.dash.engine.cluster.ledger import Ledger
from chapiteau.dash.engine.cluster.membership import Membership, join
from chapiteau.dash.engine.cluster.registry import Registry
from chapiteau.dash.engine.fleet import Fleet
from chapiteau.dash.logic.tokens import JoinToken, base32
from chapiteau.dash.testing import MemoryNode, process, service
from chapiteau.plumbing.clock import SystemClock


class ShiftedClock(SystemClock):
    """The real clock, moved by `ahead` seconds."""

    ahead = 0.0

    def wall(self) -> float:
        return super().wall() + self.ahead


class Ring:
    """A hub on a free port."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = ShiftedClock()
        self.bus = Bus()
        self.fleet = Fleet(self.bus, clock=self.clock, chance=Random(1), history=0)
        self.registry = Registry(folder / "hub.sqlite3")
        self.authority = Authority(folder / "hub", self.clock)
        self.gate = self._gate()
        self.port = 0

    def _gate(self) -> Gate:
        return Gate(self.fleet, self.registry, self.authority, self.clock)

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
    async def agent(self, membership: Membership, node: Any) -> AsyncIterator[Agent]:
        ledger = Ledger(membership.folder / "commands.sqlite3", self.clock)
        agent = Agent(membership, node, ledger, clock=self.clock, chance=Random(3))
        task = asyncio.create_task(agent.run())
        try:
            yield agent
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            ledger.close()


@pytest.fixture
async def ring(tmp_path: Path) -> AsyncIterator[Ring]:
    ring = Ring(tmp_path)
    await ring.open()
    yield ring
    await ring.gate.close()
    await ring.fleet.close()
    ring.registry.close()


@pytest.fixture
def memory() -> MemoryNode:
    node = MemoryNode(name="far", clock=ManualClock(), period=0.05)
    node.services = [service("web", [process(1, 801), process(2, 802)])]
    return node
