"""A search's answer in words, in numbers, and as an exit code."""

from typing import Final

from chapiteau.load.capacity.steps import SearchResult, Step, StepObservation, StepResult
from chapiteau.load.report.result import CapacitySection, SearchStep
from chapiteau.load.settings import LoadTest
from chapiteau.load.verdict.run_verdict import Verdict

__all__ = ["capacity_section", "capacity_verdict", "step_line"]

_UNTRIED: Final = 1.06  # "at least" says nothing upward; other results are compared with this
_WIDE: Final = 1.5  # an interval wider than this factor says less than the bracket


def capacity_verdict(answer: SearchResult, test: LoadTest) -> Verdict:
    """Word, line and exit code.

    0 found (and at or above `min_capacity`), 1 not met, 2 unsure, 3 the generator was the limit.
    """
    objective = test.objective
    if answer.outcome == "none":
        return Verdict("not met", f"no rate keeps {objective}: {_last_note(answer)}")
    if answer.outcome == "gone":
        return Verdict("not met", f"no rate was kept: {_last_note(answer)}")
    if answer.outcome == "unsure":
        return Verdict("unsure", f"unsure: {_about(answer)}; {_more(answer)}")
    if answer.outcome == "generator-limited" and not answer.held:
        line = "the load generator was the limit, so nothing is said about the service"
        return Verdict("generator-limited", line)
    held = _rate(answer)
    floor = test.min_capacity
    if answer.outcome == "generator-limited":
        if floor is not None and answer.held >= floor:
            return Verdict("met", f"keeps {objective} at {held}, above the {floor:g}/s asked for")
        line = f"keeps {objective} at {held}; beyond that the load generator is the limit"
        return Verdict("generator-limited", line)
    if answer.outcome == "at least":
        line = f"keeps {objective} at {held}, the highest rate that was tried"
    else:
        least, most = _interval(answer)
        missed = f"; missed at {answer.failed:.4g}/s" if answer.failed else ""
        line = f"keeps {objective} up to {held} (90 % sure: {least:.4g} to {most:.4g}){missed}"
    if floor is not None and answer.held < floor:
        return Verdict("not met", f"{line}; {floor:g}/s were asked for")
    return Verdict("met", line)


def _rate(answer: SearchResult) -> str:
    """Sessions a second, and requests when a session has several."""
    text = f"{answer.held:.4g}/s"
    if answer.held_requests > answer.held * 1.2:
        text += f" ({answer.held_requests:.4g} requests/s)"
    return text


def _interval(answer: SearchResult) -> tuple[float, float]:
    """Where the rate lies at which the objective is just kept: 90 % sure."""
    if answer.interval is None or answer.outcome == "at least":
        return answer.held, answer.held * _UNTRIED
    low, high = answer.interval
    return min(low, answer.held), max(high, answer.held)


def _about(answer: SearchResult) -> str:
    """The best that can be said without a rate that was held."""
    if answer.interval is not None and answer.interval[1] < _WIDE * answer.interval[0]:
        low, high = answer.interval
        return f"about {(low * high) ** 0.5:.4g}/s (90 % sure: {low:.4g} to {high:.4g})"
    if answer.failed and answer.low:
        return f"between {answer.low:.4g}/s and {answer.failed:.4g}/s"
    if answer.failed:
        return f"below {answer.failed:.4g}/s"
    return f"perhaps {answer.low:.4g}/s" if answer.low else "no rate was tried for long enough"


def _last_note(answer: SearchResult) -> str:
    return answer.notes[-1] if answer.notes else "every step missed it"


def _more(answer: SearchResult) -> str:
    return answer.notes[-1] if answer.notes else "repeat with a longer --budget"


def capacity_section(
    answer: SearchResult, *, ceiling: float = 0.0, searched: float = 0.0, saturated: str = ""
) -> CapacitySection:
    """The document's part on the search. `ceiling`: what one load process can send; `saturated`:
    what gave out at the rate that was kept."""
    low, high = _interval(answer)
    return CapacitySection(
        outcome=answer.outcome,
        held=answer.held,
        held_requests=round(answer.held_requests, 3),
        failed=answer.failed,
        interval=(round(low, 3), round(high, 3)) if answer.held else None,
        notes=[*answer.notes, *([f"at this rate: {saturated}"] if saturated else [])],
        steps=[_step(done) for done in answer.steps],
        ceiling=round(ceiling),
        searched=round(searched, 3),
        saturated=saturated,
    )


def _step(done: StepResult) -> SearchStep:
    step, observed = done.step, done.observed
    return SearchStep(
        phase=step.phase,
        rate=round(step.rate or observed.sessions, 4),
        reached=round(observed.reached, 3),
        seconds=step.seconds,
        p50=observed.p50,
        p99=observed.p99,
        errors=observed.errors,
        running=round(observed.running, 2),
        outcome=done.outcome,
        why=done.why,
    )


def step_line(step: Step, observed: StepObservation) -> str:
    """A step of the search and what came of it, for a terminal."""
    rate = f"{step.rate:8.4g}/s" if step.rate else "  one user"
    p99 = "–" if observed.p99 is None else f"{observed.p99 * 1000:.3g}ms"
    good = all(e.passes() for e in observed.evidence)
    word = observed.overloaded or ("kept" if good else "missed")
    if observed.limited:
        word = f"generator-limited: {observed.limited}"
    elif observed.late and (observed.overloaded or not good):
        word = f"missed, but {observed.late}"
    return f"{step.phase:>8} {rate}  p99 {p99:>8}  errors {observed.errors * 100:.2g}%  {word}"
