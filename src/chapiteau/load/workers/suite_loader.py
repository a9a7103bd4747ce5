"""Where scenarios come from: a Python file, a URL, or a document that a Flow was made from."""

import ast
import asyncio
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Literal, cast

from chapiteau.core.errors import NotFoundError
from chapiteau.load.engine.response import Response
from chapiteau.load.engine.session import Session
from chapiteau.load.scenario.flow import Flow, FlowResponse, FlowState
from chapiteau.load.scenario.suite import Scenario, Suite, collect_suite
from chapiteau.load.workers.scenario_file import import_scenario

__all__ = [
    "Kind",
    "foreign_adapter",
    "foreign_kind",
    "foreign_shape",
    "load_foreign",
    "suite_from_file",
    "suite_from_flow",
    "suite_from_url",
]


# Whose scenario file is it? Told from its imports, without running it.

Kind = Literal["", "molotov", "loads", "locust"]


def foreign_kind(text: str) -> Kind:
    """The load tester that a Python file was written for; "" for ours, and for what is no Python.

    A file that imports chapiteau is ours, whatever else it imports.
    """
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ""  # whoever imports it will say where the fault is
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add((node.module or "").partition(".")[0])
    if "chapiteau" in names:
        return ""
    if "molotov" in names:
        return "molotov"
    if "locust" in names:
        return "locust"
    return "loads" if "loads" in names else ""


# Adapters for other load testers, named as strings: nothing here depends on the wing for movers.
_ADAPTERS: Final = {
    "load_molotov": "chapiteau.migrate.molotov",
    "load_loads": "chapiteau.migrate.loads",
    "load_locust": "chapiteau.migrate.locust.suite",
    "locust_shape": "chapiteau.migrate.locust.suite",
    "molotov_settings": "chapiteau.migrate.molotov_settings",
}


def foreign_adapter(name: str) -> Callable[..., Any]:
    """The function of that name in the adapter for another load tester, imported when needed."""
    adapter: Callable[..., Any] = getattr(importlib.import_module(_ADAPTERS[name]), name)
    return adapter


# Scenario files of Molotov, Loads and Locust, and generators in any language.
#
# Stand-ins for the other testers' modules are in sys.modules only while such a file is imported.


def load_foreign(path: Path, options: dict[str, Any]) -> Suite | None:
    """The play of another load tester's scenario file; None when the file is ours."""
    kind = foreign_kind(path.read_text(encoding="utf-8", errors="replace"))
    if kind == "molotov":
        extensions = str(options.get("use_extension", "")).split()
        return cast("Suite", foreign_adapter("load_molotov")(path, extensions))
    if kind:
        return cast("Suite", foreign_adapter(f"load_{kind}")(path))
    return None


def foreign_shape(path: Path) -> str | None:
    """Users over time that the file itself asks for, "" for none; None when the file is ours."""
    kind = foreign_kind(path.read_text(encoding="utf-8", errors="replace"))
    if kind == "locust":
        return cast("str", foreign_adapter("locust_shape")(path))
    return "" if kind else None


def suite_from_file(path: Path, options: dict[str, Any] | None = None) -> Suite:
    """Import a scenario file: ours, or one of Molotov, Loads or Locust.

    Raises NotFoundError, ScenarioError (with what went wrong).
    """
    if not path.is_file():
        raise NotFoundError(f"{path}: no such scenario file")
    foreign = load_foreign(path, options or {})
    return foreign or collect_suite(vars(import_scenario(path)), str(path))


def suite_from_url(url: str) -> Suite:
    """One scenario that gets one URL."""

    async def get(session: Session) -> None:
        await session.get(url)

    return Suite((Scenario("get", get),))


def suite_from_flow(flow: Flow) -> Suite:
    """One scenario that sends what the flow writes."""
    memory: dict[str, Any] = {}

    async def walk(session: Session) -> None:
        seen = FlowState(memory=memory)
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

    return Suite((Scenario(flow.name, walk),))


def _answer(response: Response, *, remember: bool) -> FlowResponse:
    if not remember:
        return FlowResponse(status=response.status)
    try:
        value = response.json()
    except ValueError:
        value = None
    return FlowResponse(status=response.status, json=value, headers=dict(response.headers))
