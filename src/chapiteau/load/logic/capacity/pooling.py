"""What all holds of a search say together: the rate at which the objectives are just kept.

One hold is a noisy witness: near the knee, a minute's share of late requests is off by half of
itself. So a hold that is kept by luck must not decide alone. How the share grows with the rate is
known well enough from the steps (`steepness`); that carries each hold's batches to a common rate,
and there they count as one long measurement.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from chapiteau.load.logic.capacity.evidence import Evidence
from chapiteau.load.logic.capacity.statistics import batch_mean
from chapiteau.load.logic.capacity.steps import Done

__all__ = ["Pooled", "drowned", "excess", "pooled"]

_STEEP: Final = 20.0  # usual d ln(late) / d ln(rate); M/M/1 at 80 to 95 % load: 20 to 45
_PRIOR_SPREAD: Final = 0.005  # weight of that, as spread of ln(rate) of imagined holds
_HOLD: Final = 60.0  # seconds of a step that counts as one of these
_FLATTEST: Final = 4.0
_STEEPEST: Final = 50.0
_MOST: Final = 20.0  # times the limit: beyond, a share says nothing about the knee
_LEAST_ERROR: Final = 0.004  # what the model itself is off by, as a share of the rate
_NONE_LATE: Final = 0.5  # late requests that a measurement without any stands for


@dataclass(frozen=True, slots=True)
class Pooled:
    """The rate at which the limit is reached, and its standard error as a share of it."""

    rate: float
    error: float

    def below(self, sigmas: float) -> float:
        """The rate so many standard errors below (above, when negative)."""
        return self.rate * math.exp(-sigmas * self.error)


def pooled(done: Sequence[Done]) -> Pooled | None:
    """All holds that were not under water, the strictest objective; None when there are none."""
    holds = [d for d in done if d.step.phase == "hold" and _usable(d)]
    if not holds:
        return None
    found = [_one(holds, done, number) for number in range(len(holds[0].observed.evidence))]
    return min((one for one in found if one is not None), key=lambda p: p.rate, default=None)


def _usable(done: Done) -> bool:
    return done.outcome != "generator-limited" and not drowned(done)


def drowned(done: Done) -> bool:
    """Whether a step put the service under water: its figures then tell for how long, and not
    how far from the knee it was."""
    over = max((excess(one) for one in done.observed.evidence), default=0.0)
    return bool(done.observed.overloaded) or over > _MOST


def _one(holds: Sequence[Done], done: Sequence[Done], number: int) -> Pooled | None:
    steep = _steepness(done, number)
    weights = rated = over = 0.0
    for hold in holds:
        one = hold.observed.evidence[number]
        weights += one.count
        rated += one.count * hold.step.rate**steep
        over += max(excess(one), _NONE_LATE / max(1.0, one.count * one.limit)) * one.count
    if not weights or not over:
        return None
    rate = (rated / over) ** (1 / steep)
    values, sizes = [], []
    for hold in holds:
        one = hold.observed.evidence[number]
        scale = (rate / hold.step.rate) ** steep
        for batch in one.batches:
            if batch.count:
                values.append(_times(one, batch.value) * scale)
                sizes.append(batch.count / scale)
    mean = batch_mean(values, sizes)
    spread = mean.error / mean.value if mean.value and math.isfinite(mean.error) else 1.0
    return Pooled(rate, math.hypot(min(1.5, spread) / steep, _LEAST_ERROR))


def excess(evidence: Evidence) -> float:
    """How many times over its limit an objective is."""
    value = evidence.mean.value
    return 0.0 if math.isnan(value) else _times(evidence, value)


def _times(evidence: Evidence, value: float) -> float:
    if evidence.objective.above:
        return evidence.limit / value if value else math.inf
    return value / evidence.limit if evidence.limit else (math.inf if value else 0.0)


def _steepness(done: Sequence[Done], number: int) -> float:
    """d ln(excess) / d ln(rate) of one objective, by least squares over the steps near its
    limit, weighed by their length, and held to its usual value by the weight of some holds."""
    points = []
    for one in done:
        if one.step.phase in {"climb", "bisect", "hold"} and one.observed.evidence:
            over = excess(one.observed.evidence[number])
            if 1 / (_MOST / 2) < over < _MOST:
                weight = one.observed.seconds / _HOLD
                points.append((math.log(one.step.rate), math.log(over), weight))
    whole = sum(w for _, _, w in points) or 1.0
    x0 = sum(x * w for x, _, w in points) / whole
    y0 = sum(y * w for _, y, w in points) / whole
    spread = sum(w * (x - x0) ** 2 for x, _, w in points) + _PRIOR_SPREAD
    slope = sum(w * (x - x0) * (y - y0) for x, y, w in points) + _PRIOR_SPREAD * _STEEP
    return min(_STEEPEST, max(_FLATTEST, slope / spread))
