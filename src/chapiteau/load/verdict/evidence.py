"""What a step of a search has shown about each objective, batch by batch."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

from chapiteau.load.stats.totals import Totals
from chapiteau.load.verdict.objectives import Objective, passed_share

__all__ = ["Batch", "Evidence", "Mean", "Trend", "batch_mean", "collect_evidence", "trend"]


# Statistics of measurements that depend on each other, as those of a queue always do.
#
# Percentile intervals that treat requests as independent cover 0 to 51 % instead of 95 % near the
# knee (measured on a simulated M/M/1). So everything here works on batches of seconds.


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean of batches and its standard error, the dependence of neighbours included."""

    value: float
    error: float
    batches: int


def batch_mean(values: Sequence[float], weights: Sequence[float] | None = None) -> Mean:
    """Mean of batch values (weighted by their sizes) with a lag-1 corrected standard error.

    Var(mean) = s²/n · (1 + 2·r₁) for a process whose correlation ends after one batch; r₁ is taken
    between 0 and 0.9, since a negative estimate from few batches would flatter.
    (A. M. Law, Simulation Modeling and Analysis, ch. 9.)
    """
    count = len(values)
    if not count:
        return Mean(math.nan, math.inf, 0)
    sizes = list(weights) if weights is not None else [1.0] * count
    total = sum(sizes) or 1.0
    mean = sum(v * w for v, w in zip(values, sizes, strict=True)) / total
    if count == 1:
        return Mean(mean, math.inf, 1)
    spread = [v - mean for v in values]
    variance = sum(d * d for d in spread) / (count - 1)
    if variance <= 0:
        return Mean(mean, 0.0, count)
    lag = sum(a * b for a, b in pairwise(spread)) / (count - 1) / variance
    factor = 1 + 2 * min(0.9, max(0.0, lag))
    return Mean(mean, math.sqrt(variance / count * factor), count)


@dataclass(frozen=True, slots=True)
class Trend:
    """A robust slope per step, and how sure it is that there is one (|z| above 2.6: 99 %)."""

    slope: float
    z: float

    @property
    def rising(self) -> bool:
        """Whether it surely rises."""
        return self.z > 2.6 and self.slope > 0


def trend(values: Sequence[float]) -> Trend:
    """Theil–Sen's slope with Mann–Kendall's test (Kendall's tau against time).

    At most 120 points are looked at; more are thinned by means.
    """
    points = _thinned(values, 120)
    count = len(points)
    if count < 8:
        return Trend(0.0, 0.0)
    step = len(values) / count
    pairs = list(combinations(enumerate(points), 2))
    slopes = sorted((b - a) / (j - i) for (i, a), (j, b) in pairs)
    score = sum((b > a) - (b < a) for (_, a), (_, b) in pairs)
    spread = math.sqrt(count * (count - 1) * (2 * count + 5) / 18)
    z = (score - (score > 0) + (score < 0)) / spread
    middle = len(slopes) // 2
    slope = slopes[middle] if len(slopes) % 2 else (slopes[middle - 1] + slopes[middle]) / 2
    return Trend(slope / step, z)


def _thinned(values: Sequence[float], most: int) -> list[float]:
    step = max(1, math.ceil(len(values) / most))
    parts = [values[i : i + step] for i in range(0, len(values), step)]
    return [sum(part) / len(part) for part in parts]


@dataclass(frozen=True, slots=True)
class Batch:
    """One objective in one stretch of seconds: its value, and how many requests it rests on."""

    value: float
    count: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """An objective's batches against its limit, in the unit of the values.

    For percentiles the value is the share of late requests and the limit the share that may be
    late: shares add up over batches, percentiles don't.
    """

    objective: Objective
    limit: float
    batches: tuple[Batch, ...]

    @property
    def mean(self) -> Mean:
        """The batches' mean with its error."""
        full = [batch for batch in self.batches if batch.count]
        return batch_mean([b.value for b in full], [float(b.count) for b in full])

    @property
    def count(self) -> int:
        """Requests it rests on."""
        return sum(batch.count for batch in self.batches)

    def passes(self, errors: float = 0.0) -> bool:
        """Whether the mean, moved by so many standard errors to the worse, is within the limit."""
        mean = self.mean
        if not mean.batches or math.isnan(mean.value):
            return False
        shift = errors * mean.error if errors else 0.0
        if self.objective.above:
            return mean.value - shift >= self.limit
        return mean.value + shift <= self.limit

    def fails(self, errors: float) -> bool:
        """Whether the mean, moved by so many standard errors to the better, still misses."""
        mean = self.mean
        if not mean.batches or math.isinf(mean.error):
            return False
        if self.objective.above:
            return mean.value + errors * mean.error < self.limit
        return mean.value - errors * mean.error > self.limit


def collect_evidence(
    objectives: Sequence[Objective], totals: Totals, first: int, last: int, size: int
) -> tuple[Evidence, ...]:
    """Evidence from the seconds first … last - 1, in batches of `size` seconds."""
    return tuple(_one(objective, totals, first, last, size) for objective in objectives)


def _one(objective: Objective, totals: Totals, first: int, last: int, size: int) -> Evidence:
    limit = objective.limit if objective.allowed is None else objective.allowed
    if objective.metric in {"checks", "failed"}:
        return Evidence(objective, limit, (Batch(passed_share(objective, totals), totals.ended),))
    batches = []
    # What is left of the last batch joins the one before: a short batch weighs as noise.
    starts = list(range(first, max(first + 1, last - size + 1), size)) or [first]
    for number, start in enumerate(starts):
        stop = last if number == len(starts) - 1 else start + size
        part = totals.whole(objective.of, start, stop)
        if objective.metric == "rate":
            batches.append(Batch(part.count / max(1, stop - start), max(1, part.count)))
        elif not part.count:
            batches.append(Batch(0.0, 0))
        elif objective.allowed is not None:
            batches.append(Batch(objective.missed(part) / part.count, part.count))
        elif objective.metric == "mean":
            batches.append(Batch(part.latency.mean / 1e6, part.count))
        else:
            batches.append(Batch(part.latency.high / 1e6, part.count))
    if objective.metric == "max":
        worst = max((b.value for b in batches if b.count), default=math.nan)
        return Evidence(objective, limit, (Batch(worst, sum(b.count for b in batches)),))
    return Evidence(objective, limit, tuple(batches))
