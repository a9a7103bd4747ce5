"""Both twins of the load engine are held to one contract."""

from __future__ import annotations

import pytest

from chapiteau.load.engine.hot.kit import PLAIN, VARIABLE, Kit, compiled


@pytest.fixture(params=["plain", "compiled"])
def twin(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Kit:
    """The test runs with each twin."""
    kit = PLAIN if request.param == "plain" else compiled()
    if kit is None:
        pytest.skip("the compiled load engine was not built: no C compiler, or no Python headers")
    monkeypatch.setenv(VARIABLE, request.param)
    return kit
