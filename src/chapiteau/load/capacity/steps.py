"""What a search for a capacity asks for, gets back, and answers."""

import math
from dataclasses import dataclass
from typing import Final

from chapiteau.load.report.result import Phase, SearchOutcome, StepOutcome
from chapiteau.load.stats.totals import Totals
from chapiteau.load.verdict.evidence import Evidence, collect_evidence
from chapiteau.load.verdict.step_guard import (
    StepGuard,
    generator_lateness,
    generator_limit,
    recovery_seconds,
    rising_metric,
)

__all__ = [
    "ENOUGH_LATE",
    "SearchInterrupted",
    "SearchPlan",
    "SearchResult",
    "ServiceDown",
    "Step",
    "StepObservation",
    "StepResult",
    "is_idle",
    "judge_step",
    "observe_step",
    "search_plan",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchPlan:
    """What the search may spend."""

    budget: float = 480.0  # seconds
    hold: float = 60.0  # seconds of the confirming hold
    rough: float = 6.0  # seconds of a climbing or bisecting step
    max_rate: float = math.inf
    batch: float = 5.0

    @property
    def least_hold(self) -> float:
        """A hold shorter than this says nothing."""
        return min(self.hold, 4 * self.batch)


# Seconds for the whole search and for a hold. At medium confidence, a service that carries some
# hundred requests a second needs about seven minutes until its holds hold enough late requests;
# a faster one ends sooner by itself (bench/load/capacity_truth.py).
_TIMES: Final = {"low": (180.0, 30.0), "medium": (480.0, 60.0), "high": (600.0, 120.0)}


def search_plan(confidence: str, budget: float = 0.0, max_rate: float = math.inf) -> SearchPlan:
    """The plan for a confidence ("low", "medium", "high"); a budget of 0 is the usual one."""
    usual, hold = _TIMES[confidence]
    budget = budget or usual
    return SearchPlan(
        budget=budget,
        hold=min(hold, max(10.0, budget * 0.4)),
        rough=min(6.0, max(3.0, budget / 30)),
        max_rate=max_rate,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One piece of load: this many sessions a second (0: one user, one session after the other)."""

    phase: Phase
    rate: float
    seconds: float
    warm: float = 1.0  # seconds at the start that don't count


@dataclass(frozen=True, slots=True, kw_only=True)
class StepObservation:
    """What a step has shown. Times in seconds."""

    rate: float  # sessions a second that were asked for
    reached: float  # requests a second that were sent
    sessions: float  # sessions a second that ended
    evidence: tuple[Evidence, ...]
    p50: float | None = None
    p99: float | None = None
    errors: float = 0.0
    running: float = 0.0  # sessions in flight, on average
    overloaded: str = ""  # why the guard ended the step early; "" when it did not
    limited: str = ""  # why the generator could not put all of the load on
    late: str = ""  # why a miss may be the generator's
    rising: str = ""  # what rose during the step, for holds
    seconds: float = 0.0  # how long it really took
    recovery: float | None = None  # seconds until latency was normal again, for `recover`
    rested: float = 0.0  # seconds that it was left in peace afterwards
    gone: str = ""  # why nothing was answered well even then; "" when something was


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    """A step with what came of it."""

    step: Step
    observed: StepObservation
    outcome: StepOutcome
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """The end of a search. `held` sessions a second were kept, `failed` is the next that wasn't."""

    outcome: SearchOutcome
    held: float = 0.0
    failed: float | None = None
    held_requests: float = 0.0  # the same in requests a second
    low: float = 0.0  # the bracket when unsure
    interval: tuple[float, float] | None = None  # 90 %, of the rate at which the limit is reached
    steps: tuple[StepResult, ...] = ()
    notes: tuple[str, ...] = ()


class ServiceDown(Exception):  # noqa: N818 — no error: it is an answer
    """A step after which the service no longer answers ends the search."""


class SearchInterrupted(Exception):  # noqa: N818 — no error: somebody wants to see what there is by now
    """Thrown into a search, it makes it answer with what it knows."""


def observe_step(
    step: Step, totals: Totals, guard: StepGuard, normal: float | None
) -> StepObservation:
    """What the counts of a step show; `normal` is the median latency of one user alone."""
    last = guard.ended or math.ceil(step.seconds)
    first = min(int(step.warm), last - 1)
    hold = step.phase == "hold"
    part = totals.whole("", first, last)
    span = max(1, last - first)
    running = [n for second, n in totals.running.items() if first <= second < last]
    recover = step.phase == "recover"
    return StepObservation(
        rate=step.rate,
        reached=part.count / span,
        sessions=totals.ended / max(1.0, float(last)),
        evidence=collect_evidence(guard.objectives, totals, first, last, 5 if hold else 1),
        p50=part.latency.quantile(0.5) / 1e6 if part.latency.count else None,
        p99=part.latency.quantile(0.99) / 1e6 if part.latency.count else None,
        errors=part.bad / part.count if part.count else 0.0,
        running=sum(running) / len(running) if running else 0.0,
        overloaded=guard.why,
        limited=generator_limit(totals),
        late=generator_lateness(totals, guard.objectives, normal),
        rising=rising_metric(totals, first, last) if hold else "",
        recovery=recovery_seconds(totals, guard.objectives, normal) if recover else None,
    )


# What one step of a search says by itself.

ENOUGH_LATE: Final = 3.0  # late requests that a hold at the limit should hold to tell anything
_NO_QUEUE: Final = 1.2  # times the median of one user alone


def is_idle(observed: StepObservation, probe: StepObservation) -> bool:
    """Whether there is no queue yet: the median is that of the service with one user."""
    if observed.overloaded or not probe.p50 or not observed.p50:
        return False
    return observed.p50 < _NO_QUEUE * probe.p50


def judge_step(step: Step, observed: StepObservation) -> tuple[StepOutcome, str]:
    """The outcome, and why it is none better."""
    if observed.limited:
        return "generator-limited", observed.limited
    missed = observed.overloaded or _missed(step, observed)
    if missed and observed.late:
        return "generator-limited", observed.late
    return ("missed", missed) if missed else ("kept", "")


def _missed(step: Step, observed: StepObservation) -> str:
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
