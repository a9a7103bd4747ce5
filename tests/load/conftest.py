"""Both twins of the load engine are held to one contract."""

from __future__ import annotations

import pytest

from chapiteau.io.compiled import LOAD_ENGINE, build_state
from chapiteau.load.engine.backend import ENGINE_VARIABLE, PLAIN, EngineBackend, compiled_backend


@pytest.fixture(params=["plain", "compiled"])
def twin(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> EngineBackend:
    """The test runs with each twin."""
    backend = PLAIN if request.param == "plain" else compiled_backend()
    if backend is None and build_state(LOAD_ENGINE) == "stale":
        pytest.skip("the compiled load engine is stale: `uv sync` rebuilds it")
    if backend is None:
        pytest.skip("the compiled load engine was not built: no C compiler, or no Python headers")
    monkeypatch.setenv(ENGINE_VARIABLE, request.param)
    return backend
