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

from chapiteau.load.capacity.steps import StepResult
from chapiteau.load.verdict.evidence import Evidence, batch_mean

__all__ = ["RateEstimate", "estimate_rate", "is_overloaded", "limit_ratio"]

# d ln(late) / d ln(rate) of a queue is about the number of requests that come within the limit
# (late are exp(-(speed - rate) * limit) of all: J. F. C. Kingman, 1962), within these.
_FLAT: Final = 10.0
_STEEP: Final = 50.0
_USUAL: Final = 20.0  # … of objectives that are about no time
_PRIOR_SPREAD: Final = 0.004  # weight of that, as spread of ln(rate) of imagined holds
_HOLD: Final = 60.0  # seconds of a step that counts as one of these
_FLATTEST: Final = 6.0
_STEEPEST: Final = 120.0
_NEAR: Final = 0.12  # in ln(rate): further off, a step tells of another part of the curve
_SHOWS: Final = 8.0  # times below the limit: further down, chance alone makes late requests
_MOST: Final = 20.0  # times the limit: beyond, a share says nothing about the knee
_LEAST_ERROR: Final = 0.004  # what the model itself is off by, as a share of the rate
_BEND: Final = 0.5  # … and of the way from the rates that were measured
_SIGMAS: Final = 1.28  # standard errors below where the limit is reached: what is claimed
_LEAST_MARGIN: Final = 0.02  # … but at least this share below, and at most that
_MOST_MARGIN: Final = 0.03
_NONE_LATE: Final = 0.5  # late requests that a measurement without any stands for


@dataclass(frozen=True, slots=True)
class RateEstimate:
    """The rate at which the limit is reached, and its standard error as a share of it."""

    rate: float
    error: float

    @property
    def safe(self) -> float:
        """What may be claimed of it, and is held."""
        margin = max(_LEAST_MARGIN, min(_MOST_MARGIN, _SIGMAS * self.error))
        return self.rate * (1 - margin)

    def below(self, sigmas: float) -> float:
        """The rate so many standard errors below (above, when negative)."""
        return self.rate * math.exp(-sigmas * self.error)


def estimate_rate(done: Sequence[StepResult]) -> RateEstimate | None:
    """All holds, the strictest objective; None when all of them were overloaded.

    Beside others, a failed hold counts, but never as more than `_MOST` times the
    limit: to leave it out would be to listen to the lucky ones alone.
    """
    holds = [d for d in done if d.step.phase == "hold" and d.outcome != "generator-limited"]
    if all(is_overloaded(hold) for hold in holds):
        return None
    found = [_one(holds, done, number) for number in range(len(holds[0].observed.evidence))]
    return min((one for one in found if one is not None), key=lambda p: p.rate, default=None)


def is_overloaded(done: StepResult) -> bool:
    """Whether a step overloaded the service: its figures then tell for how long, and not
    how far from the knee it was."""
    over = max((limit_ratio(one) for one in done.observed.evidence), default=0.0)
    return bool(done.observed.overloaded) or over > _MOST


def _one(
    holds: Sequence[StepResult], done: Sequence[StepResult], number: int
) -> RateEstimate | None:
    usual = _usual(holds, number)
    near = _crossing(holds, number, usual)
    if near is None:
        return None
    steep = _steepness(done, number, usual, near)
    rate = _crossing(holds, number, steep) or near
    values, sizes = [], []
    away = weights = 0.0
    for hold in holds:
        one = hold.observed.evidence[number]
        scale = (rate / hold.step.rate) ** steep
        away += abs(math.log(rate / hold.step.rate)) * one.count / scale
        weights += one.count / scale
        for batch in one.batches:
            if batch.count:
                values.append(min(_MOST, _times(one, batch.value)) * scale)
                sizes.append(batch.count / scale)
    mean = batch_mean(values, sizes)
    spread = mean.error / mean.value if mean.value and math.isfinite(mean.error) else 1.0
    bend = _BEND * away / weights if weights else 0.0
    return RateEstimate(rate, math.hypot(min(1.5, spread) / steep, bend, _LEAST_ERROR))


def _crossing(holds: Sequence[StepResult], number: int, steep: float) -> float | None:
    """The rate at which the limit is reached when its excess grows so steeply."""
    weights = rated = over = 0.0
    base = max(hold.step.rate for hold in holds)  # powers of rates themselves would overflow
    for hold in holds:
        one = hold.observed.evidence[number]
        weights += one.count
        rated += one.count * (hold.step.rate / base) ** steep
        seen = max(limit_ratio(one), _NONE_LATE / max(1.0, one.count * one.limit))
        over += min(_MOST, seen) * one.count
    return base * (rated / over) ** (1 / steep) if weights and over else None


def limit_ratio(evidence: Evidence) -> float:
    """How many times over its limit an objective is."""
    value = evidence.mean.value
    return 0.0 if math.isnan(value) else _times(evidence, value)


def _times(evidence: Evidence, value: float) -> float:
    if evidence.objective.above:
        return evidence.limit / value if value else math.inf
    return value / evidence.limit if evidence.limit else (math.inf if value else 0.0)


def _usual(holds: Sequence[StepResult], number: int) -> float:
    """How steeply an objective's excess grows with the rate, before anything was measured."""
    objective = holds[0].observed.evidence[number].objective
    if objective.metric != "quantile":
        return _USUAL
    rates = sorted(hold.step.rate for hold in holds)
    return min(_STEEP, max(_FLAT, rates[len(rates) // 2] * objective.limit))


def _steepness(done: Sequence[StepResult], number: int, usual: float, rate: float) -> float:
    """d ln(excess) / d ln(rate) of one objective around a rate, by least squares over the steps
    there, weighed by their length, and held to its usual value by the weight of some holds."""
    points = []
    for one in done:
        if one.step.phase in {"climb", "bisect", "hold"} and one.observed.evidence:
            over = limit_ratio(one.observed.evidence[number])
            near = abs(math.log(one.step.rate / rate)) < _NEAR
            if near and 1 / _SHOWS < over < _MOST:
                weight = one.observed.seconds / _HOLD
                points.append((math.log(one.step.rate), math.log(over), weight))
    whole = sum(w for _, _, w in points) or 1.0
    x0 = sum(x * w for x, _, w in points) / whole
    y0 = sum(y * w for _, y, w in points) / whole
    spread = sum(w * (x - x0) ** 2 for x, _, w in points) + _PRIOR_SPREAD
    slope = sum(w * (x - x0) * (y - y0) for x, y, w in points) + _PRIOR_SPREAD * usual
    return min(_STEEPEST, max(_FLATTEST, slope / spread))
