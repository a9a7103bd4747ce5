"""Load tests: how much does a service carry within its objective, and where does it break?

from chapiteau.load import scenario

@scenario
async def browse(session):
    answer = await session.get("/cities?country=FR")
    session.check(len(answer.json()["items"]) > 0, "has cities")
"""

from chapiteau.load.engine.crowd import Stage
from chapiteau.load.engine.http.client import Options
from chapiteau.load.engine.http.response import Response
from chapiteau.load.engine.session import Session
from chapiteau.load.errors import ExchangeError, ScenarioError
from chapiteau.load.logic.scenario import scenario, setup, teardown

__all__ = [
    "ExchangeError",
    "Options",
    "Response",
    "ScenarioError",
    "Session",
    "Stage",
    "scenario",
    "setup",
    "teardown",
]
