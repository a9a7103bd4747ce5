"""Users: what they do, how long they wait, and one step of their lives at a time."""

import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from chapiteau.load.errors import ScenarioError
from chapiteau.migrate.locust.client import LocustClient, RestCalls
from chapiteau.migrate.locust.events import (
    InterruptTaskSet,
    LocustError,
    RescheduleTask,
    RescheduleTaskImmediately,
    StopTest,
    StopUser,
)
from chapiteau.migrate.locust.tasks import TaskSet, tasks_of, with_tags
from chapiteau.migrate.shims.blocking import BlockingSession

__all__ = [
    "FastHttpUser",
    "HttpUser",
    "User",
    "UserRun",
    "between",
    "constant",
    "constant_pacing",
    "constant_throughput",
    "poisson",
    "waiting_time",
]

# ── waits; each returns a function that becomes a method of the class ─────────────────────────
WaitTime = Callable[[Any], float]
_PACE: Final = "pace of its tasks"  # key in the user's own attributes


def between(low: float, high: float) -> WaitTime:
    """Evenly between the two, in seconds."""
    return lambda _user: random.uniform(low, high)  # noqa: S311 — a pause, not a secret


def constant(seconds: float) -> WaitTime:
    """Always the same."""
    return lambda _user: seconds


def constant_pacing(seconds: float) -> WaitTime:
    """As long as it takes that tasks begin this far apart."""

    def wait(user: Any) -> float:
        now = time.monotonic()
        last, waited = vars(user).get(_PACE, (now, 0.0))
        # What the task took counts; one that took longer than the pace makes no debt.
        pause: float = max(0.0, seconds - (now - last - waited))
        vars(user)[_PACE] = (now, pause)
        return pause

    return wait


def constant_throughput(per_second: float) -> WaitTime:
    """So many tasks a second of each user."""
    return constant_pacing(1.0 / per_second)


def poisson(per_second: float) -> WaitTime:
    """By chance, so many tasks a second of each user in the mean."""
    return lambda _user: random.expovariate(per_second)


# ── users ─────────────────────────────────────────────────────────────────────────────────────
_MOST_ENTRIES: Final = 50  # task sets entered in one step: sets of nothing but sets never end


class User:
    """One virtual user; subclasses say what it does."""

    abstract = True
    host: str | None = None
    weight: int = 1
    fixed_count: int = 0
    tasks: list[Any] = []  # noqa: RUF012 — each subclass gets its own
    wait_time: Any = constant(0)
    min_wait: float | None = None
    max_wait: float | None = None

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        cls.tasks = tasks_of(cls)
        if not cls.tasks and "task_set" in cls.__dict__:  # before locust 1.0
            cls.tasks = [cls.__dict__["task_set"]]
        if "abstract" not in cls.__dict__:
            cls.abstract = False

    def __init__(self, environment: Any) -> None:
        self.environment = environment
        self.client: Any = None

    def on_start(self) -> None:
        """Called before its first task."""

    def on_stop(self) -> None:
        """Called after its last."""

    def wait(self) -> None:
        self.wait_for(self)

    def wait_for(self, of: Any) -> None:
        """Wait as between the tasks of this user or TaskSet."""
        threading.Event().wait(waiting_time(of, self))

    def stop(self, force: bool = False) -> bool:
        """Stop after this task."""
        raise StopUser

    def context(self) -> dict[str, object]:
        return {}


class HttpUser(RestCalls, User):
    """A user with a client for HTTP."""

    abstract = True

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        blocking: BlockingSession = environment.here.blocking
        base = blocking.session.base or environment.host or self.host or ""
        if not base:
            hint = "set `host` on the class, or pass --base http://host:port"
            raise ScenarioError(f"{type(self).__name__} has no host", hint=hint)
        self.client = LocustClient(blocking, base, environment.events.request)


class FastHttpUser(HttpUser):
    """The same as HttpUser here; in locust it has a quicker client."""

    abstract = True


def waiting_time(of: Any, user: User) -> float:
    """Seconds between the tasks of a user or TaskSet; sets without an own wait take the user's."""
    for one in (of, user):
        if one.min_wait is not None and one.max_wait is not None:  # milliseconds, before locust 1.0
            return random.uniform(one.min_wait, one.max_wait) / 1000  # noqa: S311
        if (older := getattr(one, "wait_function", None)) is not None:
            return float(older()) / 1000
        if one.wait_time is not None:
            return float(one.wait_time())
    return 0.0


class UserRun:
    """A user's way through its tasks, one step at a time; runs in a thread."""

    def __init__(
        self, user: User, chance: random.Random, only: set[str], without: set[str]
    ) -> None:
        self.user = user
        self.over = False
        self._chance = chance
        self._only, self._without = only, without  # tags
        # The user, and the task sets it is in, each with its order of tasks.
        self._stack: list[tuple[Any, Iterator[Any] | None]] = [(user, None)]

    def step(self) -> float:
        """Run one task; the seconds to wait afterwards. What the task raises is raised."""
        for _ in range(_MOST_ENTRIES):
            try:
                if self._run_one():
                    continue
            except InterruptTaskSet as exc:
                self._leave()
                if exc.reschedule:
                    continue
            except RescheduleTaskImmediately:
                continue
            except RescheduleTask:
                pass
            except StopUser:
                self.end()
            except StopTest:
                self.user.environment.runner.quit()
                self.end()
            except Exception as exc:
                self.user.environment.events.user_error.fire(
                    user_instance=self.user, exception=exc, tb=exc.__traceback__
                )
                raise
            break
        return 0.0 if self.over else waiting_time(self._stack[-1][0], self.user)

    def _run_one(self) -> bool:
        """Run a task, or enter a task set: then there is more to do."""
        here, order = self._stack[-1]
        tasks = here.tasks
        if self._only or self._without:
            tasks = with_tags(tasks, self._only, self._without)
        if order is None and not tasks:
            raise LocustError(f"{type(here).__name__} has no task")
        chosen = next(order) if order is not None else self._chance.choice(tasks)
        if not isinstance(chosen, type):
            chosen(here)
            return False
        inner: TaskSet = chosen(here)
        self._stack.append((inner, inner.order() if inner.tasks else None))
        inner.on_start()
        return True

    def _leave(self) -> None:
        if len(self._stack) == 1:
            raise LocustError("interrupt() outside of a TaskSet")
        self._stack.pop()[0].on_stop()

    def end(self) -> None:
        """Leave everything; on_stop of each."""
        if self.over:
            return
        self.over = True
        while len(self._stack) > 1:
            self._leave()
        self.user.on_stop()
