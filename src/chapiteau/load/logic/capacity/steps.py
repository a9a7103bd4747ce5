"""What a search for a capacity asks for, gets back, and answers."""

import math
from dataclasses import dataclass
from typing import Final, Literal

from chapiteau.load.logic.capacity.evidence import Evidence

__all__ = [
    "Answer",
    "Done",
    "Observed",
    "Outcome",
    "Phase",
    "SearchEnded",
    "SearchPlan",
    "ServiceGone",
    "Step",
    "plan_of",
]

Phase = Literal["probe", "climb", "bisect", "hold", "push", "recover"]
Outcome = Literal["kept", "missed", "generator-limited", "unsure"]


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


def plan_of(confidence: str, budget: float = 0.0, max_rate: float = math.inf) -> SearchPlan:
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
class Observed:
    """What a step has shown. Times in seconds."""

    rate: float  # sessions a second that were asked for
    reached: float  # requests a second that were sent
    sessions: float  # sessions a second that ended
    evidence: tuple[Evidence, ...]
    p50: float | None = None
    p99: float | None = None
    errors: float = 0.0
    running: float = 0.0  # sessions on their way, on average
    overloaded: str = ""  # why the guard ended the step early; "" when it did not
    limited: str = ""  # why the generator could not put all of the load on
    late: str = ""  # why a miss may be the generator's
    rising: str = ""  # what rose during the step, for holds
    seconds: float = 0.0  # how long it really took
    recovery: float | None = None  # seconds until latency was normal again, for `recover`
    rested: float = 0.0  # seconds that it was left in peace afterwards
    gone: str = ""  # why nothing was answered well even then; "" when something was


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A step with what came of it."""

    step: Step
    observed: Observed
    outcome: Outcome
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The end of a search. `held` sessions a second were kept, `failed` is the next that wasn't."""

    outcome: Literal["found", "at least", "none", "gone", "unsure", "generator-limited"]
    held: float = 0.0
    failed: float | None = None
    held_requests: float = 0.0  # the same in requests a second
    low: float = 0.0  # the bracket when unsure
    interval: tuple[float, float] | None = None  # 90 %, of the rate at which the limit is reached
    steps: tuple[Done, ...] = ()
    notes: tuple[str, ...] = ()


class ServiceGone(Exception):  # noqa: N818 — no error: it is an answer
    """A step after which the service no longer answers ends the search."""


class SearchEnded(Exception):  # noqa: N818 — no error: somebody wants to see what there is by now
    """Thrown into a search, it makes it answer with what it knows."""
