"""Where scenarios come from: a Python file, a URL, or a document that a Flow was made from."""

import ast
import asyncio
import contextlib
import importlib
import importlib.util
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Final, Literal, cast

from chapiteau.core.errors import NotFoundError
from chapiteau.load.engine.client import Options
from chapiteau.load.engine.response import Response
from chapiteau.load.engine.session import Session
from chapiteau.load.errors import ScenarioError
from chapiteau.load.scenario.flow import Flow, FlowResponse, FlowState
from chapiteau.load.scenario.suite import Scenario, Suite, collect_suite

__all__ = [
    "Kind",
    "foreign_adapter",
    "foreign_kind",
    "foreign_shape",
    "import_scenario",
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


def load_foreign(path: Path, options: Mapping[str, str]) -> Suite | None:
    """The suite of another load tester's scenario file; None when the file is ours."""
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


def suite_from_file(path: Path, options: Mapping[str, str] | None = None) -> Suite:
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

    async def send_all(session: Session) -> None:
        seen = FlowState(memory=memory)
        while (request := flow.next(session.random, seen)) is not None:
            if request.think:
                await asyncio.sleep(request.think)
            options: Options = {"headers": dict(request.headers)}
            if request.body:
                options["data"] = request.body
            if request.name:
                options["name"] = request.name
            if request.expect:
                options["expect"] = request.expect
            if request.tags:
                options["tags"] = request.tags
            response = await session.request(request.method, request.url, **options)
            seen.take(request, _answer(response, remember=request.remember))

    return Suite((Scenario(flow.name, send_all),))


def _answer(response: Response, *, remember: bool) -> FlowResponse:
    if not remember:
        return FlowResponse(status=response.status)
    try:
        value = response.json()
    except ValueError:
        value = None
    return FlowResponse(status=response.status, json=value, headers=dict(response.headers))


# A scenario file as a module.


def import_scenario(path: Path) -> ModuleType:
    """The scenario file, imported. Raises ScenarioError with the line at fault."""
    folder = str(path.parent.resolve())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    name = f"chapiteau_scenario_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ScenarioError(f"{path}: not a Python file", hint="scenario files end in .py")
    made = importlib.util.module_from_spec(spec)
    sys.modules[name] = made
    try:
        # What a file prints while it is imported must not get among a command's own data.
        with contextlib.redirect_stdout(sys.stderr):
            spec.loader.exec_module(made)
    except Exception as exc:
        line = _line_in(exc, path)
        what = f"{path}{line}: can't be imported: {type(exc).__name__}: {exc}"
        raise ScenarioError(what, hint=_hint(exc)) from exc
    return made


def _line_in(exc: BaseException, path: Path) -> str:
    if isinstance(exc, SyntaxError):
        return f":{exc.lineno}"
    lines = []
    trace = exc.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            lines.append(trace.tb_lineno)
        trace = trace.tb_next
    return f":{lines[-1]}" if lines else ""


def _hint(exc: BaseException) -> str:
    if isinstance(exc, ModuleNotFoundError):
        return f"install {exc.name}, which the file needs"
    old = ("Missing parentheses", "multiple exception types", "leading zeros in decimal")
    if isinstance(exc, SyntaxError) and any(words in str(exc) for words in old):
        return "it is for Python 2: convert it first, for example with lib2to3"
    return ""
