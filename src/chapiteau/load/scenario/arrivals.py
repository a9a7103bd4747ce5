"""When sessions arrive: moments drawn from a shape, evenly or by chance, split over processes."""

import itertools
import math
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Literal

from chapiteau.load.scenario.shape import Shape

if TYPE_CHECKING:
    import random

__all__ = [
    "ArrivalSchedule",
    "Arrivals",
    "even_arrivals",
    "poisson_arrivals",
    "round_to_tick",
    "share",
    "split",
]

Arrivals = Literal["poisson", "even"]


class ArrivalSchedule:
    """The moments of arrivals along a shape that may change ahead of what has come.

    `counts` are how many have come, in units of the shape's area, when each of them is due: its
    inverse integral tells when that is. So a change leaves the past alone, and what comes is what
    would have come if the shape had been like that from the start.
    """

    def __init__(self, shape: Shape, counts: Iterator[float], tick: float = 0.0) -> None:
        self._shape = shape
        self._counts = counts
        self._count = 0.0
        self._tick = tick

    def __iter__(self) -> Iterator[float]:
        return round_to_tick(self._moments(), self._tick)

    def _moments(self) -> Iterator[float]:
        for count in self._counts:
            self._count = count
            moment = self._shape.when(count)
            if moment is None:
                return
            yield moment

    def change(self, shape: Shape) -> float | None:
        """Go on along this shape; when the arrival that it gave last is due now; None: never."""
        self._shape = shape
        moment = shape.when(self._count)
        return None if moment is None else next(round_to_tick(iter((moment,)), self._tick))


def even_arrivals(
    shape: Shape, part: int = 0, parts: int = 1, *, tick: float = 0.0
) -> ArrivalSchedule:
    """Seconds at which arrival 0, 1, 2 … is due; of several parts, each takes every n-th.

    The parts together are exactly what one alone would do.
    """
    return ArrivalSchedule(shape, itertools.count(float(part), parts), tick)


def poisson_arrivals(
    shape: Shape, chance: "random.Random", *, tick: float = 0.0
) -> ArrivalSchedule:
    """Arrivals that know nothing of each other, as users of a public service.

    Unit-rate gaps, stretched by the shape's inverse integral (E. Çinlar, Introduction to
    Stochastic Processes, 1975): exact for every shape. Independent streams of a share of the
    rate add up to one stream of the whole rate, so parts need no talk.
    """

    def counts() -> Iterator[float]:
        count = 0.0
        while True:
            count += chance.expovariate(1.0)
            yield count

    return ArrivalSchedule(shape, counts(), tick)


def round_to_tick(moments: Iterable[float], tick: float) -> Iterator[float]:
    """The same arrivals, each at the first moment of a grid of `tick` seconds that is not before
    it. Those moments are when they are due: a process that wakes up less often costs less CPU."""
    if tick <= 0:
        return iter(moments)
    return (math.ceil(moment / tick - 1e-9) * tick for moment in moments)


def share(total: int, part: int, parts: int) -> int:
    """One part of a whole number; all parts together are exactly that number."""
    return total // parts + (part < total % parts)


def split(total: int, parts: int) -> list[int]:
    """Whole numbers that differ by one at most and add up to the total."""
    return [share(total, part, parts) for part in range(parts)]
