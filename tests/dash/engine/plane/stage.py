"""One hub, one node, and a line between them that can be cut: the same on both backends."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Protocol

from chapiteau.dash.engine.cluster.remote import RemoteNode
from chapiteau.dash.engine.plane.port import Plane
from chapiteau.dash.testing import MemoryNode
from tests.dash.engine.ring import Proxy, Ring
from tests.support import wait_for_async

__all__ = ["EmbeddedStage", "Stage"]


class Stage(Protocol):
    """What the contract's tests may do."""

    plane: Plane
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
        self.plane = Plane(states=ring.states, leases=ring.leases, courier=self._node)

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
        await wait_for_async(lambda: self._node("far").is_linked, deadline=15)


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
