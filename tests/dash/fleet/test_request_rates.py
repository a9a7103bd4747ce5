"""Requests a second and p99 from sums that only grow."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chapiteau.dash.fleet.request_rates import RateWindow, RequestTotals, quantile

BOUNDS = (0.01, 0.1, 1.0, math.inf)


def totals(*counts: float, errors: float = 0, origin: str = "") -> RequestTotals:
    """Cumulative counts for BOUNDS."""
    buckets = tuple(zip(BOUNDS, counts, strict=True))
    return RequestTotals(count=counts[-1], errors=errors, buckets=buckets, origin=origin)


def test_a_rate_is_of_the_last_interval_and_p99_of_the_last_seconds() -> None:
    rates = RateWindow()
    assert rates.add(100.0, totals(0, 0, 0, 0)) is None
    first = rates.add(102.0, totals(100, 100, 100, 100, errors=4))
    assert first is not None
    assert (first.rate, first.errors) == (50, 2)
    assert first.p99 == pytest.approx(0.0099)
    later = rates.add(104.0, totals(100, 100, 110, 110, errors=4))
    assert later is not None
    assert (later.rate, later.errors) == (5, 0)
    assert later.p99 is not None
    assert 0.1 < later.p99 <= 1.0  # ten of the last 110 were slow
    idle = [rates.add(104.0 + s, totals(100, 100, 110, 110, errors=4)) for s in range(2, 16, 2)]
    assert idle[-1] is not None
    assert (idle[-1].rate, idle[-1].p99) == (0, None)


def test_sums_that_begin_anew_tell_nothing_once() -> None:
    rates = RateWindow()
    rates.add(0.0, totals(5, 5, 5, 5))
    assert rates.add(2.0, totals(1, 1, 1, 1)) is None
    assert rates.add(4.0, totals(3, 3, 3, 3)) is not None
    # Another process answers behind the same port: its larger sums are no burst of requests.
    assert rates.add(6.0, totals(900, 900, 900, 900, origin="2")) is None


def test_beyond_the_last_bound_nothing_is_guessed() -> None:
    assert quantile(totals(0, 0, 0, 0), totals(0, 0, 0, 9), 0.99) == 1.0
    assert quantile(totals(0, 0, 0, 0), RequestTotals(count=9, errors=0, buckets=()), 0.99) is None


@given(st.lists(st.floats(0.0001, 0.9), min_size=1, max_size=50), st.floats(0.01, 1.0))
def test_the_quantile_is_in_the_bucket_of_the_true_one(times: list[float], share: float) -> None:
    counts = [sum(t <= bound for t in times) for bound in BOUNDS]
    found = quantile(totals(0, 0, 0, 0), totals(*counts), share)
    true = sorted(times)[math.ceil(share * len(times) - 1e-9) - 1]
    bucket = next(bound for bound in BOUNDS if true <= bound)
    lower = max((bound for bound in BOUNDS if bound < bucket), default=0.0)
    assert found is not None
    assert lower <= found <= bucket
