"""Delays grow, are capped, and are spread by chance that the caller gives."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chapiteau.core.backoff import Backoff

kinds = st.builds(
    Backoff,
    first=st.floats(0, 1e3),
    factor=st.floats(1, 1e6),
    cap=st.floats(0, 1e6),
    jitter=st.floats(0, 1),
)


@pytest.mark.parametrize(
    ("attempt", "delay"),
    [(0, 0.1), (1, 0.1), (2, 0.2), (3, 0.4), (10, 51.2), (11, 60.0), (10**9, 60.0)],
)
def test_delays_double_up_to_the_cap(attempt: int, delay: float) -> None:
    assert Backoff().delay(attempt) == pytest.approx(delay)


def test_nothing_doubled_stays_nothing() -> None:
    assert Backoff(first=0.0, factor=10.0).delay(10**6) == 0.0


def test_a_huge_factor_reaches_the_cap_instead_of_overflowing() -> None:
    assert Backoff(factor=1e10).delay(65) == 60.0


@given(kinds, st.integers(1, 10**6), st.integers())
def test_a_delay_is_within_its_jitter_and_never_above_the_cap(
    backoff: Backoff, attempt: int, seed: int
) -> None:
    plain, spread = backoff.delay(attempt), backoff.delay(attempt, Random(seed))
    assert 0 <= spread <= backoff.cap
    assert spread == pytest.approx(plain, rel=backoff.jitter + 1e-9, abs=1e-12)


@given(kinds, st.integers(1, 100))
def test_delays_never_shrink(backoff: Backoff, attempt: int) -> None:
    assert backoff.delay(attempt) <= backoff.delay(attempt + 1)


def test_the_same_chance_gives_the_same_delays() -> None:
    one, two = Random(7), Random(7)
    assert [Backoff().delay(i, one) for i in range(9)] == [
        Backoff().delay(i, two) for i in range(9)
    ]
