"""Where scenarios come from: a Python file, a URL, or a document that a Flow was made from."""

import asyncio
from pathlib import Path
from typing import Any

from chapiteau.core.errors import NotFoundError
from chapiteau.load.engine.compat import play_of_foreign
from chapiteau.load.engine.compat.faces import imported
from chapiteau.load.engine.hot.response import Response
from chapiteau.load.engine.session import Session
from chapiteau.load.logic.scenario import Play, Scenario, collect
from chapiteau.load.logic.template import Answer, Flow, Seen

__all__ = ["play_of_file", "play_of_flow", "play_of_url"]


def play_of_file(path: Path, options: dict[str, Any] | None = None) -> Play:
    """Import a scenario file: ours, or one of Molotov, Loads or Locust.

    Raises NotFoundError, ScenarioError (with what went wrong).
    """
    if not path.is_file():
        raise NotFoundError(f"{path}: no such scenario file")
    foreign = play_of_foreign(path, options or {})
    return foreign or collect(vars(imported(path)), str(path))


def play_of_url(url: str) -> Play:
    """One scenario that gets one URL."""

    async def get(session: Session) -> None:
        await session.get(url)

    return Play((Scenario("get", get),))


def play_of_flow(flow: Flow) -> Play:
    """One scenario that sends what the flow writes."""
    memory: dict[str, Any] = {}

    async def walk(session: Session) -> None:
        seen = Seen(memory=memory)
        while (request := flow.next(session.random, seen)) is not None:
            if request.think:
                await asyncio.sleep(request.think)
            options: dict[str, Any] = {"headers": dict(request.headers)}
            if request.body:
                options["data"] = request.body
            if request.name:
                options["name"] = request.name
            if request.expect:
                options["expect"] = request.expect
            if request.tags:
                options["tags"] = request.tags
            response = await session.request(request.method, request.url, **options)
            seen.last = _answer(response, remember=request.remember)
            if seen.last.json is not None and response.status < 400:
                memory[request.name] = seen.last.json
            seen.steps += 1

    return Play((Scenario(flow.name, walk),))


def _answer(response: Response, *, remember: bool) -> Answer:
    if not remember:
        return Answer(status=response.status)
    try:
        value = response.json()
    except ValueError:
        value = None
    return Answer(status=response.status, json=value, headers=dict(response.headers))
