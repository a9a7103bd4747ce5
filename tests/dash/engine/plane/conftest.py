"""The contract runs on each backend that can be had here."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chapiteau.dash.testing import MemoryNode
from tests.dash.engine.plane.stage import Stage, embedded


@pytest.fixture
async def stage(tmp_path: Path, memory: MemoryNode) -> AsyncIterator[Stage]:
    async with embedded(tmp_path, memory) as stage:
        yield stage
