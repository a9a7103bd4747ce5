"""What one step of a search says by itself."""

import math
from typing import Final

from chapiteau.load.logic.capacity.evidence import Evidence
from chapiteau.load.logic.capacity.steps import Observed, Outcome, Step

__all__ = ["ENOUGH_LATE", "is_idle", "judged"]

ENOUGH_LATE: Final = 3.0  # late requests that a hold at the limit should hold to tell anything
_NO_QUEUE: Final = 1.2  # times the median of one user alone


def is_idle(observed: Observed, probe: Observed) -> bool:
    """Whether there is no queue yet: the median is that of the service with one user."""
    if observed.overloaded or not probe.p50 or not observed.p50:
        return False
    return observed.p50 < _NO_QUEUE * probe.p50


def judged(step: Step, observed: Observed) -> tuple[Outcome, str]:
    """The outcome, and why it is none better."""
    if observed.limited:
        return "generator-limited", observed.limited
    missed = observed.overloaded or _missed(step, observed)
    if missed and observed.late:
        return "generator-limited", observed.late
    return ("missed", missed) if missed else ("kept", "")


def _missed(step: Step, observed: Observed) -> str:
    """Which objective a step has missed; "" when it kept all."""
    for one in observed.evidence:
        if step.phase == "hold" and one.objective.metric == "quantile":
            needed = math.ceil(ENOUGH_LATE / one.limit)
            if one.count < needed:
                return f"{one.objective.text}: {one.count} of {needed} requests needed"
        if not one.passes():
            return _why(one)
    return ""


def _why(evidence: Evidence) -> str:
    objective, mean = evidence.objective, evidence.mean
    if math.isnan(mean.value):
        return f"{objective.text}: no data"
    if objective.metric == "quantile":
        return f"{objective.text}: {mean.value * 100:.3g}% were later"
    return f"{objective.text}: {objective.show(mean.value)}"
