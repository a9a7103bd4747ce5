"""Load tests: how much does a service carry within its objective, and where does it break?

from chapiteau.load import scenario

@scenario
async def browse(session):
    answer = await session.get("/cities?country=FR")
    session.check(len(answer.json()) > 0, "has cities")
"""

import importlib
import warnings
from typing import TYPE_CHECKING, Any, Final

from chapiteau.load.errors import ExchangeError, ScenarioError
from chapiteau.load.scenario.suite import rates, scenario, setup, teardown

if TYPE_CHECKING:
    from chapiteau.load.engine.client import Options
    from chapiteau.load.engine.response import Response
    from chapiteau.load.engine.session import Session
    from chapiteau.load.scenario import auth
    from chapiteau.load.scenario.feeder import Feeder, feeder
    from chapiteau.load.workers.user_pool import RunContext

__all__ = [
    "ExchangeError",
    "Feeder",
    "Options",
    "Response",
    "RunContext",
    "ScenarioError",
    "Session",
    "auth",
    "feeder",
    "rates",
    "scenario",
    "setup",
    "teardown",
]

# The engine brings asyncio and ssl: who only lists results or asks for help must not pay for it.
_ENGINE: Final = {
    "Feeder": "chapiteau.load.scenario.feeder",
    "feeder": "chapiteau.load.scenario.feeder",
    "auth": "chapiteau.load.scenario.auth",
    "Options": "chapiteau.load.engine.client",
    "Response": "chapiteau.load.engine.response",
    "Session": "chapiteau.load.engine.session",
    "RunContext": "chapiteau.load.workers.user_pool",
}


def __getattr__(name: str) -> Any:
    if name == "Stage":
        warnings.warn("Stage is called RunContext now", DeprecationWarning, stacklevel=2)
        name = "RunContext"
    if name not in _ENGINE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(_ENGINE[name])
    return module if name == "auth" else getattr(module, name)
