"""Molotov's decorators and helpers: its scenario files run as they are.

One worker of molotov is one virtual user here, a step is an iteration. global_setup runs once in
each load process, before its first user, as in each process of molotov.
"""

import asyncio
import inspect
import sys
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, Final, TypeVar

from chapiteau.core.problems import did_you_mean
from chapiteau.load.engine.session import Session
from chapiteau.load.errors import ScenarioError
from chapiteau.load.scenario.suite import Fixture, Scenario, Suite
from chapiteau.load.workers.scenario_file import import_scenario, install_shims, shim_module
from chapiteau.load.workers.user_pool import RunContext, call_fixture
from chapiteau.migrate.shims.aiohttp_session import AioSession
from chapiteau.migrate.shims.blocking import BlockingSession, HttpSession, ThreadPool

__all__ = ["Molotov", "load_molotov"]

F = TypeVar("F", bound=Callable[..., Any])
_KEPT: Final = "molotov"  # key in Session.state
_EVERY: Final = 1.0  # seconds between two current_workers events


@dataclass(frozen=True, slots=True)
class _Declared:
    name: str
    function: Callable[..., Any]
    weight: float
    delay: float


@dataclass(slots=True)
class _Worker:
    """What one virtual user holds: its sessions by kind."""

    main: AioSession
    others: dict[str, Any] = field(default_factory=dict)


class Molotov:
    """What one scenario file declares, and the helpers that it calls."""

    def __init__(self) -> None:
        self.scenarios: list[_Declared] = []
        self.variables: dict[str, Any] = {}
        self._fixtures: dict[str, Callable[..., Any]] = {}
        self._factories: dict[str, Callable[..., Any]] = {}
        self._listeners: list[Callable[..., Any]] = []
        self._picker: Callable[..., Any] | None = None
        self._stage = RunContext(0, 1, {})
        self._crew = ThreadPool()
        self._failed: set[Callable[..., Any]] = set()
        self._workers = 0
        self._counting: asyncio.Task[None] | None = None
        self._ready: asyncio.Task[None] | None = None
        self._blocking: BlockingSession | None = None

    # ── the face ────────────────────────────────────────────────────────────────────────────

    def modules(self) -> dict[str, ModuleType]:
        """`molotov` and the parts of it that files import from."""
        names = {
            "scenario": self._scenario,
            "scenario_picker": self._scenario_picker,
            "session_factory": self._session_factory,
            "events": self._events,
            "set_var": self._set_var,
            "get_var": self._get_var,
            "get_context": self._get_context,
            "request": self._request,
            "json_request": self._json_request,
            "__version__": "2.6",
        }
        for fixture in (
            "setup", "teardown", "setup_session", "teardown_session", "global_setup",
            "global_teardown",
        ):  # fmt: skip
            names[fixture] = self._fixture(fixture)
        parts = ("molotov", "molotov.api", "molotov.util", "molotov.session")
        return {name: shim_module(name, names) for name in parts}

    def _scenario(
        self, weight: Any = 1, delay: float = 0.0, name: str | None = None
    ) -> Callable[[F], F]:
        def declare(function: F) -> F:
            if not inspect.iscoroutinefunction(function):
                raise TypeError(f"scenario {function.__name__} must be an async def")
            called_ = name or function.__name__
            self.scenarios.append(_Declared(called_, function, float(weight), delay))
            return function

        if callable(weight):
            raise TypeError("write @scenario(), with its parentheses")
        return declare

    def _fixture(self, kind: str) -> Callable[..., Any]:
        def make() -> Callable[[F], F]:
            def declare(function: F) -> F:
                if kind in self._fixtures:
                    raise ValueError(f"there is a second {kind}")
                self._fixtures[kind] = function
                return function

            return declare

        return make

    def _scenario_picker(self) -> Callable[[F], F]:
        def declare(function: F) -> F:
            self._picker = function
            return function

        return declare

    def _session_factory(self, kind: str) -> Callable[[F], F]:
        def declare(function: F) -> F:
            self._factories[kind] = function
            return function

        return declare

    def _events(self) -> Callable[[F], F]:
        def declare(function: F) -> F:
            self._listeners.append(function)
            return function

        return declare

    def _set_var(self, name: str, value: Any) -> None:
        self.variables[name] = value

    def _get_var(self, name: str, factory: Callable[[], Any] | None = None) -> Any:
        if name not in self.variables and factory is not None:
            self.variables[name] = factory()
        return self.variables.get(name)

    def _get_context(self, session: Any) -> Any:
        return session.context

    def _request(
        self, endpoint: str, verb: str = "GET", session_options: Any = None, **options: Any
    ) -> dict[str, Any]:
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
        return {
            "content": answer.content,
            "status": answer.status_code,
            "headers": dict(answer.headers),
        }

    def _json_request(
        self, endpoint: str, verb: str = "GET", session_options: Any = None, **options: Any
    ) -> dict[str, Any]:
        import json

        found = self._request(endpoint, verb, session_options, **options)
        return {**found, "content": json.loads(found["content"])}

    # ── the play ────────────────────────────────────────────────────────────────────────────

    def play(self, where: str) -> Suite:
        """The scenarios and fixtures for our engine. Raises ScenarioError when none can run."""
        wanted = [s for s in self.scenarios if s.weight > 0]
        if not wanted:
            raise ScenarioError(
                f"{where}: no scenario in it", hint="put `@scenario()` above an `async def`"
            )
        if self._picker is not None:
            scenarios = [Scenario("picked", self._run_picked)]
        else:
            scenarios = [Scenario(s.name, self._runner(s), s.weight) for s in wanted]
        fixtures = (
            Fixture("setup", "worker", self._take_stage),
            Fixture("teardown", "worker", self._last),
            Fixture("setup", "user", self._greet),
            Fixture("teardown", "user", self._farewell),
        )
        return Suite(tuple(scenarios), fixtures)

    def _runner(self, declared: _Declared) -> Callable[[Session], Any]:
        async def run(session: Session) -> None:
            await self._run(declared, session)

        run.__name__ = declared.name
        return run

    async def _run_picked(self, session: Session) -> None:
        assert self._picker is not None  # noqa: S101 — told to the type checker
        name = self._picker(session.user, session.iteration)
        by_name = {s.name: s for s in self.scenarios}
        if name not in by_name:
            raise ScenarioError(f"the picker chose {name!r}", hint=did_you_mean(str(name), by_name))
        await self._run(by_name[name], session)

    async def _run(self, declared: _Declared, session: Session) -> None:
        worker: _Worker = session.state[_KEPT]
        worker.main.context.step = session.iteration
        info = {
            "name": declared.name,
            "weight": declared.weight,
            "delay": declared.delay,
            "func": declared.function,
        }
        await self.tell("scenario_start", scenario=info, wid=session.user)
        try:
            await declared.function(await self._session_for(declared, worker))
        except Exception as exc:
            await self.tell("scenario_failure", scenario=info, exception=exc, wid=session.user)
            raise
        finally:
            session.settle()  # a worker's cookies outlive its steps, as in molotov
        await self.tell("scenario_success", scenario=info, wid=session.user)
        session.pause = declared.delay + float(self._stage.options.get("delay", 0.0))

    async def _session_for(self, declared: _Declared, worker: _Worker) -> Any:
        """The session of the kind that the scenario's `session_factory=` default names."""
        parameter = inspect.signature(declared.function).parameters.get("session_factory")
        kind = parameter.default if parameter is not None else "http"
        if kind not in self._factories:
            return worker.main
        if kind not in worker.others:
            loop = asyncio.get_running_loop()
            given = {
                "loop": loop,
                "console": None,
                "verbose": 0,
                "statsd": None,
                "resolve_dns": False,
            }
            made = await call_fixture(lambda: _call_with(self._factories[kind], given))
            worker.others[kind] = made
        return worker.others[kind]

    async def tell(self, event: str, **info: Any) -> None:
        """Let the file's event handlers know."""
        for listener in self._listeners:
            try:
                await call_fixture(lambda one=listener: one(event, **info))
            except Exception as exc:  # noqa: BLE001 — a listener's faults are its own: told once
                if listener not in self._failed:
                    self._failed.add(listener)
                    what = f"{type(exc).__name__}: {exc}"
                    sys.stderr.write(f"warning: the listener {listener.__name__} failed: {what}\n")

    async def _tell_workers(self) -> None:
        while True:
            await self.tell("current_workers", workers=self._workers)
            await asyncio.sleep(_EVERY)

    # ── fixtures ────────────────────────────────────────────────────────────────────────────

    def _take_stage(self, stage: RunContext) -> None:
        self._stage = stage

    @property
    def _arguments(self) -> SimpleNamespace:
        """What molotov's command line would have been."""
        asked = self._stage.asked
        usual = {
            "workers": asked.get("users") or 1, "processes": self._stage.workers,
            "duration": round(asked.get("seconds", 86_400)), "max_runs": asked.get("sessions"),
            "verbose": 0, "debug": False, "statsd": False, "exception": False, "quiet": False,
            "single_mode": None, "single_run": False, "scenario": "",
        }  # fmt: skip
        return SimpleNamespace(**{**usual, **self._stage.options})

    async def _greet(self, session: Session) -> None:
        if self._ready is None:
            self._ready = asyncio.ensure_future(self._first(session))
        await asyncio.shield(self._ready)
        settings: Any = {}
        if "setup" in self._fixtures:
            settings = (
                await call_fixture(self._fixtures["setup"], session.user, self._arguments) or {}
            )
        main = AioSession(session, settings, self.tell)
        main.context = _Context(
            worker_id=session.user, step=0, args=self._arguments, statsd=_Statsd(session)
        )
        main.statsd = main.context.statsd
        session.state[_KEPT] = _Worker(main)
        self._workers += 1
        if self._listeners and self._counting is None:
            self._counting = asyncio.ensure_future(self._tell_workers())
        if "setup_session" in self._fixtures:
            await call_fixture(self._fixtures["setup_session"], session.user, main)

    async def _first(self, session: Session) -> None:
        """global_setup, in a thread: it may block, and `molotov.request` does."""
        if "global_setup" in self._fixtures:
            self._blocking = BlockingSession(session, self._crew)
            try:
                await self._blocking.run(lambda: self._fixtures["global_setup"](self._arguments))
            except Exception as exc:
                what = f"global_setup failed: {type(exc).__name__}: {exc}"
                raise ScenarioError(what, hint=_last_line(exc)) from exc

    async def _farewell(self, session: Session) -> None:
        worker = session.state.get(_KEPT)
        self._workers -= worker is not None
        if worker is not None and "teardown_session" in self._fixtures:
            await call_fixture(self._fixtures["teardown_session"], session.user, worker.main)
        if "teardown" in self._fixtures:
            await call_fixture(self._fixtures["teardown"], session.user)

    async def _last(self, _stage: RunContext) -> None:
        if self._counting is not None:
            self._counting.cancel()
        if "global_teardown" in self._fixtures:
            await self._crew.run(self._fixtures["global_teardown"])


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


def _last_line(exc: Exception) -> str:
    last = traceback.extract_tb(exc.__traceback__)[-1]
    return f"in {last.filename}:{last.lineno}"


def _call_with(function: Callable[..., Any], given: dict[str, Any]) -> Any:
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
    face = Molotov()
    with install_shims(face.modules()):
        for extension in extensions:
            beside = path.parent / extension
            import_scenario(
                beside if beside.suffix == ".py" else _module_path(path.parent, extension)
            )
        import_scenario(path)
    return face.play(str(path))


def _module_path(folder: Path, name: str) -> Path:
    return folder.joinpath(*name.split(".")).with_suffix(".py")
