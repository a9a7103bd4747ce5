"""Guessing made slow: a bucket of tries per account and per address."""

from collections import OrderedDict
from typing import Final

__all__ = ["Limiter"]

_MOST_NAMES: Final = 10_000


class Limiter:
    """`burst` tries at once, then one per `every` seconds, for each name."""

    def __init__(self, burst: int = 5, every: float = 10.0) -> None:
        self._burst = burst
        self._every = every
        self._full_at: OrderedDict[str, float] = OrderedDict()  # when the bucket is full again

    def wait(self, name: str, now: float) -> float:
        """Take one try: 0 when it may go on, else the seconds until the next one is free."""
        full_at = max(self._full_at.get(name, now), now)
        too_early = full_at + self._every - now - self._burst * self._every
        if too_early > 1e-9:
            return too_early
        self._full_at[name] = full_at + self._every
        self._full_at.move_to_end(name)
        while len(self._full_at) > _MOST_NAMES:
            self._full_at.popitem(last=False)
        return 0.0

    def clear(self, name: str) -> None:
        """Forget the tries after a success."""
        self._full_at.pop(name, None)
