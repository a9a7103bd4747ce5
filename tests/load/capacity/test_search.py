"""The search's plan, step by step, with answers from a table."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from chapiteau.load.capacity.capacity_verdict import capacity_section, capacity_verdict
from chapiteau.load.capacity.search import search
from chapiteau.load.capacity.steps import SearchPlan, SearchResult, Step, StepObservation
from chapiteau.load.settings import LoadTest
from chapiteau.load.verdict.evidence import Batch, Evidence
from chapiteau.load.verdict.objectives import parse_objectives

if TYPE_CHECKING:
    from collections.abc import Callable

(P99,) = parse_objectives("p99 < 100ms")
TEST = LoadTest(target="http://localhost/", objective="p99 < 100ms")


def observed(step: Step, late: float, **more: object) -> StepObservation:
    """`late` requests in all batches alike."""
    batches = tuple(Batch(late, 1000) for _ in range(6))
    rate = step.rate or 100.0
    facts: dict[str, object] = {
        "rate": step.rate, "reached": rate, "sessions": rate, "seconds": step.seconds,
        "evidence": (Evidence(P99, 0.01, batches),), "p50": 0.01, "p99": 0.05,
    }  # fmt: skip
    return StepObservation(**{**facts, **more})  # type: ignore[arg-type]


def run(
    answer: Callable[[Step], StepObservation], plan: SearchPlan | None = None
) -> tuple[SearchResult, list[Step]]:
    steps, seen = search(plan or SearchPlan()), []
    try:
        step = next(steps)
        while True:
            seen.append(step)
            step = steps.send(answer(step))
    except StopIteration as end:
        return end.value, seen


def knee(at: float) -> Callable[[Step], StepObservation]:
    """A service without noise: 1 % late at this rate, steeply more above."""
    return lambda step: observed(
        step, min(1.0, 0.01 * (step.rate / at) ** 25) if step.rate else 0.0
    )


@pytest.mark.parametrize("at", [7.0, 80.0, 400.0, 12_345.0])
def test_a_knee_without_noise_is_found_closely(at: float) -> None:
    answer, _ = run(knee(at))

    assert answer.outcome == "found"
    assert 0.96 <= answer.held / at <= 1.0
    assert answer.failed is not None
    assert answer.failed > answer.held


def test_the_search_goes_probe_climb_bisect_hold_push_recover() -> None:
    _, steps = run(knee(400))
    phases = [s.phase for s in steps]

    assert phases[0] == "probe"
    assert list(dict.fromkeys(phases)) == ["probe", "climb", "bisect", "hold", "push", "recover"]
    assert steps[-1].rate == pytest.approx(
        next(s.rate for s in reversed(steps) if s.phase == "hold" and s.rate <= 400) / 2, rel=0.05
    )


def test_only_a_hold_may_pass() -> None:
    """Whatever the rough steps say, the answer is a rate that was held."""
    answer, steps = run(knee(300))

    assert answer.held in {s.rate for s in steps if s.phase == "hold"}


def test_a_generator_that_gives_out_is_never_held_against_the_service() -> None:
    def weak(step: Step) -> StepObservation:
        return observed(step, 0.0, limited="sessions began 9 ms late" if step.rate > 500 else "")

    answer, _ = run(weak)
    verdict = capacity_verdict(answer, TEST)

    assert answer.outcome == "generator-limited"
    assert 0 < answer.held <= 500
    assert verdict.exit_code == 10
    assert "generator is the limit" in verdict.line


def test_a_late_moment_of_the_generator_does_not_end_the_search() -> None:
    """Something else on the machine took the processor during the first step up."""
    late = iter(["sessions began 121 ms late (p99)"])

    def busy_once(step: Step) -> StepObservation:
        why = next(late, "") if step.phase == "climb" else ""
        return replace(observed(step, 0.5), late=why) if why else knee(400)(step)

    answer, _ = run(busy_once)

    assert answer.outcome == "found"
    assert answer.held > 380


def test_a_few_late_answers_without_a_queue_are_looked_at_twice() -> None:
    """The first step up has few requests: three slow ones must not make it a tenth of the truth."""
    unlucky = iter([0.013])

    def slow_once(step: Step) -> StepObservation:
        late = next(unlucky, None) if step.phase == "climb" else None
        return observed(step, late) if late else knee(4000)(step)

    answer, _ = run(slow_once)

    assert answer.held > 3800


def test_what_is_missed_without_a_queue_is_missed_at_any_rate() -> None:
    answer, steps = run(lambda step: observed(step, 0.1 if step.rate else 0.0))

    assert answer.outcome == "none"
    assert len(steps) <= 7


@pytest.mark.parametrize("phase", ["climb", "hold"])
def test_a_service_that_is_gone_is_left_alone(phase: str) -> None:
    def killed(step: Step) -> StepObservation:
        if step.phase == phase and step.rate > 300:
            return observed(step, 1.0, overloaded="errors", rested=15.0, gone="connection refused")
        return knee(400)(step)

    answer, steps = run(killed)
    verdict = capacity_verdict(answer, TEST)

    assert steps[-1].phase == phase
    assert (answer.outcome, verdict.exit_code) == ("gone", 8)
    assert "the service went down: connection refused" in verdict.line


def test_what_was_kept_before_the_service_went_down_is_still_said() -> None:
    def killed(step: Step) -> StepObservation:
        down = step.phase == "push"
        return observed(step, 1.0, rested=15.0, gone="closed early") if down else knee(400)(step)

    answer, _ = run(killed)

    assert answer.outcome == "found"
    assert 380 < answer.held <= 400
    assert "went down: closed early" in answer.notes[-1]


def test_time_that_an_overloaded_service_is_left_in_peace_is_of_the_budget() -> None:
    def slow_to_recover(step: Step) -> StepObservation:
        made = knee(400)(step)
        return replace(made, rested=15.0) if step.rate > 410 else made

    _, steps = run(slow_to_recover, SearchPlan(budget=200.0))
    rested = sum(15.0 for s in steps if s.rate > 410)

    assert rested >= 45.0
    assert sum(s.seconds for s in steps) + rested <= 215.0  # nobody knew of the last rest


def test_an_overload_ends_climbing() -> None:
    answer, steps = run(
        lambda step: observed(step, 0.0, overloaded="drowning" if step.rate > 200 else "")
    )

    assert answer.outcome == "found"
    assert answer.held <= 200
    assert [s.phase for s in steps].count("climb") <= 4


def test_a_first_rate_that_is_too_high_is_halved_until_it_is_kept() -> None:
    """A cliff; a step on its far side is ended after seconds."""

    def cliff(step: Step) -> StepObservation:
        if step.rate <= 20:
            return observed(step, 0.0)
        few = (Evidence(P99, 0.01, (Batch(1.0, 20),)),)
        return observed(step, 1.0, overloaded="drowning", seconds=2.0, evidence=few)

    answer, _ = run(cliff)

    assert 18.5 < answer.held <= 20


def test_nothing_is_found_when_every_rate_misses() -> None:
    answer, _ = run(lambda step: observed(step, 1.0 if step.rate else 0.0))
    verdict = capacity_verdict(answer, TEST)

    assert answer.outcome == "none"
    assert (verdict.word, verdict.exit_code) == ("not met", 8)


def test_a_lucky_neighbourhood_is_left_upwards() -> None:
    """Rough steps were unlucky at 250; holds show that there is room, and go up."""

    def moody(step: Step) -> StepObservation:
        if step.phase in {"climb", "bisect"}:
            return observed(step, 0.0 if step.rate < 250 else 0.5)
        return knee(300)(step)

    answer, _ = run(moody, SearchPlan(budget=900))

    assert 0.96 <= answer.held / 300 <= 1.0


@pytest.mark.parametrize(
    ("floor", "word", "code"), [(None, "met", 0), (100.0, "met", 0), (500.0, "not met", 8)]
)
def test_the_verdict_holds_the_capacity_against_what_was_asked(
    floor: float | None, word: str, code: int
) -> None:
    answer, _ = run(knee(400))
    test = LoadTest(target="x", objective="p99 < 100ms", min_capacity=floor)

    verdict = capacity_verdict(answer, test)

    assert (verdict.word, verdict.exit_code) == (word, code)


def test_the_document_holds_every_step_and_an_interval() -> None:
    answer, steps = run(knee(400))
    part = capacity_section(answer)

    assert len(part.steps) == len(steps)
    assert part.interval[0] <= part.held + 0.001 < part.interval[1]
    assert {s.outcome for s in part.steps} == {"kept", "missed"}
    assert not any(math.isnan(s.rate) for s in part.steps)


def test_what_is_kept_in_spite_of_a_late_generator_is_kept() -> None:
    def behind(step: Step) -> StepObservation:
        return replace(knee(400)(step), late="sessions began 9 ms late")

    answer, _ = run(behind)

    assert answer.outcome == "generator-limited"
    assert 0 < answer.held <= 400
    assert all(d.outcome != "missed" for d in answer.steps)


def test_a_generator_that_can_not_even_hold_says_nothing_of_the_service() -> None:
    def late(step: Step) -> StepObservation:
        share = 0.5 if step.phase == "hold" else 0.0
        return replace(observed(step, share), late="sessions began late")

    answer, _ = run(late, SearchPlan(max_rate=200))
    verdict = capacity_verdict(answer, TEST)

    assert (answer.outcome, verdict.exit_code) == ("generator-limited", 10)
    assert "nothing is said" in verdict.line
