"""When sessions arrive: moments drawn from a shape, evenly or by chance, split over processes."""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from chapiteau.load.logic.shape import Shape

if TYPE_CHECKING:
    import random

__all__ = ["Arrivals", "even", "poisson", "share", "split", "ticked"]

Arrivals = Literal["poisson", "even"]


def even(shape: Shape, part: int = 0, parts: int = 1) -> Iterator[float]:
    """Seconds at which arrival 0, 1, 2 … is due; of several parts, each takes every n-th.

    The parts together are exactly what one alone would do.
    """
    number = part
    while (moment := shape.when(number)) is not None:
        yield moment
        number += parts


def poisson(shape: Shape, chance: "random.Random") -> Iterator[float]:
    """Arrivals that know nothing of each other, as users of a public service.

    Unit-rate gaps, stretched by the shape's inverse integral (E. Çinlar, Introduction to
    Stochastic Processes, 1975): exact for every shape. Independent streams of a share of the
    rate add up to one stream of the whole rate, so parts need no talk.
    """
    count = 0.0
    while True:
        count += chance.expovariate(1.0)
        moment = shape.when(count)
        if moment is None:
            return
        yield moment


def ticked(moments: Iterator[float], tick: float) -> Iterator[float]:
    """The same arrivals, each at the first moment of a grid of `tick` seconds that is not before
    it. Those moments are when they are due: a process that wakes up less often costs less CPU."""
    if tick <= 0:
        return moments
    return (math.ceil(moment / tick - 1e-9) * tick for moment in moments)


def share(total: int, part: int, parts: int) -> int:
    """One part of a whole number; all parts together are exactly that number."""
    return total // parts + (part < total % parts)


def split(total: int, parts: int) -> list[int]:
    """Whole numbers that differ by one at most and add up to the total."""
    return [share(total, part, parts) for part in range(parts)]
