"""Resamples of short times in a row, and quantiles of what was drawn (block bootstrap)."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

from chapiteau.core.histogram import Histogram

if TYPE_CHECKING:
    import random

__all__ = [
    "BatchQuantiles",
    "Resampler",
    "block_resample",
    "quantile_changes",
    "resample_independent",
    "resample_pairs",
]


Resampler = Callable[[int, int, "random.Random"], tuple[Counter[int], Counter[int]]]


def resample_independent(
    one: int, two: int, chance: "random.Random"
) -> tuple[Counter[int], Counter[int]]:
    """A resample of each by itself; blocks of n^⅓ neighbours, the usual length."""

    def drawn(count: int) -> Counter[int]:
        return Counter(block_resample(count, max(1, round(count ** (1 / 3))), chance))

    return drawn(one), drawn(two)


def resample_pairs(
    one: int, two: int, chance: "random.Random"
) -> tuple[Counter[int], Counter[int]]:
    """A resample of pairs. Turns lie apart in time already, so that single pairs are drawn."""
    drawn = Counter(block_resample(min(one, two), 1, chance))
    return drawn, drawn


class BatchQuantiles:
    """Quantiles of batches drawn several times, without merging them anew for each draw."""

    def __init__(self, batches: Sequence[Histogram]) -> None:
        counts = [dict(batch.buckets()) for batch in batches]
        self._values = sorted({value for one in counts for value in one})
        self._upto = [list(accumulate(one.get(v, 0) for v in self._values)) for one in counts]

    def quantile(self, share: float, drawn: Counter[int]) -> float:
        """The value that `share` of all requests of the drawn batches do not exceed."""
        weighted = [(self._upto[index], times) for index, times in drawn.items()]
        rank = max(1, math.ceil(share * sum(upto[-1] * times for upto, times in weighted) - 1e-9))
        low, high = 0, len(self._values) - 1
        while low < high:
            middle = (low + high) // 2
            if sum(upto[middle] * times for upto, times in weighted) >= rank:
                high = middle
            else:
                low = middle + 1
        return self._values[low]


def quantile_changes(
    before: BatchQuantiles,
    after: BatchQuantiles,
    share: float,
    draws: Iterable[tuple[Counter[int], Counter[int]]],
) -> list[float]:
    """Relative changes of a quantile, one for each pair of resamples, in order."""
    return sorted(
        max(1.0, after.quantile(share, two)) / max(1.0, before.quantile(share, one)) - 1
        for one, two in draws
    )


def block_resample(length: int, block: int, chance: "random.Random") -> list[int]:
    """Indexes of one block-bootstrap sample: whole blocks of neighbours, joined at random.

    Circular blocks (D. N. Politis and J. P. Romano, 1992) keep the dependence within a block.
    """
    indexes: list[int] = []
    while len(indexes) < length:
        start = chance.randrange(length)
        indexes += [(start + i) % length for i in range(block)]
    return indexes[:length]
