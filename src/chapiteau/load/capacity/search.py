"""The search for the highest rate that keeps the objectives, as a plan that asks for steps.

`search` is a generator: it yields a Step, gets back what was Observed, and returns an Answer. It
touches nothing, so tests run it against simulated services whose true capacity is known.

Why so: a linear ramp overstates capacity by 5 to 12 %, plain bisection in 75 % of runs, and a
quiet first second fools every early "pass" (simulated, docs/explanation/how-the-verdict-is-made).
Hence rough steps find the neighbourhood, and only a long hold may pass; it goes down in small
steps until the upper bound of the share of late requests is within the objective. Early *fail* is
allowed everywhere: it can only make the answer lower.
"""

import math
from collections.abc import Generator
from dataclasses import replace
from typing import Final

from chapiteau.core.units import format_duration
from chapiteau.load.capacity.rate_estimate import RateEstimate, estimate_rate, is_overloaded
from chapiteau.load.capacity.steps import (
    ENOUGH_LATE,
    SearchInterrupted,
    SearchPlan,
    SearchResult,
    ServiceDown,
    Step,
    StepObservation,
    StepResult,
    is_idle,
    judge_step,
)
from chapiteau.load.report.result import Phase, SearchOutcome

__all__ = ["search"]

_CLIMB: Final = 1.5
_TRIES: Final = 2  # of a step up whose outcome may be chance
_HOPELESS: Final = 4  # steps missed without a queue
_GAP: Final = 1.06  # bisection ends when the bracket is this narrow
_FURTHEST_UP: Final = 1.08
_FURTHEST_DOWN: Final = 0.93
_AT_LEAST_DOWN: Final = 0.97
_LAST_DOWN: Final = 0.985
_WORTHWHILE: Final = 1.02  # a step smaller than this is not worth another hold
# … on both sides, of an interval that holds the truth in 9 of 10 searches: more than a normal
# distribution's 1.64, since spread and steepness are estimated, too (bench/load/capacity_truth.py).
_COVER: Final = 2.4
_SHARP: Final = 0.014  # standard error, as a share of the rate, that is good enough
_AS_GOOD: Final = 1.005  # rates this near are the same
_LEAKING: Final = 3  # holds during which something rose, and half of all: it will not stop
_LOWEST: Final = 0.05  # sessions a second below which nothing is tried
_LATE_EXPECTED: Final = 0.5  # late requests that a step at the limit should hold
_LONGEST_ROUGH: Final = 30.0
_AFTERMATH: Final = 15.0  # seconds to see whether it recovers
_LONG: Final = 120.0  # a search as long as this has them to spare
_BELOW: Final = 0.99  # of a rate: surely below it
_BETWEEN: Final = 1.5  # seconds that go by between two steps


Search = Generator[Step, StepObservation, SearchResult]


def search(plan: SearchPlan) -> Search:
    """Find the capacity. Yields steps, takes what was observed, returns the answer."""
    return _Search(plan).run()


class _Search:
    def __init__(self, plan: SearchPlan) -> None:
        self.plan = plan
        self.spent = 0.0
        self.done: list[StepResult] = []
        self.notes: list[str] = []
        self.limited = False
        self.estimate: RateEstimate | None = None

    # ── the whole way ─────────────────────────────────────────────────────────────────────────
    def run(self) -> Search:
        try:
            return (yield from self.whole())
        except ServiceDown:
            return self.gone(self.done[-1])
        except SearchInterrupted:
            kept = [d.step.rate for d in self.done if d.outcome == "kept"]
            self.notes.append("stopped before the end")
            low = max(kept, default=0.0)
            return self.answer("unsure", low=low, failed=self.lowest_failed(above=low))

    def whole(self) -> Search:
        probe = yield from self.step(Step(phase="probe", rate=0.0, seconds=self.probe_seconds()))
        if probe.outcome != "kept":
            if probe.outcome == "generator-limited":
                return self.answer("generator-limited")
            self.notes.append(f"one user alone already misses it: {probe.why}")
            return self.answer("none")
        low, high = yield from self.bracket(probe.observed)
        if low is None:
            self.notes.append(f"even {high:.3g}/s misses it" if high else "nothing was kept")
            return self.answer("generator-limited" if self.limited else "none", failed=high)
        if high is not None:
            low, high = yield from self.bisect(low, high)
        held = yield from self.hold(low)
        if self.leaks():
            self.estimate = None  # of a service that has changed meanwhile
            return self.answer("unsure", low=low, failed=high)
        if held is None:
            self.explain_unsure()
            holds = [d for d in self.done if d.step.phase == "hold"]
            if holds and all(d.outcome == "generator-limited" for d in holds):
                return self.answer("generator-limited", low=low, failed=high)
            return self.answer("unsure", low=low, failed=high)
        yield from self.aftermath(held)
        failed = self.lowest_failed(above=held.step.rate)
        kind: SearchOutcome = "found"
        if failed is None and high is None:
            kind = "generator-limited" if self.limited else "at least"
        return replace(
            self.answer(kind, failed=failed),
            held=held.step.rate,
            held_requests=held.observed.reached,
        )

    def gone(self, last: StepResult) -> SearchResult:
        """What is known of a service that answers no longer: what it kept below, if anything."""
        self.notes.append(
            f"at {last.step.rate:.4g}/s the service went down: {last.observed.gone}, "
            f"also to one user alone in the {format_duration(round(last.observed.rested))} after"
        )
        held = self.best(last.step.rate * _BELOW)
        if held is None:
            self.estimate = None
            return self.answer("gone", failed=last.step.rate)
        return replace(
            self.answer("found", failed=self.lowest_failed(above=held.step.rate)),
            held=held.step.rate,
            held_requests=held.observed.reached,
        )

    def answer(
        self,
        outcome: SearchOutcome,
        *,
        low: float = 0.0,
        failed: float | None = None,
    ) -> SearchResult:
        known = self.estimate
        return SearchResult(
            outcome=outcome,
            low=low,
            failed=failed,
            interval=self.within(known) if known else None,
            steps=tuple(self.done),
            notes=tuple(self.notes),
        )

    def within(self, known: RateEstimate) -> tuple[float, float]:
        """The interval. A rate whose hold failed is not carried."""
        low, high = known.below(_COVER), known.below(-_COVER)
        return low, max(low, min(high, self.lowest_overloaded()))

    def explain_unsure(self) -> None:
        """Say what stood in the way, and what to do next."""
        last = self.done[-1]
        holds = [done for done in self.done if done.step.phase == "hold"]
        late = sum(done.outcome == "generator-limited" for done in holds)
        more = format_duration(60 * math.ceil((self.plan.budget + 2 * self.plan.hold) / 60))
        if last.step.phase == "hold" and last.why.endswith("needed"):
            self.notes.append(f"too few requests ({last.why}): repeat with --budget {more}")
        elif late:
            self.notes.append(
                f"in {late} of {len(holds)} holds the load generator itself was late: repeat while "
                "the machine is quiet, or from another one"
            )
        elif holds:
            self.notes.append(f"no hold was kept within the time: repeat with --budget {more}")
        else:
            self.notes.append(f"no time was left for a hold: repeat with --budget {more}")

    def lowest_failed(self, above: float) -> float | None:
        """The nearest rate above that was missed; pushes are meant to miss, and say nothing."""
        return min(
            (
                done.step.rate
                for done in self.done
                if done.outcome == "missed"
                and done.step.rate > above
                and done.step.phase in {"climb", "bisect", "hold"}
            ),
            default=None,
        )

    # ── rough: climb, then bisect ─────────────────────────────────────────────────────────────
    def bracket(
        self, probe: StepObservation
    ) -> Generator[Step, StepObservation, tuple[float | None, float | None]]:
        """A rate that is kept and one that isn't (None when there is none)."""
        rate = min(self.plan.max_rate, max(_LOWEST, 0.5 * probe.sessions))
        low: float | None = None
        while self.affords(self.plan.rough):
            if low is not None and not self.affords(
                self.plan.rough + self.plan.least_hold + 2 * _BETWEEN
            ):
                return low, None  # what is kept so far can still be held
            done = yield from self.climb(rate, probe)
            if done.outcome == "generator-limited":
                self.limited = True
                return low, None
            if done.outcome == "kept":
                low = rate
                if rate >= self.plan.max_rate:
                    return low, None
                # No queue yet: two strides at once.
                stride = _CLIMB**2 if is_idle(done.observed, probe) else _CLIMB
                rate = min(self.plan.max_rate, rate * stride)
            elif low is not None:
                return low, rate
            else:
                high = rate
                # Further down, a step would hold too few requests to show anything; and what is
                # missed without a queue, again and again, no lower rate will mend.
                while (rate := rate / 2) >= self.lowest() and self.affords(self.plan.rough):
                    if self.idle_misses(probe) > _HOPELESS:
                        break
                    done = yield from self.step(self.rough("climb", rate))
                    if done.outcome == "kept":
                        return rate, high
                    high = rate
                return None, high
        return low, None

    def climb(
        self, rate: float, probe: StepObservation
    ) -> Generator[Step, StepObservation, StepResult]:
        """A step up; taken again when what it says may be chance: lateness of the generator, that
        of a busy moment, or a few late answers of a service that has no queue yet."""
        done = yield from self.step(self.rough("climb", rate))
        for _ in range(_TRIES - 1):
            late = done.outcome == "generator-limited" and not done.observed.limited
            few = done.outcome == "missed" and is_idle(done.observed, probe)
            if not (late or few) or not self.affords(self.plan.rough + self.plan.least_hold):
                break
            done = yield from self.step(self.rough("climb", rate))
        return done

    def idle_misses(self, probe: StepObservation) -> int:
        """Steps that missed it though there was no queue."""
        return sum(d.outcome == "missed" and is_idle(d.observed, probe) for d in self.done)

    def bisect(
        self, low: float, high: float
    ) -> Generator[Step, StepObservation, tuple[float, float]]:
        """Narrow the bracket, in log space, as long as time for a hold is left."""
        reserve = self.plan.hold + 2 * _BETWEEN
        while high / low > _GAP and self.affords(self.plan.rough + reserve):
            middle = math.sqrt(low * high)
            done = yield from self.step(self.rough("bisect", middle))
            if done.outcome == "generator-limited":
                # Below a rate that was reached: a moment of the machine. Believe it to be missed.
                high = middle
            elif done.outcome == "kept":
                low = middle
            else:
                high = middle
        return low, high

    # ── strict: holds ─────────────────────────────────────────────────────────────────────────
    def hold(self, low: float) -> Generator[Step, StepObservation, StepResult | None]:
        """Hold rates for long, each where all holds so far see the limit kept with some margin,
        until one is kept there and all together are sure enough; or until time is up."""
        rate = low * _AT_LEAST_DOWN  # the rough steps' luck was good more often than bad
        if low >= self.plan.max_rate:
            rate = low
        while self.for_holds() >= min(self.plan.least_hold, self.hold_seconds(rate)):
            seconds = min(self.hold_seconds(rate), self.for_holds())
            done = yield from self.step(Step(phase="hold", rate=rate, seconds=seconds))
            if done.outcome == "generator-limited":
                self.limited = True
                rate *= _AT_LEAST_DOWN
                continue
            if done.why.endswith("needed") or self.rising() >= _LEAKING:
                break
            self.estimate = estimate_rate(self.done)
            if self.estimate is None:
                rate *= _FURTHEST_DOWN
                continue
            safe = min(self.estimate.safe, self.plan.max_rate)
            best = self.best(safe * _AS_GOOD)
            if best is not None:
                enough = self.estimate.error <= _SHARP or best.step.rate >= self.plan.max_rate
                if enough and safe < best.step.rate * _WORTHWHILE:
                    return best
            if best is None and self.for_holds() < 2 * (self.plan.hold + _BETWEEN):
                safe *= _LAST_DOWN  # the last hold must be one that is kept
            safe = min(safe, self.lowest_overloaded() * _AT_LEAST_DOWN)
            rate = min(max(safe, rate * _FURTHEST_DOWN), rate * _FURTHEST_UP)
        if self.estimate is None:
            return None
        return self.best(self.estimate.safe * _AS_GOOD) or self.best(self.estimate.rate)

    def for_holds(self) -> float:
        """Seconds that a hold may take now; a search of some length keeps the aftermath's."""
        kept = _AFTERMATH if self.plan.budget >= _LONG else 0.0
        return self.left() - _BETWEEN - kept

    def rising(self) -> int:
        """Holds during which something rose, when they are half of all; 0 otherwise.

        A steady service shows one in ten at most, near the knee, too.
        """
        holds = [d for d in self.done if d.step.phase == "hold"]
        rose = sum(bool(d.observed.rising) for d in holds)
        return rose if rose * 2 >= len(holds) else 0

    def leaks(self) -> bool:
        """Whether it gets slower the longer it runs; says so."""
        rose = self.rising()
        if rose < _LEAKING:
            return False
        holds = [d for d in self.done if d.step.phase == "hold"]
        last = next(d.observed.rising for d in reversed(holds) if d.observed.rising)
        self.notes.append(
            f"in {rose} of {len(holds)} holds it got slower though the rate stayed the same "
            f"({last}): what it carries now it won't carry later"
        )
        return True

    def lowest_overloaded(self) -> float:
        """The lowest rate that overloaded the service in a hold."""
        holds = (d for d in self.done if d.step.phase == "hold" and is_overloaded(d))
        return min((done.step.rate for done in holds), default=math.inf)

    def best(self, most: float) -> StepResult | None:
        """The highest hold up to a rate that kept all objectives."""
        return max(
            (
                done
                for done in self.done
                if done.step.phase == "hold" and done.outcome == "kept" and done.step.rate <= most
            ),
            key=lambda done: done.step.rate,
            default=None,
        )

    def hold_seconds(self, rate: float) -> float:
        """A hold's length: longer at rates so low that it would hold too few requests."""
        needed = 1.2 * ENOUGH_LATE / (self.allowed() * rate) + 1.0
        return max(self.plan.hold, needed)

    def aftermath(self, held: StepResult) -> Generator[Step, StepObservation, None]:
        """A short push above, then half the load: does it come back by itself?"""
        if held.observed.rising:
            self.notes.append(f"{held.observed.rising} during the hold: it may not last")
        if not self.affords(_AFTERMATH - _BETWEEN):
            self.notes.append("no time was left to see whether it recovers from overload")
            return
        rate = held.step.rate
        failed = self.lowest_failed(above=rate)
        if failed is not None:
            yield from self.step(Step(phase="push", rate=failed * 1.2, seconds=4.0))
        done = yield from self.step(Step(phase="recover", rate=rate / 2, seconds=8.0, warm=0.0))
        recovery = done.observed.recovery
        if recovery is None:
            self.notes.append("at half the rate it did not come back to normal within 8 s")
        elif recovery >= 1:
            self.notes.append(f"back to normal {recovery:.0f} s after the load was halved")

    # ── steps ─────────────────────────────────────────────────────────────────────────────────
    def step(self, step: Step) -> Generator[Step, StepObservation, StepResult]:
        observed = yield step
        self.spent += (observed.seconds or step.seconds) + max(_BETWEEN, observed.rested)
        outcome, why = judge_step(step, observed)
        done = StepResult(step=step, observed=observed, outcome=outcome, why=why)
        self.done.append(done)
        if observed.gone:
            raise ServiceDown
        return done

    def rough(self, phase: Phase, rate: float) -> Step:
        """A short step, longer at rates so low that it would hold too few requests."""
        wanted = _LATE_EXPECTED / (self.allowed() * rate)
        return Step(
            phase=phase, rate=rate, seconds=min(max(self.plan.rough, wanted), _LONGEST_ROUGH)
        )

    def allowed(self) -> float:
        """The smallest share of requests that any objective lets miss it."""
        shares = [
            one.objective.allowed
            for done in self.done[:1]
            for one in done.observed.evidence
            if one.objective.metric == "quantile" and one.objective.allowed
        ]
        return min(shares, default=1.0)

    def lowest(self) -> float:
        """The lowest rate at which a rough step could show anything."""
        return max(_LOWEST, _LATE_EXPECTED / (self.allowed() * _LONGEST_ROUGH))

    def probe_seconds(self) -> float:
        return min(5.0, self.plan.rough)

    def left(self) -> float:
        return self.plan.budget - self.spent

    def affords(self, seconds: float) -> bool:
        return self.left() >= seconds + _BETWEEN
