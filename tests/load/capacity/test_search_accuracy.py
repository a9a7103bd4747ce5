"""The capacity that is found, against services whose capacity is known.

The whole proof, 50 searches for each service, is bench/load/capacity_truth.py; here are fewer.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from chapiteau.load.capacity.steps import SearchPlan, SearchResult, search_plan
from chapiteau.load.testing import (
    Leaking,
    Metastable,
    Model,
    Queue,
    Scaling,
    Stalling,
    mmc_capacity,
    simulated_search,
)
from chapiteau.load.verdict.objectives import parse_objectives

if TYPE_CHECKING:
    from collections.abc import Callable

HIGH = search_plan("high")
MEDIUM = search_plan("medium")
OBJECTIVE = parse_objectives("p99 < 50ms")


def found(
    model: Model, plan: SearchPlan = MEDIUM, seed: int = 1, limit: str = "p99 < 50ms"
) -> SearchResult:
    return simulated_search(model, parse_objectives(limit), plan, seed)


# Slow services are cheap to simulate; 250/s within 100 ms has the statistics of 500/s within 50 ms.
CARRIES = mmc_capacity(1 / 250, 1, 0.99, 0.1)
KINDS: dict[str, tuple[Callable[[int], Model], float]] = {
    "M/M/1": (lambda seed: Queue(1 / 250, seed=seed), CARRIES),
    "M/M/4": (lambda seed: Queue(4 / 250, 4, seed=seed), mmc_capacity(4 / 250, 4, 0.99, 0.1)),
    # Tips over beyond 0.8 s of backlog, which only too high a rate brings about.
    "metastable": (lambda seed: Metastable(1 / 250, 0.8, 4.0, seed=seed), CARRIES),
    # 1 % slower by the end of the search.
    "leaking": (lambda seed: Leaking(1 / 250, 1e-7, seed=seed), CARRIES * 0.99),
    # By long simulation (bench/load/capacity_truth.py).
    "stalling": (lambda seed: Stalling(1 / 250, 10.0, 0.06, line=True, seed=seed), 198.6),
    "USL": (lambda _: Scaling(0.05, 0.02, 0.0005), 225.6),
}


@pytest.mark.timeout(180)  # a machine that is busy with other tests needs its time
@pytest.mark.slow
@pytest.mark.parametrize(
    "kind",
    [kind if kind == "M/M/1" else pytest.param(kind, marks=pytest.mark.long) for kind in KINDS],
)
def test_services_are_found_within_6_percent_below_and_2_above(kind: str) -> None:
    make, truth = KINDS[kind]
    shares = [found(make(seed), HIGH, seed, "p99 < 100ms").held / truth for seed in range(3)]

    assert sum(0.94 <= share <= 1.02 for share in shares) >= 2, shares
    assert sum(share > 1 for share in shares) <= 1, shares
    assert all(0.9 <= share <= 1.03 for share in shares), shares


@pytest.mark.slow
def test_the_interval_holds_the_truth() -> None:
    answers = [found(Queue(1 / 250, seed=seed), MEDIUM, seed, "p99 < 100ms") for seed in range(6)]

    held = [a.interval is not None and a.interval[0] <= CARRIES <= a.interval[1] for a in answers]
    assert sum(held) >= 5, [a.interval for a in answers]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_a_leak_leaves_the_answer_open_and_ends_the_search(seed: int) -> None:
    """A third slower with each minute: the rate that was kept at last would not be kept again."""
    answer = found(Leaking(0.002, 2e-5), MEDIUM, seed, "p99 < 500ms")

    assert answer.outcome == "unsure"
    assert answer.interval is None
    assert "it got slower though the rate stayed the same" in answer.notes[-1]
    assert sum(d.observed.seconds for d in answer.steps) < MEDIUM.budget / 2


@pytest.mark.slow
def test_a_steady_service_shows_no_leak() -> None:
    answers = [found(Queue(0.002, seed=seed), MEDIUM, seed) for seed in range(4)]

    assert not any("got slower" in note for a in answers for note in a.notes)
    assert sum(any("rose by" in note for note in a.notes) for a in answers) <= 1


@pytest.mark.slow
def test_a_service_that_stays_down_is_told_from_one_that_comes_back() -> None:
    """It tips over at a backlog that the push above capacity brings about."""
    down = found(Metastable(0.002, tip=0.15, slow=4.0), MEDIUM, 1, "p99 < 100ms")
    sound = found(Queue(0.002), MEDIUM, 1, "p99 < 100ms")

    assert not any("did not come back" in note for note in sound.notes)
    assert down.outcome in {"found", "unsure", "none"}


def test_a_service_that_stalls_keeps_no_tight_limit() -> None:
    """200 ms of standing still in every 2 s make a tenth of all requests late."""
    answer = found(Stalling(0.001, every=2.0, length=0.2), MEDIUM, 1)

    assert answer.outcome == "none"
    assert "misses it" in answer.notes[-1]


def test_too_few_requests_are_no_proof() -> None:
    """At 1/s a minute holds 60 requests: one in a hundred of them says nothing."""
    answer = found(Queue(0.8, 1, fixed=True), MEDIUM, 1, "p99 < 4s")

    assert answer.outcome == "unsure"
    assert "too few requests" in answer.notes[-1]


def test_what_is_slow_at_rest_has_no_capacity() -> None:
    answer = found(Queue(0.2, fixed=True), MEDIUM, 1)

    assert answer.outcome == "none"
    assert answer.held == 0


def test_the_highest_allowed_rate_is_not_exceeded() -> None:
    plan = SearchPlan(max_rate=100, hold=30)
    answer = found(Queue(0.001), plan, 1)

    assert answer.outcome == "at least"
    assert answer.held == 100
    assert max(d.step.rate for d in answer.steps) <= 100


def test_a_search_without_time_says_that_it_is_unsure() -> None:
    answer = found(Queue(0.002), SearchPlan(budget=18, hold=60, rough=3), 1)

    assert answer.outcome == "unsure"
    assert 0 < answer.low < 500


def test_little_time_is_kept_for_a_hold_of_what_is_known_by_then() -> None:
    answer = found(Queue(0.002), SearchPlan(budget=36, hold=60, rough=3), 1)

    assert answer.outcome == "at least"
    assert 0 < answer.held < CARRIES * 2


def test_the_budget_is_kept() -> None:
    answer = found(Queue(0.004, 2), SearchPlan(budget=120, hold=30), 1)

    assert sum(d.observed.seconds for d in answer.steps) <= 120


def test_the_model_of_a_queue_has_the_distribution_of_theory() -> None:
    """P(T > t) of an M/M/1 is exp(-(µ-λ)t): the closed form against Erlang's."""
    assert mmc_capacity(0.001, 1, 0.99, 0.05) == pytest.approx(1000 - math.log(100) / 0.05)
    assert mmc_capacity(0.004, 4, 0.99, 0.05) < 1000
    # As many servers as one likes: only the service itself, exp(-µt), is left.
    assert mmc_capacity(0.01, 40, 0.99, 0.05) > 3000
