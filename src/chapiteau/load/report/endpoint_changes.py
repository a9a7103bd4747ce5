"""Which endpoints have changed, and whether that is more than chance."""

import math
from typing import TYPE_CHECKING, Final

from chapiteau.core.histogram import Histogram
from chapiteau.load.report.result import EndpointChange, EndpointRow, LoadResult
from chapiteau.load.stats.recorder import decode_histogram
from chapiteau.load.stats.resampling import BatchQuantiles, quantile_changes, resample_independent

if TYPE_CHECKING:
    import random

__all__ = [
    "DRAWS",
    "FEWEST_BATCHES",
    "LEVEL",
    "change_verdict",
    "compare_endpoints",
]

_MOST: Final = 100  # names
_LOOKED_AT: Final = 30  # names whose differences get an interval: the most frequent ones
DRAWS: Final = 400
FEWEST_BATCHES: Final = 8  # batches below which no interval is worth printing
_REQUESTS: Final = 500  # of each side: five beyond the p99
LEVEL: Final = 0.95
_SHARE: Final = 0.99


def compare_endpoints(
    a: LoadResult, b: LoadResult, margin: float, chance: "random.Random"
) -> list[EndpointChange]:
    """p99 of each name that both results have: before, after, change, interval (None without
    enough requests) and word: slower, faster, same, noise or cannot tell.

    The intervals hold for all names together (Bonferroni): of thirty endpoints that are the same,
    none may be called slower just because there are thirty.
    """
    after = {row.name: row for row in b.rows}
    both = [(row, after[row.name]) for row in a.rows[:_MOST] if row.name in after]
    both = [(one, two) for one, two in both if one.p99 and two.p99]
    judged = [pair for pair in both if all(map(_enough, pair))][:_LOOKED_AT]
    found = []
    for one, two in both:
        before, later = one.p99 or math.nan, two.p99 or math.nan
        low: float | None = None
        high: float | None = None
        if (one, two) in judged:
            low, high = _interval(_parts(a, one), _parts(b, two), len(judged), chance)
        found.append(
            EndpointChange(
                name=one.name,
                before=before,
                after=later,
                change=later / before - 1,
                low=low,
                high=high,
                word=change_verdict(low, high, margin),
            )
        )
    return found


def change_verdict(low: float | None, high: float | None, margin: float) -> str:
    """What an interval says: slower or faster than the margin, the same within it, noise where
    the difference may be chance alone, cannot tell otherwise."""
    if low is None or high is None or math.isnan(low):
        return "cannot tell"
    if low > margin:
        return "slower"
    if high < -margin:
        return "faster"
    if low >= -margin and high <= margin:
        return "same"
    return "noise" if low <= 0 <= high else "cannot tell"


def _enough(row: EndpointRow) -> bool:
    parts = row.batches.parts if row.batches else []
    return row.requests >= _REQUESTS and len(parts) >= FEWEST_BATCHES


def _parts(result: LoadResult, row: EndpointRow) -> list[Histogram]:
    """Without the first seconds, which hold connecting and caches, where enough is left."""
    if row.batches is None:
        return []
    parts = [decode_histogram(text) for text in row.batches.parts]
    cold = math.ceil(max(1, result.warmup) / row.batches.seconds)
    return parts[cold:] if len(parts) >= FEWEST_BATCHES + cold else parts


def _interval(
    one: list[Histogram], two: list[Histogram], names: int, chance: "random.Random"
) -> tuple[float, float]:
    """The p99's relative change, at a level that holds for so many names at once."""
    draws = (resample_independent(len(one), len(two), chance) for _ in range(DRAWS))
    drawn = quantile_changes(BatchQuantiles(one), BatchQuantiles(two), _SHARE, draws)
    edge = int(DRAWS * (1 - LEVEL) / 2 / names)
    return drawn[edge], drawn[-1 - edge]
