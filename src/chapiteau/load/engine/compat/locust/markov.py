"""MarkovTaskSet: each task says which may come next, and how likely each of them is."""

import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from chapiteau.load.engine.compat.locust.errors import LocustError
from chapiteau.load.engine.compat.locust.tasks import TaskSet

__all__ = ["MarkovTaskSet", "transition", "transitions"]

F = TypeVar("F", bound=Any)
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
