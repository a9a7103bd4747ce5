"""A locust file as a play of ours: each virtual user is one user of the file, in threads."""

import asyncio
import random
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from chapiteau.load.engine.compat.blocking import Blocking
from chapiteau.load.engine.compat.crew import Crew
from chapiteau.load.engine.compat.faces import imported, module, standing_in
from chapiteau.load.engine.compat.gevent import gevent_modules
from chapiteau.load.engine.compat.judging import count
from chapiteau.load.engine.compat.locust import client, errors, shape, tasks, users, waiting
from chapiteau.load.engine.compat.locust.environment import Environment, Runner, parsed_options
from chapiteau.load.engine.compat.locust.events import EventHook, Events
from chapiteau.load.engine.crowd import Stage
from chapiteau.load.engine.session import Session
from chapiteau.load.errors import ScenarioError
from chapiteau.load.logic.inputs.foreign.ticks import shape_of_ticks
from chapiteau.load.logic.scenario import Fixture, Play, Scenario

__all__ = ["LocustFile", "play_of_locust", "shape_of_locust"]

_KEPT: Final = "locust"  # key in Session.state
_RESTING: Final = 1.0  # seconds of an iteration of a user that has stopped


class LocustFile:
    """What one file declares, and the environment it runs in."""

    def __init__(self, path: Path) -> None:
        self.events = Events()
        with standing_in({**_modules(self.events), **gevent_modules()}):
            made = imported(path)
        self.path = path
        own = [v for v in vars(made).values() if isinstance(v, type)]
        self.classes = [c for c in own if issubclass(c, users.User) and not c.abstract and c.weight]
        self.shapes = [c for c in own if issubclass(c, shape.LoadTestShape) and not c.abstract]
        self._crew = Crew()
        self._environment = Environment(self.events, None, None)
        self._dealt: list[type[Any]] = []
        self._stage = Stage(0, 1, {})
        self._teller: Blocking | None = None  # a way into the loop, for what threads count

    def play(self) -> Play:
        """For our engine. Raises ScenarioError when no user can run."""
        if not self.classes:
            raise ScenarioError(
                f"{self.path}: no user in it", hint="subclass HttpUser and give it a @task"
            )
        for one in self.classes:
            if not one.tasks:
                raise ScenarioError(f"{self.path}: {one.__name__} has no @task")
        name = self.classes[0].__name__ if len(self.classes) == 1 else self.path.stem
        fixtures = (
            Fixture("setup", "worker", self._start),
            Fixture("teardown", "worker", self._stop),
            Fixture("setup", "user", self._greet),
            Fixture("teardown", "user", self._farewell),
        )
        return Play((Scenario(name, self._step),), fixtures)

    def shape(self) -> str:
        """Users over time, when the file has a LoadTestShape; "" when it has none."""
        if not self.shapes:
            return ""
        try:
            made = self.shapes[0]()
            return shape_of_ticks(made.at)
        except Exception as exc:
            raise ScenarioError(
                f"{self.path}: {self.shapes[0].__name__}.tick failed: {type(exc).__name__}: {exc}"
            ) from exc

    # ── fixtures ────────────────────────────────────────────────────────────────────────────

    async def _start(self, stage: Stage) -> None:
        self._stage = stage

        def start() -> None:
            self._environment = Environment(
                self.events, stage.base or None, parsed_options(self.events, stage.options)
            )
            self._environment.user_classes = self.classes
            about = {"environment": self._environment}
            self.events.init.tell({**about, "runner": self._environment.runner, "web_ui": None})
            self.events.test_start.tell(about)

        await self._crew.run(start)
        self.events.request.add_listener(self._counted)
        for hook in (self.events.request, self.events.request_success, self.events.request_failure):
            hook.fired = self._fired

    async def _stop(self, _stage: Stage) -> None:
        def stop() -> None:
            about = {"environment": self._environment}
            for hook in (self.events.test_stopping, self.events.test_stop, self.events.quitting):
                hook.tell(about)

        await self._crew.run(stop)

    async def _greet(self, session: Session) -> None:
        blocking = Blocking(session, self._crew)
        self._teller = self._teller or blocking
        kind = self._class_of(session.user)
        chance = random.Random(session.random.getrandbits(64))  # noqa: S311 — repeatable

        def enter() -> users.Life:
            self._environment.here.blocking = blocking
            only, without = _tags(self._environment.parsed_options)
            life = users.Life(kind(self._environment), chance, only, without)
            life.begin()
            return life

        self._environment.runner.user_count += 1
        session.state[_KEPT] = (blocking, await blocking.run(enter))

    async def _farewell(self, session: Session) -> None:
        if _KEPT in session.state:
            blocking, life = session.state[_KEPT]
            if life is not None:
                await blocking.run(life.end)

    async def _step(self, session: Session) -> None:
        blocking, life = session.state[_KEPT]
        if self._environment.runner.state == "stopped" and not life.over:
            await blocking.run(life.end)
        if life.over:
            await asyncio.sleep(_RESTING)
            return
        try:
            wait = await blocking.run(life.step)
        except Exception:
            await asyncio.sleep(users.waiting_time(life.user, life.user))
            raise
        finally:
            session.settle()  # a user's cookies outlive its tasks
        if wait:
            await asyncio.sleep(wait)

    def _class_of(self, user: int) -> type[Any]:
        """The class of a user of this process, counted from 1.

        All processes deal from one sequence, each its own cards: together they keep the weights.
        """
        place = (user - 1) * self._stage.workers + self._stage.worker
        while len(self._dealt) <= place:
            counts = Counter(self._dealt)
            short = [c for c in self.classes if counts[c] < c.fixed_count]
            free = [c for c in self.classes if not c.fixed_count] or self.classes
            # The class that is furthest behind its share (the Sainte-Laguë rule).
            best = min(free, key=lambda c: (counts[c] + 0.5) / c.weight)
            self._dealt.append(short[0] if short else best)
        return self._dealt[place]

    # ── requests of the file's own ──────────────────────────────────────────────────────────

    def _counted(self, response_time: float = 0.0, exception: Any = None, **_more: Any) -> None:
        self._environment.stats.add(float(response_time or 0.0), failed=exception is not None)

    def _fired(self, info: dict[str, Any]) -> None:
        """`events.request.fire(…)`: something that the file has timed by itself."""
        if self._teller is None:
            return
        session = self._teller.session
        name = f"{info.get('request_type', '')} {info.get('name', '')}".strip() or "(unnamed)"
        seconds = float(info.get("response_time") or 0.0) / 1000
        error = info.get("exception")
        self._teller.tell(
            count, session.tally, name, seconds, session.now(), str(error) if error else ""
        )


def _tags(options: Any) -> tuple[set[str], set[str]]:
    def listed(name: str) -> set[str]:
        return set(str(getattr(options, name, None) or "").replace(",", " ").split())

    return listed("tags"), listed("exclude_tags")


def _modules(events: Events) -> dict[str, ModuleType]:
    """`locust` and the parts of it that files import from."""
    waits = {name: getattr(waiting, name) for name in waiting.__all__}
    people = {"User": users.User, "HttpUser": users.HttpUser, "FastHttpUser": users.FastHttpUser}
    sets = {name: getattr(tasks, name) for name in ("task", "tag", "TaskSet", "SequentialTaskSet")}
    raised = {name: getattr(errors, name) for name in errors.__all__}
    clients = {
        "HttpSession": client.LocustClient,
        "FastHttpSession": client.FastLocustClient,
        "ResponseContextManager": client.CaughtResponse,
    }
    runners = {
        "Runner": Runner,
        "LocalRunner": Runner,
        "MasterRunner": type("MasterRunner", (Runner,), {}),
        "WorkerRunner": type("WorkerRunner", (Runner,), {}),
        "STATE_STOPPING": "stopping",
        "STATE_STOPPED": "stopped",
        "STATE_CLEANUP": "cleanup",
        "STATE_RUNNING": "running",
        "STATE_SPAWNING": "spawning",
        "STATE_INIT": "ready",
    }
    shapes = {"LoadTestShape": shape.LoadTestShape}
    whole = {
        **waits, **people, **sets, **shapes, "events": events, "__version__": "2.46",
        "run_single_user": lambda *_a, **_m: None,
    }  # fmt: skip
    contents: dict[str, dict[str, Any]] = {
        "locust": whole,
        "locust.exception": raised,
        "locust.user": {**people, **sets, **waits},
        "locust.user.users": people,
        "locust.user.task": {**sets, "DefaultTaskSet": tasks.DefaultTaskSet},
        "locust.user.sequential_taskset": sets,
        "locust.user.wait_time": waits,
        "locust.wait_time": waits,
        "locust.clients": clients,
        "locust.contrib": {},
        "locust.contrib.fasthttp": {**people, **clients},
        "locust.event": {"EventHook": EventHook, "Events": Events},
        "locust.env": {"Environment": Environment},
        "locust.runners": runners,
        "locust.shape": shapes,
        "locust.log": {"setup_logging": lambda *_a, **_m: None},
        "locust.stats": {"stats_printer": lambda *_a: None, "stats_history": lambda *_a: None},
    }
    return {name: module(name, part) for name, part in contents.items()}


def play_of_locust(path: Path) -> Play:
    """The users of a locust file."""
    return LocustFile(path).play()


def shape_of_locust(path: Path) -> str:
    """The file's LoadTestShape as a shape of ours; "" when it has none."""
    return LocustFile(path).shape()
