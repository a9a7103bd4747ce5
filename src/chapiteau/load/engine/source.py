"""Where scenarios come from: a Python file, a URL, or a document that a Flow was made from."""

import asyncio
import importlib.util
import sys
from pathlib import Path
from typing import Any

from chapiteau.core.errors import NotFoundError
from chapiteau.load.engine.http.response import Response
from chapiteau.load.engine.session import Session
from chapiteau.load.errors import ScenarioError
from chapiteau.load.logic.scenario import Play, Scenario, collect
from chapiteau.load.logic.template import Answer, Flow, Seen

__all__ = ["play_of_file", "play_of_flow", "play_of_url"]


def play_of_file(path: Path) -> Play:
    """Import a scenario file. Raises NotFoundError, ScenarioError (with what went wrong)."""
    if not path.is_file():
        raise NotFoundError(f"{path}: no such scenario file")
    sys.path.insert(0, str(path.parent.resolve()))
    name = f"chapiteau_scenario_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ScenarioError(f"{path}: not a Python file", hint="scenario files end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as exc:
        line = _line_in(exc, path)
        raise ScenarioError(
            f"{path}{line}: can't be imported: {type(exc).__name__}: {exc}"
        ) from exc
    return collect(vars(module), str(path))


def _line_in(exc: BaseException, path: Path) -> str:
    if isinstance(exc, SyntaxError):
        return f":{exc.lineno}"
    found = ""
    trace = exc.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            found = f":{trace.tb_lineno}"
        trace = trace.tb_next
    return found


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
