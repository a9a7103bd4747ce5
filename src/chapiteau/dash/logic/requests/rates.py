"""How many requests a second, and how long they take: differences of sums that only grow."""

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from chapiteau.dash.logic.requests.reading import Totals

__all__ = ["Figures", "Rates", "quantile"]

_WINDOW: Final = 10.0  # seconds over which the slowest are looked for: a few requests tell little


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one service, now."""

    rate: float  # requests a second
    p99: float | None  # seconds; None when there was none, or its text has no buckets
    errors: float  # answers with 5xx a second

    def to_list(self) -> list[float | None]:
        """As in a statistics message."""
        p99 = None if self.p99 is None else round(self.p99, 5)
        return [round(self.rate, 2), p99, round(self.errors, 2)]


@dataclass(slots=True)
class Rates:
    """One service's past of a few seconds."""

    _seen: "deque[tuple[float, Totals]]" = field(default_factory=deque)

    def add(self, now: float, totals: Totals) -> Figures | None:
        """Take what was read at `now` (any clock that runs evenly).

        None at first, and again after a restart: then its sums began anew.
        """
        if self._seen and _anew(self._seen[-1][1], totals):
            self._seen.clear()
        self._seen.append((now, totals))
        while len(self._seen) > 2 and self._seen[1][0] <= now - _WINDOW:
            self._seen.popleft()
        if len(self._seen) < 2:
            return None
        began, before = self._seen[-2]
        elapsed = now - began
        if elapsed <= 0:
            return None
        return Figures(
            rate=(totals.count - before.count) / elapsed,
            p99=quantile(self._seen[0][1], totals, 0.99),
            errors=(totals.errors - before.errors) / elapsed,
        )


def _anew(before: Totals, after: Totals) -> bool:
    return after.count < before.count or after.origin != before.origin


def quantile(before: Totals, after: Totals, share: float) -> float | None:
    """Seconds that this share of the requests between the two took at most.

    Between a bucket's bounds it is guessed along a line, as Prometheus does; what is beyond the
    last finite bound counts as that bound.
    """
    earlier = dict(before.buckets)
    grown = [(bound, count - earlier.get(bound, 0.0)) for bound, count in after.buckets]
    if not grown or grown[-1][1] <= 0:
        return None
    rank = share * grown[-1][1]
    low, below = 0.0, 0.0
    for bound, count in grown:
        if count >= rank and count > below:
            if bound == float("inf"):
                return low
            return low + (bound - low) * (rank - below) / (count - below)
        low, below = bound, max(below, count)
    return low
