"""A hub's gate on loopback, and a node in memory that may join it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chapiteau.core.clock import ManualClock
from chapiteau.dash.testing import MemoryNode, process, service
from tests.dash.nodes.ring import Ring


@pytest.fixture
async def ring(tmp_path: Path) -> AsyncIterator[Ring]:
    ring = Ring(tmp_path)
    await ring.open()
    yield ring
    await ring.close()


@pytest.fixture
def memory() -> MemoryNode:
    node = MemoryNode(name="far", clock=ManualClock(), period=0.05)
    node.services = [service("web", [process(1, 801), process(2, 802)])]
    return node
