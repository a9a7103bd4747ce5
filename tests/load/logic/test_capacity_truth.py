"""The capacity that is found, against services whose capacity is known.

The whole proof, 50 searches for each service, is bench/load/capacity_truth.py; here are fewer.
"""

from __future__ import annotations

import math

import pytest

from chapiteau.load.logic.capacity.steps import Answer, SearchPlan
from chapiteau.load.logic.objective import parse_objectives
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

HIGH = SearchPlan(budget=600, hold=120)
MEDIUM = SearchPlan()
OBJECTIVE = parse_objectives("p99 < 50ms")


def found(
    model: Model, plan: SearchPlan = MEDIUM, seed: int = 1, limit: str = "p99 < 50ms"
) -> Answer:
    return simulated_search(model, parse_objectives(limit), plan, seed)


@pytest.mark.timeout(120)  # a busy machine under coverage needs its time
@pytest.mark.slow
@pytest.mark.parametrize("servers", [1, 4])
def test_queues_are_found_within_6_percent_below_and_2_above(servers: int) -> None:
    truth = mmc_capacity(servers / 1000, servers, 0.99, 0.05)
    shares = [
        found(Queue(servers / 1000, servers, seed=seed), HIGH, seed).held / truth
        for seed in range(6)
    ]

    good = [share for share in shares if 0.94 <= share <= 1.02]
    assert len(good) >= 5, shares
    assert sum(share > 1 for share in shares) <= 2, shares


@pytest.mark.slow
def test_a_service_that_gets_slower_with_its_load_is_found() -> None:
    """Under the scalability law each of N requests takes R(N); the limit on R gives N, and
    Little's law the rate N / R(N)."""
    limit, mean, contention, coherency = 0.05, 0.02, 0.02, 0.0005
    inside = max(
        n for n in range(1, 500)
        if mean * (1 + contention * (n - 1) + coherency * n * (n - 1)) <= limit
    )  # fmt: skip
    ceiling = inside / limit

    held = found(Scaling(mean, contention, coherency), MEDIUM, 3).held

    # Arrivals by chance bring bursts, so that the rate lies below that of a steady N.
    assert 0.6 * ceiling < held < ceiling


@pytest.mark.slow
def test_a_leak_is_seen_during_the_hold() -> None:
    answer = found(Leaking(0.002, 2e-5), MEDIUM, 2, "p99 < 500ms")

    assert answer.outcome in {"found", "unsure"}
    assert any("rose by" in note for note in answer.notes) or answer.outcome == "unsure"


@pytest.mark.slow
def test_a_steady_service_shows_no_leak() -> None:
    answers = [found(Queue(0.002, seed=seed), MEDIUM, seed) for seed in range(4)]

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
    """At 2/s a minute holds 120 requests: one in a hundred of them says nothing."""
    answer = found(Queue(0.2, 1, fixed=True), MEDIUM, 1, "p99 < 1s")

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
    answer = found(Queue(0.002), SearchPlan(budget=32, hold=60, rough=3), 1)

    assert answer.outcome == "unsure"
    assert 0 < answer.low < 500


def test_the_budget_is_kept() -> None:
    answer = found(Queue(0.004, 2), SearchPlan(budget=120, hold=30), 1)

    assert sum(d.observed.seconds for d in answer.steps) <= 120


def test_the_model_of_a_queue_has_the_distribution_of_theory() -> None:
    """P(T > t) of an M/M/1 is exp(-(µ-λ)t): the closed form against Erlang's."""
    assert mmc_capacity(0.001, 1, 0.99, 0.05) == pytest.approx(1000 - math.log(100) / 0.05)
    assert mmc_capacity(0.004, 4, 0.99, 0.05) < 1000
    # As many servers as one likes: only the service itself, exp(-µt), is left.
    assert mmc_capacity(0.01, 40, 0.99, 0.05) > 3000
