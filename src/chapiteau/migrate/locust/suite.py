"""A locust file as a suite of ours: each virtual user is one user of the file, in threads."""

import asyncio
import random
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from chapiteau.load.engine.session import Session
from chapiteau.load.errors import ScenarioError
from chapiteau.load.scenario.suite import Fixture, Scenario, Suite
from chapiteau.load.workers.external import count
from chapiteau.load.workers.suite_loader import import_scenario
from chapiteau.load.workers.user_pool import RunContext
from chapiteau.migrate.locust import events as raised
from chapiteau.migrate.locust import shape, tasks, users
from chapiteau.migrate.locust.client import CaughtResponse, LocustClient
from chapiteau.migrate.locust.environment import (
    Entry,
    Environment,
    Parser,
    Runner,
    Stats,
    parse_options,
)
from chapiteau.migrate.locust.events import Events
from chapiteau.migrate.locust.shape import LoadTestShape
from chapiteau.migrate.shims import install_shims, shim_module
from chapiteau.migrate.shims.blocking import BlockingSession, ThreadPool
from chapiteau.migrate.shims.gevent_shim import gevent_modules

__all__ = ["load_locust", "locust_modules", "locust_shape"]


# `locust` and its parts, as far as scenario files import them: each has every name.

_MODULES: Final = (
    "locust locust.exception locust.user locust.user.users locust.user.task "
    "locust.user.sequential_taskset locust.user.markov_taskset locust.user.wait_time "
    "locust.wait_time locust.clients locust.contrib locust.contrib.fasthttp locust.contrib.rest "
    "locust.web locust.debug locust.argument_parser locust.event locust.env locust.runners "
    "locust.shape locust.log locust.stats"
).split()


def _nothing(*_arguments: Any, **_more: Any) -> None:
    """What only locust's own process does."""


def locust_modules(events: raised.Events) -> dict[str, ModuleType]:
    """`locust` and the parts of it that files import from."""
    names: dict[str, object] = {
        **{name: getattr(part, name) for part in (raised, tasks, users) for name in part.__all__},
        "events": events,
        "__version__": "2.46",
        "Environment": Environment,
        "LoadTestShape": LoadTestShape,
        "LocustArgumentParser": Parser,
        "RequestStats": Stats,
        "StatsEntry": Entry,
        # clients
        **dict.fromkeys(("HttpSession", "FastHttpSession"), LocustClient),
        **dict.fromkeys(
            ("ResponseContextManager", "RestResponseContextManager", "FastResponse",
             "LocustResponse"),
            CaughtResponse,
        ),
        # runners
        **dict.fromkeys(("Runner", "LocalRunner"), Runner),
        **{name: type(name, (Runner,), {}) for name in ("MasterRunner", "WorkerRunner")},
        "STATE_INIT": "ready",
        **{
            f"STATE_{state.upper()}": state
            for state in ("spawning", "running", "cleanup", "stopping", "stopped")
        },
        # names before locust 1.0, and of the plugin that became FastHttpUser.rest
        "Locust": users.User,
        "HttpLocust": users.HttpUser,
        **dict.fromkeys(("FastHttpLocust", "RestUser"), users.FastHttpUser),
        "TaskSequence": tasks.SequentialTaskSet,
        "seq_task": lambda _order: tasks.task,
        **dict.fromkeys(
            ("run_single_user", "setup_logging", "stats_printer", "stats_history"), _nothing
        ),
    }  # fmt: skip
    return {name: shim_module(name, names) for name in _MODULES}


_KEPT: Final = "locust"  # key in Session.state
_RESTING: Final = 1.0  # seconds of an iteration of a user that has stopped
_SETTLED: Final = 1.0  # seconds without a new user after which all count as there


class _LocustFile:
    """What one file declares, and the environment it runs in."""

    def __init__(self, path: Path) -> None:
        self.events = Events(self._fired)
        with install_shims({**locust_modules(self.events), **gevent_modules()}):
            made = import_scenario(path)
        self.path = path
        own = [v for v in vars(made).values() if isinstance(v, type)]
        self.classes = [c for c in own if issubclass(c, users.User) and not c.abstract and c.weight]
        self.shapes = [c for c in own if issubclass(c, shape.LoadTestShape) and not c.abstract]
        self._threads = ThreadPool()
        self._environment = Environment(self.events)
        self._assigned: list[type[Any]] = []
        self._context = RunContext(0, 1, {})
        self._arriving: asyncio.TimerHandle | None = None
        self._emitting: asyncio.Future[Any] | None = None
        self._counting: BlockingSession | None = None  # a way into the loop, for threads

    def suite(self) -> Suite:
        """For our engine. Raises ScenarioError when no user can run."""
        if not self.classes:
            hint = "subclass HttpUser and give it a @task"
            raise ScenarioError(f"{self.path}: no user in it", hint=hint)
        for one in self.classes:
            if not one.tasks:
                raise ScenarioError(f"{self.path}: {one.__name__} has no @task")
        name = self.classes[0].__name__ if len(self.classes) == 1 else self.path.stem
        fixtures = (
            Fixture("setup", "worker", self._start),
            Fixture("teardown", "worker", self._stop),
            Fixture("setup", "user", self._add_user),
            Fixture("teardown", "user", self._end_user),
        )
        return Suite((Scenario(name, self._step),), fixtures)

    def shape(self) -> str:
        """Users over time, when the file has a LoadTestShape; "" when it has none."""
        if not self.shapes:
            return ""
        try:
            return shape.shape_of_ticks(self.shapes[0]().at)
        except Exception as exc:
            what = f"{self.shapes[0].__name__}.tick failed: {type(exc).__name__}: {exc}"
            raise ScenarioError(f"{self.path}: {what}") from exc

    # ── fixtures ────────────────────────────────────────────────────────────────────────────
    async def _start(self, context: RunContext) -> None:
        self._context = context

        def start() -> None:
            options = parse_options(self.events, context.options)
            base = context.base or None
            self._environment = Environment(self.events, base, options, self.classes)
            about = {"environment": self._environment}
            self.events.init.emit({**about, "runner": self._environment.runner, "web_ui": None})
            self.events.test_start.emit(about)

        await self._threads.run(start)
        self.events.request.listeners.insert(0, self._add_to_stats)

    def _add_to_stats(self, **info: Any) -> None:
        self._environment.stats.add(info)

    async def _stop(self, _context: RunContext) -> None:
        def stop() -> None:
            about = {"environment": self._environment}
            for hook in (self.events.test_stopping, self.events.test_stop, self.events.quitting):
                hook.emit(about)
            code = self._environment.process_exit_code
            self.events.quit.emit({"exit_code": code or 0})
            if code:
                self._context.refused.append(f"{self.path.name} set process_exit_code {code}")

        await self._threads.run(stop)

    async def _add_user(self, session: Session) -> None:
        blocking = BlockingSession(session, self._threads)
        self._counting = self._counting or blocking
        kind = self._class_of(session.user)
        chance = random.Random(session.random.getrandbits(64))  # noqa: S311 — repeatable

        def enter() -> users.UserRun:
            self._environment.here.blocking = blocking
            options = self._environment.parsed_options
            user = kind(self._environment)
            run = users.UserRun(user, chance, _tags(options.tags), _tags(options.exclude_tags))
            user.on_start()
            return run

        self._environment.runner.count_user()
        self._await_more_users()
        session.state[_KEPT] = (blocking, await blocking.run(enter))

    def _await_more_users(self) -> None:
        """All users are there once none has come for a while: nobody knows how many will."""
        if self._arriving is not None:
            self._arriving.cancel()

        def emit() -> None:
            count = self._environment.runner.user_count
            self.events.spawning_complete.emit({"user_count": count})

        def complete() -> None:
            self._arriving = None
            if self.events.spawning_complete.listeners:
                self._emitting = asyncio.ensure_future(self._threads.run(emit))

        self._arriving = asyncio.get_running_loop().call_later(_SETTLED, complete)

    async def _end_user(self, session: Session) -> None:
        blocking, run = session.state.get(_KEPT, (None, None))
        if run is not None:
            await blocking.run(run.end)

    async def _step(self, session: Session) -> None:
        blocking, run = session.state[_KEPT]
        if self._environment.runner.state == "stopped" and not run.over:
            await blocking.run(run.end)
        if run.over:
            session.rest(_RESTING)
            return
        try:
            session.rest(await blocking.run(run.step))
        except Exception:
            session.rest(users.waiting_time(run.user, run.user))
            raise
        finally:
            session.settle()  # a user's cookies outlive its tasks

    def _class_of(self, user: int) -> type[Any]:
        """The class of a user of this process, counted from 1.

        All processes go through one sequence, each taking its own places: together they keep the
        weights.
        """
        place = (user - 1) * self._context.workers + self._context.worker
        while len(self._assigned) <= place:
            counts = Counter(self._assigned)
            short = [c for c in self.classes if counts[c] < c.fixed_count]
            free = [c for c in self.classes if not c.fixed_count] or self.classes
            # The class that is furthest behind its share (the Sainte-Laguë rule).
            best = min(free, key=lambda c: (counts[c] + 0.5) / c.weight)
            self._assigned.append(short[0] if short else best)
        return self._assigned[place]

    def _fired(self, event: str, info: Mapping[str, Any]) -> None:
        """`events.request.fire(…)`: something that the file has timed by itself."""
        if self._counting is None or event not in _MEASURED:
            return
        session = self._counting.session
        name = f"{info.get('request_type', '')} {info.get('name', '')}".strip() or "(unnamed)"
        seconds = float(info.get("response_time") or 0.0) / 1000
        error = str(info.get("exception") or "")
        self._counting.call(count, session.recorder, name, seconds, session.now(), error)


_MEASURED: Final = ("request", "request_success", "request_failure")


def _tags(given: Any) -> set[str]:
    return set(str(given or "").replace(",", " ").split())


def load_locust(path: Path) -> Suite:
    """The users of a locust file."""
    return _LocustFile(path).suite()


def locust_shape(path: Path) -> str:
    """The file's LoadTestShape as a shape of ours; "" when it has none."""
    return _LocustFile(path).shape()
