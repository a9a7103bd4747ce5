"""Waits between a user's tasks; each returns a function that becomes a method of the class."""

import random
import time
from collections.abc import Callable
from typing import Any, Final

__all__ = ["between", "constant", "constant_pacing", "constant_throughput", "poisson"]

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
