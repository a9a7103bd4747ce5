"""Tasks, their weights and tags, and sets of tasks within each other."""

import itertools
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from chapiteau.migrate.locust.events import InterruptTaskSet, LocustError

__all__ = [
    "DefaultTaskSet",
    "MarkovTaskSet",
    "SequentialTaskSet",
    "TaskSet",
    "tag",
    "task",
    "tasks_of",
    "transition",
    "transitions",
    "with_tags",
]

F = TypeVar("F", bound=Any)


def task(weight: Any = 1) -> Any:
    """`@task` or `@task(3)` above a method or a nested TaskSet."""
    if callable(weight):
        weight.locust_task_weight = 1
        return weight

    def mark(function: F) -> F:
        function.locust_task_weight = int(weight)
        return function

    return mark


def tag(*tags: str) -> Callable[[F], F]:
    """Tags of a task, to choose tasks by."""

    def mark(function: F) -> F:
        function.locust_tag_set = set(tags) | getattr(function, "locust_tag_set", set())
        return function

    return mark


def tasks_of(cls: type) -> list[Any]:
    """The tasks of a class, each as often as it weighs: its own and those of its bases."""
    found: list[Any] = []
    for base in cls.__bases__:
        found += getattr(base, "tasks", None) or []
    own = cls.__dict__.get("tasks")
    if isinstance(own, Mapping):
        found += itertools.chain.from_iterable([one] * count for one, count in own.items())
    elif own:
        found += own
    for value in cls.__dict__.values():
        found += [value] * getattr(value, "locust_task_weight", 0)
    return found


def with_tags(tasks: list[Any], only: set[str], without: set[str]) -> list[Any]:
    """The tasks that tags let through; a TaskSet counts by what is in it."""

    def good(one: Any) -> bool:
        tags: set[str] = getattr(one, "locust_tag_set", set())
        if tags & without:
            return False
        inner = getattr(one, "tasks", None)
        if isinstance(one, type) and inner:
            return bool(tags & only) or bool(with_tags(inner, only - tags, without))
        return not only or bool(tags & only)

    return [one for one in tasks if good(one)]


class TaskSet:
    """A set of tasks that a user goes through until one interrupts it."""

    tasks: list[Any] = []  # noqa: RUF012 — each subclass gets its own
    wait_time: Any = None
    min_wait: float | None = None
    max_wait: float | None = None

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        cls.tasks = tasks_of(cls)

    def __init__(self, parent: Any) -> None:
        self._parent = parent
        self._user = parent if not isinstance(parent, TaskSet) else parent.user

    @property
    def user(self) -> Any:
        return self._user

    locust = user  # before locust 1.0

    @property
    def parent(self) -> Any:
        """The TaskSet or user around this one."""
        return self._parent

    @property
    def client(self) -> Any:
        return self._user.client

    def on_start(self) -> None:
        """Called when the user enters."""

    def on_stop(self) -> None:
        """Called when the user leaves."""

    def interrupt(self, reschedule: bool = True) -> None:
        raise InterruptTaskSet(reschedule)

    def wait(self) -> None:
        self._user.wait_for(self)

    def order(self) -> Iterator[Any] | None:
        """The tasks one after the other; None when chance decides."""
        return None


class SequentialTaskSet(TaskSet):
    """Tasks in the order in which they are written, again and again."""

    def order(self) -> Iterator[Any] | None:
        return itertools.cycle(self.tasks)


class DefaultTaskSet(TaskSet):
    """Locust's name for the tasks of a user itself."""


# ── MarkovTaskSet ─────────────────────────────────────────────────────────────────────────────
_MARK = "locust_transitions"


def transition(name: str, weight: int = 1) -> Callable[[F], F]:
    """After this task, that one may come."""
    return transitions({name: weight})


def transitions(to: Mapping[str, int] | Iterable[Any]) -> Callable[[F], F]:
    """After this task, one of those: a dict with weights, or a list of names and (name, weight)."""
    if isinstance(to, Mapping):
        weights = dict(to)
    else:
        weights = dict(one if isinstance(one, tuple) else (one, 1) for one in to)

    def mark(function: F) -> F:
        setattr(function, _MARK, {**getattr(function, _MARK, {}), **weights})
        return function

    return mark


class MarkovTaskSet(TaskSet):
    """Begins with the task that is written first; an `abstract` class is for others to extend."""

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        chain = [v for v in vars(cls).values() if hasattr(v, _MARK)]
        cls.tasks = chain or cls.tasks
        for one in chain:
            for name in getattr(one, _MARK):
                if not hasattr(getattr(cls, name, None), _MARK):
                    what = f"{cls.__name__}.{one.__name__} leads to {name!r}"
                    raise LocustError(f"{what}, which has no @transition of its own")
        if not cls.tasks and not cls.__dict__.get("abstract"):
            raise LocustError(f"{cls.__name__} has no task with @transition")

    def order(self) -> Iterator[Any] | None:
        """One task after the other, as chance and the weights have it."""
        here = self.tasks[0]
        while True:
            yield here
            weights: dict[str, int] = getattr(here, _MARK)
            name = random.choices([*weights], [*weights.values()])[0]  # noqa: S311 — a walk
            here = getattr(type(self), name)
