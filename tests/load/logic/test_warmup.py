"""The warm-up: what is left out of limits on latency, and what never is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chapiteau.core.errors import UsageError
from chapiteau.load.logic.objective import judge, parse_objectives
from chapiteau.load.logic.shape import parse_shape, steady
from chapiteau.load.logic.tally import Tally
from chapiteau.load.logic.totals import Totals
from chapiteau.load.logic.warmup import parse_warmup, warm_up


def run(*milliseconds: float, bad: int = 0) -> Totals:
    """One value for each second, twenty requests each; `bad` of them fail in the first."""
    tally, totals = Tally(), Totals()
    row = tally.row("GET /")
    for second, value in enumerate(milliseconds):
        row.latency[second] += [round(value * 1000)] * 20
    row.bad[0] += bad
    row.statuses[200] += 20 * len(milliseconds)
    totals.add(tally.flush())
    return totals


def test_slow_seconds_at_the_start_are_a_warm_up() -> None:
    totals = run(400, 300, 90, *[10, 11] * 14)

    assert warm_up(totals, steady(20, 31.0)) == 3
    (finding,) = judge(parse_objectives("p99 < 50ms"), totals, 31.0, 3)
    assert (finding.met, finding.first_breach) == (True, None)
    assert not judge(parse_objectives("p99 < 50ms"), totals, 31.0)[0].met


@pytest.mark.parametrize(
    ("seconds", "why"),
    [
        ([10] * 30, "nothing is slow"),
        ([10] * 5 + [900] * 3 + [10] * 22, "a stall later on is the service's own"),
        ([500] * 15 + [10] * 15, "half of the time is no warm-up"),
        ([300 - 9 * n for n in range(30)], "it never settles"),
        ([100, 10, 100, 12, 90, 15] * 5, "as noisy later as at the start"),
        ([500, 10, 10, 10, 10], "too short to tell"),
    ],
)
def test_what_is_no_warm_up_counts(seconds: list[float], why: str) -> None:
    assert warm_up(run(*seconds), steady(20, float(len(seconds)))) == 0, why


def test_a_load_that_begins_with_a_ramp_tells_of_none() -> None:
    totals = run(400, 300, *[10] * 28)

    assert warm_up(totals, parse_shape("10/s->20/s 10s, 20/s 20s", rates=True)) == 0


def test_what_the_user_says_counts() -> None:
    totals = run(*[10] * 30)

    assert warm_up(totals, steady(20, 30.0), parse_warmup("7s")) == 7
    assert warm_up(run(400, *[10] * 29), steady(20, 30.0), parse_warmup("0s")) == 0
    assert parse_warmup("auto") is None
    with pytest.raises(UsageError, match="warmup 'soon'"):
        parse_warmup("soon")


def test_failures_of_the_warm_up_count() -> None:
    totals = run(400, *[10] * 29, bad=12)

    (errors,) = judge(parse_objectives("errors < 1%"), totals, 30.0, 1)
    assert errors.value == 12 / 600


@given(st.lists(st.floats(1, 1000), min_size=1, max_size=60))
def test_at_most_a_third_is_left_out(milliseconds: list[float]) -> None:
    seconds = float(len(milliseconds))

    assert 0 <= warm_up(run(*milliseconds), steady(20, seconds)) <= seconds / 3
