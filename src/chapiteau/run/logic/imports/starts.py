"""Failed starts in a row, after which supervisord and PM2 give a program up."""

from math import ceil
from typing import Final

from chapiteau.core.backoff import Backoff
from chapiteau.core.units import parse_duration
from chapiteau.run.logic.imports.draft import Target
from chapiteau.run.logic.spec import Restart

__all__ = ["give_up_after_failed_starts"]

_FOR_EVER: Final = 86400.0  # seconds
_OURS: Final = Restart()  # as it stands in the declaration: times are texts


def give_up_after_failed_starts(target: Target) -> None:
    """Let `restart.attempts` count lives shorter than `healthy_after`, and stay down then.

    Everything else of [restart] must stand. The window is made long enough for all the waits.
    """
    waits = Backoff(
        first=_seconds(target, "delay"),
        factor=target.get("restart.factor") or _OURS.factor,
        cap=_seconds(target, "max_delay"),
    )
    attempts = target.get("restart.attempts") or _OURS.attempts
    # After 60 waits each is as long as the longest.
    least = _seconds(target, "min_delay")
    waited = least + sum(max(least, waits.delay(n)) for n in range(1, min(attempts, 60)))
    waited += max(0, attempts - 60) * max(least, waits.cap)
    asked = (attempts + 1) * _seconds(target, "healthy_after") + waited * (1 + _OURS.jitter)
    if asked > _FOR_EVER:
        return  # so many that nobody saw the last one; ours goes on trying anyway
    target.set("restart.count", "unhealthy")
    target.set("restart.after_give_up", "stay-down")
    if asked >= _seconds(target, "window"):
        target.set("restart.window", f"{ceil(asked / 60) + 1}m")


def _seconds(target: Target, key: str) -> float:
    return parse_duration(target.get(f"restart.{key}") or getattr(_OURS, key))
