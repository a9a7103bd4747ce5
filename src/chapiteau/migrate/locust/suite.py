"""A locust file as a play of ours: each virtual user is one user of the file, in threads."""

import asyncio
import random
from collections import Counter
from pathlib import Path
from typing import Any, Final

from chapiteau.load.engine.session import Session
from chapiteau.load.errors import ScenarioError
from chapiteau.load.scenario.suite import Fixture, Scenario, Suite
from chapiteau.load.workers.external import count
from chapiteau.load.workers.scenario_file import import_scenario, install_shims
from chapiteau.load.workers.user_pool import RunContext
from chapiteau.migrate.locust import shape, users
from chapiteau.migrate.locust.environment import Environment, parsed_options
from chapiteau.migrate.locust.events import Events
from chapiteau.migrate.locust.modules import locust_modules
from chapiteau.migrate.locust.shape import shape_of_ticks
from chapiteau.migrate.shims.blocking import BlockingSession, ThreadPool
from chapiteau.migrate.shims.gevent_shim import gevent_modules

__all__ = ["LocustFile", "load_locust", "locust_shape"]

_KEPT: Final = "locust"  # key in Session.state
_RESTING: Final = 1.0  # seconds of an iteration of a user that has stopped
_SETTLED: Final = 1.0  # seconds without a new user after which all count as there


class LocustFile:
    """What one file declares, and the environment it runs in."""

    def __init__(self, path: Path) -> None:
        self.events = Events()
        with install_shims({**locust_modules(self.events), **gevent_modules()}):
            made = import_scenario(path)
        self.path = path
        own = [v for v in vars(made).values() if isinstance(v, type)]
        self.classes = [c for c in own if issubclass(c, users.User) and not c.abstract and c.weight]
        self.shapes = [c for c in own if issubclass(c, shape.LoadTestShape) and not c.abstract]
        self._crew = ThreadPool()
        self._environment = Environment(self.events, None, None)
        self._dealt: list[type[Any]] = []
        self._stage = RunContext(0, 1, {})
        self._arriving: asyncio.TimerHandle | None = None
        self._telling: asyncio.Future[Any] | None = None
        self._teller: BlockingSession | None = None  # a way into the loop, for what threads count

    def play(self) -> Suite:
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
        return Suite((Scenario(name, self._step),), fixtures)

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

    async def _start(self, stage: RunContext) -> None:
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
        self.events.request.listeners.insert(0, self._counted)
        for hook in (self.events.request, self.events.request_success, self.events.request_failure):
            hook.fired = self._fired

    async def _stop(self, _stage: RunContext) -> None:
        def stop() -> None:
            about = {"environment": self._environment}
            for hook in (self.events.test_stopping, self.events.test_stop, self.events.quitting):
                hook.tell(about)
            code = self._environment.process_exit_code
            self.events.quit.tell({"exit_code": code or 0})
            if code:
                self._stage.refused.append(f"{self.path.name} set process_exit_code {code}")

        await self._crew.run(stop)

    async def _greet(self, session: Session) -> None:
        blocking = BlockingSession(session, self._crew)
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
        self._more_may_come()
        session.state[_KEPT] = (blocking, await blocking.run(enter))

    def _more_may_come(self) -> None:
        """All users are there once none has come for a while: nobody knows how many will."""
        if self._arriving is not None:
            self._arriving.cancel()

        def tell() -> None:
            count = self._environment.runner.user_count
            self.events.spawning_complete.tell({"user_count": count})

        def complete() -> None:
            hooked, self._arriving = self.events.spawning_complete.listeners, None
            if hooked:
                self._telling = asyncio.ensure_future(self._crew.run(tell))

        self._arriving = asyncio.get_running_loop().call_later(_SETTLED, complete)

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
            session.pause = _RESTING
            return
        try:
            wait = await blocking.run(life.step)
        except Exception:
            session.pause = users.waiting_time(life.user, life.user)
            raise
        finally:
            session.settle()  # a user's cookies outlive its tasks
        session.pause = wait

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

    def _counted(self, **info: Any) -> None:
        self._environment.stats.add(info)

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


def load_locust(path: Path) -> Suite:
    """The users of a locust file."""
    return LocustFile(path).play()


def locust_shape(path: Path) -> str:
    """The file's LoadTestShape as a shape of ours; "" when it has none."""
    return LocustFile(path).shape()
