"""What a step of a search has shown about each objective, batch by batch."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from chapiteau.load.stats.totals import Totals
from chapiteau.load.verdict.batch_statistics import Mean, batch_mean
from chapiteau.load.verdict.objectives import Objective, passed_share

__all__ = ["Batch", "Evidence", "collect_evidence"]


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
