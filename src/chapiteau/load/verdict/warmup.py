"""The time in which a service is not yet itself: cold caches, pools to fill, code to compile.

Limits on how long answers take are judged without it. Failures count from the first second: a
service that refuses requests while it warms up refuses them.
"""

import math
from statistics import median
from typing import Final

from chapiteau.core.errors import UsageError
from chapiteau.core.units import parse_duration
from chapiteau.load.scenario.shape import Shape
from chapiteau.load.stats.totals import Totals

__all__ = ["detect_warmup", "parse_warmup"]

_SLOWER: Final = 1.5  # times the usual latency, at least, that a second of warm-up has
_APART: Final = 4.0  # … and as many robust standard deviations of the usual seconds beyond it
_SIGMA: Final = 1.4826  # standard deviation of a normal distribution by its median deviation
_SHARE: Final = 1 / 3  # of the steady time; what takes longer to settle is no warm-up
_FEWEST: Final = 12  # seconds with answers: fewer tell nothing
_ENOUGH: Final = 5  # requests that a second must have


def parse_warmup(text: str) -> float | None:
    """Seconds, or None for "auto". Raises UsageError."""
    if text == "auto":
        return None
    try:
        return parse_duration(text)
    except ValueError as exc:
        raise UsageError(f"warmup {text!r}: {exc}", hint='"auto", or a time such as 10s') from None


def detect_warmup(totals: Totals, shape: Shape, told: float | None = None) -> int:
    """Seconds at the start that limits on latency leave out.

    `told` is what the user says. Otherwise they are found where the load begins with a steady
    stage: the seconds from the first on whose mean latency lies clearly above that of the stage's
    second half. A slow second later on is none of them, and neither is what lasts for more than a
    third of the stage.
    """
    if told is not None:
        return math.ceil(min(told, shape.seconds))
    first = shape.stages[0]
    if first.period or abs(first.last - first.first) > 1e-9:
        return 0
    series = totals.series[""]
    last = int(first.seconds)
    means = {
        second: math.log(max(1.0, series[second].latency.mean))
        for second in range(last)
        if second in series and series[second].count >= _ENOUGH
    }
    usual = [value for second, value in means.items() if second >= last / 2]
    if len(means) < _FEWEST or len(usual) < _FEWEST / 2:
        return 0
    middle = median(usual)
    spread = _SIGMA * median(abs(value - middle) for value in usual)
    limit = middle + max(math.log(_SLOWER), _APART * spread)
    ended = 0
    while means.get(ended, -math.inf) > limit:
        ended += 1
    return ended if ended <= _SHARE * last else 0
