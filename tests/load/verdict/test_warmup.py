"""The warm-up: what is left out of limits on latency, and what never is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chapiteau.core.errors import UsageError
from chapiteau.load.scenario.shape import constant_shape, parse_shape
from chapiteau.load.stats.recorder import Recorder
from chapiteau.load.stats.totals import Totals
from chapiteau.load.verdict.objectives import evaluate_objectives, parse_objectives
from chapiteau.load.verdict.run_verdict import detect_warmup, parse_warmup


def run(*milliseconds: float, bad: int = 0) -> Totals:
    """One value for each second, twenty requests each; `bad` of them fail in the first."""
    recorder, totals = Recorder(), Totals()
    row = recorder.row("GET /")
    for second, value in enumerate(milliseconds):
        row.latency[second] += [round(value * 1000)] * 20
    row.bad[0] += bad
    row.statuses[200] += 20 * len(milliseconds)
    totals.add(recorder.flush())
    return totals


def test_slow_seconds_at_the_start_are_a_warm_up() -> None:
    totals = run(400, 300, 90, *[10, 11] * 14)

    assert detect_warmup(totals, constant_shape(20, 31.0)) == 3
    (finding,) = evaluate_objectives(parse_objectives("p99 < 50ms"), totals, 31.0, 3)
    assert (finding.met, finding.first_breach) == (True, None)
    assert not evaluate_objectives(parse_objectives("p99 < 50ms"), totals, 31.0)[0].met


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
    assert detect_warmup(run(*seconds), constant_shape(20, float(len(seconds)))) == 0, why


def test_a_load_that_begins_with_a_ramp_tells_of_none() -> None:
    totals = run(400, 300, *[10] * 28)

    assert detect_warmup(totals, parse_shape("10/s->20/s 10s, 20/s 20s", rates=True)) == 0


def test_what_the_user_says_counts() -> None:
    totals = run(*[10] * 30)

    assert detect_warmup(totals, constant_shape(20, 30.0), parse_warmup("7s")) == 7
    assert detect_warmup(run(400, *[10] * 29), constant_shape(20, 30.0), parse_warmup("0s")) == 0
    assert parse_warmup("auto") is None
    with pytest.raises(UsageError, match="warmup 'soon'"):
        parse_warmup("soon")


def test_failures_of_the_warm_up_count() -> None:
    totals = run(400, *[10] * 29, bad=12)

    (errors,) = evaluate_objectives(parse_objectives("errors < 1%"), totals, 30.0, 1)
    assert errors.value == 12 / 600


@given(st.lists(st.floats(1, 1000), min_size=1, max_size=60))
def test_at_most_a_third_is_left_out(milliseconds: list[float]) -> None:
    seconds = float(len(milliseconds))

    assert 0 <= detect_warmup(run(*milliseconds), constant_shape(20, seconds)) <= seconds / 3
