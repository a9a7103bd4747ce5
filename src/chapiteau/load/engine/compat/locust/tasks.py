"""Tasks, their weights and tags, and sets of tasks within each other."""

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from chapiteau.load.engine.compat.locust.errors import InterruptTaskSet

__all__ = ["DefaultTaskSet", "SequentialTaskSet", "TaskSet", "tag", "task", "tasks_of", "wanted"]

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


def wanted(tasks: list[Any], only: set[str], without: set[str]) -> list[Any]:
    """The tasks that tags let through; a TaskSet counts by what is in it."""

    def good(one: Any) -> bool:
        tags: set[str] = getattr(one, "locust_tag_set", set())
        if tags & without:
            return False
        inner = getattr(one, "tasks", None)
        if isinstance(one, type) and inner:
            return bool(tags & only) or bool(wanted(inner, only - tags, without))
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
        """The user whose tasks these are."""
        return self._user

    locust = user  # before locust 1.0

    @property
    def parent(self) -> Any:
        """The TaskSet or user around this one."""
        return self._parent

    @property
    def client(self) -> Any:
        """The user's client."""
        return self._user.client

    def on_start(self) -> None:
        """Called when the user enters."""

    def on_stop(self) -> None:
        """Called when the user leaves."""

    def interrupt(self, reschedule: bool = True) -> None:
        """Leave this TaskSet."""
        raise InterruptTaskSet(reschedule)

    def wait(self) -> None:
        """Wait as between tasks."""
        self._user.wait_for(self)

    def order(self) -> Iterator[Any] | None:
        """The tasks one after the other; None when chance decides."""
        return None


class SequentialTaskSet(TaskSet):
    """Tasks in the order in which they are written, again and again."""

    def order(self) -> Iterator[Any] | None:
        """The tasks, over and over."""
        return itertools.cycle(self.tasks)


class DefaultTaskSet(TaskSet):
    """Locust's name for the tasks of a user itself."""
