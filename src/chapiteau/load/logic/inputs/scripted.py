"""Rates that a scenario file works out by itself → a shape: asked each second before it runs."""

import itertools
import math
from collections.abc import Callable
from typing import Final

from chapiteau.load.errors import ScenarioError

__all__ = ["shape_of_rates"]

_LONGEST: Final = 24 * 3600  # seconds


def shape_of_rates(rate: Callable[[float], float], seconds: float) -> str:
    """The rates at each second, straight lines between them: "50/s->62/s 1s, 62/s->70/s 1s".

    Raises ScenarioError for what is no rate, and for a time that is none.
    """
    if not 1 <= seconds <= _LONGEST:
        raise ScenarioError(f"@rates({seconds!r}): from one second up to a day")
    levels = [_rate(rate, float(second)) for second in range(math.floor(seconds) + 1)]
    stages: list[tuple[float, float, int]] = []  # first, last, seconds
    for before, after in itertools.pairwise(levels):
        slope = after - before
        if stages and math.isclose(slope, (stages[-1][1] - stages[-1][0]) / stages[-1][2]):
            stages[-1] = (stages[-1][0], after, stages[-1][2] + 1)
        else:
            stages.append((before, after, 1))
    return ", ".join(f"{first:.6g}/s->{last:.6g}/s {time}s" for first, last, time in stages)


def _rate(rate: Callable[[float], float], at: float) -> float:
    name = getattr(rate, "__name__", "rates")
    try:
        found = float(rate(at))
    except Exception as exc:
        raise ScenarioError(f"{name}({at:g}) failed: {type(exc).__name__}: {exc}") from exc
    if not 0 <= found < math.inf:
        raise ScenarioError(f"{name}({at:g}) gave {found!r}: a rate is a number from 0 up")
    return found
