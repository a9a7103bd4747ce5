"""Molotov's decorators and helpers: its scenario files run as they are.

One worker of molotov is one virtual user here, a step is an iteration. global_setup runs once in
each load process, before its first user, as in each process of molotov.
"""

import asyncio
import inspect
import json
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, Final, TypedDict

from chapiteau.core.problems import did_you_mean
from chapiteau.load.engine.session import Session
from chapiteau.load.errors import ScenarioError
from chapiteau.load.scenario.suite import Fixture, Scenario, Suite
from chapiteau.load.workers.suite_loader import import_scenario
from chapiteau.load.workers.user_pool import RunContext, call_fixture
from chapiteau.migrate.shims import install_shims, shim_module
from chapiteau.migrate.shims.aiohttp_client import AioSession
from chapiteau.migrate.shims.blocking import BlockingSession, HttpSession, ThreadPool

__all__ = ["Molotov", "load_molotov"]

Function = Callable[..., Any]
Decorator = Callable[[Function], Function]
_KEPT: Final = "molotov"  # key in Session.state
_EVERY: Final = 1.0  # seconds between two current_workers events
_FIXTURES: Final = (
    "setup", "teardown", "setup_session", "teardown_session", "global_setup", "global_teardown",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Declared:
    name: str
    function: Function
    weight: float
    delay: float

    @property
    def info(self) -> dict[str, object]:
        """As events show it."""
        names = {"name": self.name, "weight": self.weight, "delay": self.delay}
        return {**names, "func": self.function}


class _Answer(TypedDict):
    """What `request` gives; `json_request` with the content read."""

    content: Any
    status: int
    headers: dict[str, str]


@dataclass(slots=True)
class _Worker:
    """What one virtual user holds: its sessions by kind."""

    main: AioSession
    others: dict[str, object] = field(default_factory=dict)


class Molotov:
    """What one scenario file declares, and the helpers that it calls."""

    def __init__(self) -> None:
        self.scenarios: list[_Declared] = []
        self.variables: dict[str, object] = {}
        self._fixtures: dict[str, Function] = {}
        self._factories: dict[str, Function] = {}
        self._listeners: list[Function] = []
        self._pickers: list[Function] = []
        self._context = RunContext(0, 1, {})
        self._threads = ThreadPool()
        self._failed: set[Function] = set()
        self._workers = 0
        self._counting: asyncio.Task[None] | None = None
        self._ready: asyncio.Task[None] | None = None
        self._blocking: BlockingSession | None = None

    # ── what files import ───────────────────────────────────────────────────────────────────
    def modules(self) -> dict[str, ModuleType]:
        """`molotov` and the parts of it that files import from."""
        names: dict[str, object] = {
            "scenario": self._scenario,
            "scenario_picker": lambda: _declare(self._pickers.append),
            "session_factory": lambda kind: _declare(
                lambda function: self._factories.update({kind: function})
            ),
            "events": lambda: _declare(self._listeners.append),
            "set_var": self.variables.__setitem__,
            "get_var": self._get_var,
            "get_context": lambda session: session.context,
            "request": self._request,
            "json_request": self._json_request,
            "__version__": "2.6",
            **{fixture: self._fixture(fixture) for fixture in _FIXTURES},
        }
        parts = ("molotov", "molotov.api", "molotov.util", "molotov.session")
        return {name: shim_module(name, names) for name in parts}

    def _scenario(self, weight: Any = 1, delay: float = 0.0, name: str | None = None) -> Decorator:
        def add(function: Function) -> None:
            if not inspect.iscoroutinefunction(function):
                raise TypeError(f"scenario {function.__name__} must be an async def")
            declared = _Declared(name or function.__name__, function, float(weight), delay)
            self.scenarios.append(declared)

        if callable(weight):
            raise TypeError("write @scenario(), with its parentheses")
        return _declare(add)

    def _fixture(self, kind: str) -> Callable[[], Decorator]:
        def add(function: Function) -> None:
            if kind in self._fixtures:
                raise ValueError(f"there is a second {kind}")
            self._fixtures[kind] = function

        return lambda: _declare(add)

    def _get_var(self, name: str, factory: Callable[[], Any] | None = None) -> Any:
        if name not in self.variables and factory is not None:
            self.variables[name] = factory()
        return self.variables.get(name)

    def _request(
        self, endpoint: str, verb: str = "GET", session_options: Any = None, **options: Any
    ) -> _Answer:
        """Blocking, for fixtures; `content`, `status` and `headers` of the answer."""
        if self._blocking is None or _in_a_loop():
            raise ScenarioError(
                "molotov.request blocks: inside a scenario it would hold up every other one",
                hint="use `async with session.get(…)` there",
            )
        http = HttpSession(self._blocking)
        http.headers.update(dict((session_options or {}).get("headers") or {}))
        answer = http.request(verb, endpoint, **options)
        if answer.error is not None:
            raise answer.error
        headers = dict(answer.headers)
        return {"content": answer.content, "status": answer.status_code, "headers": headers}

    def _json_request(self, *arguments: Any, **options: Any) -> _Answer:
        found = self._request(*arguments, **options)
        found["content"] = json.loads(found["content"])
        return found

    # ── scenarios ───────────────────────────────────────────────────────────────────────────
    def suite(self, where: str) -> Suite:
        """The scenarios and fixtures for our engine. Raises ScenarioError when none can run."""
        runnable = [s for s in self.scenarios if s.weight > 0]
        if not runnable:
            hint = "put `@scenario()` above an `async def`"
            raise ScenarioError(f"{where}: no scenario in it", hint=hint)
        if self._pickers:
            scenarios = [Scenario("picked", self._run_picked)]
        else:
            scenarios = [Scenario(s.name, self._runner(s), s.weight) for s in runnable]
        fixtures = (
            Fixture("setup", "worker", self._begin),
            Fixture("teardown", "worker", self._end),
            Fixture("setup", "user", self._add_user),
            Fixture("teardown", "user", self._end_user),
        )
        return Suite(tuple(scenarios), fixtures)

    def _runner(self, declared: _Declared) -> Callable[[Session], Any]:
        async def run(session: Session) -> None:
            await self._run(declared, session)

        return run

    async def _run_picked(self, session: Session) -> None:
        name = self._pickers[-1](session.user, session.iteration)
        by_name = {s.name: s for s in self.scenarios}
        if name not in by_name:
            raise ScenarioError(f"the picker chose {name!r}", hint=did_you_mean(str(name), by_name))
        await self._run(by_name[name], session)

    async def _run(self, declared: _Declared, session: Session) -> None:
        worker: _Worker = session.state[_KEPT]
        worker.main.context.step = session.iteration
        about = {"scenario": declared.info, "wid": session.user}
        await self.emit("scenario_start", **about)
        try:
            await declared.function(await self._session_for(declared, worker))
        except Exception as exc:
            await self.emit("scenario_failure", exception=exc, **about)
            raise
        finally:
            session.settle()  # a worker's cookies outlive its steps, as in molotov
        await self.emit("scenario_success", **about)
        session.rest(declared.delay + float(self._context.options.get("delay", 0.0)))

    async def _session_for(self, declared: _Declared, worker: _Worker) -> Any:
        """The session of the kind that the scenario's `session_factory=` default names."""
        parameter = inspect.signature(declared.function).parameters.get("session_factory")
        kind = parameter.default if parameter is not None else "http"
        if kind not in self._factories:
            return worker.main
        if kind not in worker.others:
            given = {
                "loop": asyncio.get_running_loop(), "console": None, "verbose": 0, "statsd": None,
                "resolve_dns": False,
            }  # fmt: skip
            factory = self._factories[kind]
            worker.others[kind] = await call_fixture(lambda: _call_with(factory, given))
        return worker.others[kind]

    async def emit(self, event: str, **info: Any) -> None:
        """Let the file's event handlers know."""
        for listener in self._listeners:
            try:
                await call_fixture(lambda one=listener: one(event, **info))
            except Exception as exc:  # noqa: BLE001 — a listener's faults are its own: told once
                if listener not in self._failed:
                    self._failed.add(listener)
                    what = f"{type(exc).__name__}: {exc}"
                    sys.stderr.write(f"warning: the listener {listener.__name__} failed: {what}\n")

    async def _emit_workers(self) -> None:
        while True:
            await self.emit("current_workers", workers=self._workers)
            await asyncio.sleep(_EVERY)

    # ── fixtures ────────────────────────────────────────────────────────────────────────────
    def _begin(self, context: RunContext) -> None:
        self._context = context

    @property
    def _arguments(self) -> SimpleNamespace:
        """What molotov's command line would have been."""
        asked = self._context.asked
        usual = {
            "workers": asked.get("users") or 1, "processes": self._context.workers,
            "duration": round(asked.get("seconds", 86_400)), "max_runs": asked.get("sessions"),
            "verbose": 0, "debug": False, "statsd": False, "exception": False, "quiet": False,
            "single_mode": None, "single_run": False, "scenario": "",
        }  # fmt: skip
        return SimpleNamespace(**{**usual, **self._context.options})

    async def _call(self, fixture: str, *arguments: Any) -> Any:
        if fixture in self._fixtures:
            return await call_fixture(self._fixtures[fixture], *arguments)
        return None

    async def _add_user(self, session: Session) -> None:
        if self._ready is None:
            self._ready = asyncio.ensure_future(self._global_setup(session))
        await asyncio.shield(self._ready)
        settings = await self._call("setup", session.user, self._arguments) or {}
        statsd = _Statsd(session)
        context = _Context(worker_id=session.user, step=0, args=self._arguments, statsd=statsd)
        main = AioSession(session, settings, self.emit, context)
        session.state[_KEPT] = _Worker(main)
        self._workers += 1
        if self._listeners and self._counting is None:
            self._counting = asyncio.ensure_future(self._emit_workers())
        await self._call("setup_session", session.user, main)

    async def _global_setup(self, session: Session) -> None:
        """In a thread: it may block, and `molotov.request` does."""
        if "global_setup" not in self._fixtures:
            return
        self._blocking = BlockingSession(session, self._threads)
        try:
            await self._blocking.run(lambda: self._fixtures["global_setup"](self._arguments))
        except Exception as exc:
            last = traceback.extract_tb(exc.__traceback__)[-1]
            what = f"global_setup failed: {type(exc).__name__}: {exc}"
            raise ScenarioError(what, hint=f"in {last.filename}:{last.lineno}") from exc

    async def _end_user(self, session: Session) -> None:
        worker = session.state.get(_KEPT)
        if worker is not None:
            self._workers -= 1
            await self._call("teardown_session", session.user, worker.main)
        await self._call("teardown", session.user)

    async def _end(self, _context: RunContext) -> None:
        if self._counting is not None:
            self._counting.cancel()
        if "global_teardown" in self._fixtures:
            await self._threads.run(self._fixtures["global_teardown"])


class _Context(SimpleNamespace):
    """What `get_context` gives; a scenario attaches things of its own."""

    def attach(self, name: str, value: Any) -> None:
        setattr(self, name, value)


class _Statsd:
    """context.statsd: its counts become counters of the report."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def increment(self, name: str, value: float = 1, **_more: Any) -> None:
        self._session.counter(name, value)

    incr = increment

    def decrement(self, name: str, value: float = 1, **_more: Any) -> None:
        self._session.counter(name, -value)

    def gauge(self, name: str, value: float, **_more: Any) -> None:
        self._session.gauge(name, value)

    def timing(self, name: str, value: float, **_more: Any) -> None:
        self._session.trend(name, value)


def _declare(add: Callable[[Function], object]) -> Decorator:
    """A decorator that only notes the function."""

    def decorate(function: Function) -> Function:
        add(function)
        return function

    return decorate


def _call_with(function: Function, given: Mapping[str, object]) -> Any:
    """Call it with those of the arguments that it takes."""
    parameters = inspect.signature(function).parameters
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return function(**given)
    return function(**{name: value for name, value in given.items() if name in parameters})


def _in_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def load_molotov(path: Path, extensions: Iterable[str] = ()) -> Suite:
    """A molotov file, and the extensions that bring fixtures and events to it."""
    molotov = Molotov()
    with install_shims(molotov.modules()):
        for extension in extensions:
            module = path.parent.joinpath(*extension.split(".")).with_suffix(".py")
            import_scenario(path.parent / extension if extension.endswith(".py") else module)
        import_scenario(path)
    return molotov.suite(str(path))
