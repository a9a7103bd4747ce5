"""The contract runs on each backend that can be had here."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from chapiteau.dash.testing import MemoryNode
from tests.dash.engine.plane.stage import NatsServer, Stage, embedded, nats_server, nats_stage


@pytest.fixture(scope="session")
def nats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    with nats_server(tmp_path_factory.mktemp("nats")) as server:
        yield server


@pytest.fixture(params=["embedded", pytest.param("nats", marks=pytest.mark.slow)])
async def stage(
    tmp_path: Path, memory: MemoryNode, request: pytest.FixtureRequest
) -> AsyncIterator[Stage]:
    if request.param == "embedded":
        async with embedded(tmp_path, memory) as stage:
            yield stage
    else:
        server = request.getfixturevalue("nats")
        async with nats_stage(tmp_path, memory, server) as stage:
            yield stage
