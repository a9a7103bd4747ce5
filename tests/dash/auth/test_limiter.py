"""Guessing is slow; others are not slowed."""

import pytest

from chapiteau.dash.auth.sessions import LoginLimiter


def test_five_tries_then_one_every_ten_seconds() -> None:
    limiter = LoginLimiter(burst=5, every=10)
    assert [limiter.wait("ana", 0.0) for _ in range(5)] == [0.0] * 5
    assert limiter.wait("ana", 0.0) == pytest.approx(10.0)
    assert limiter.wait("ana", 4.0) == pytest.approx(6.0)
    assert limiter.wait("ana", 10.0) == 0.0
    assert limiter.wait("ana", 10.0) > 0


def test_one_name_does_not_slow_another() -> None:
    limiter = LoginLimiter(burst=1)
    assert limiter.wait("ana", 0.0) == 0.0
    assert limiter.wait("bob", 0.0) == 0.0


def test_success_and_rest_forgive() -> None:
    limiter = LoginLimiter(burst=2, every=10)
    limiter.wait("ana", 0.0)
    limiter.wait("ana", 0.0)
    limiter.clear("ana")
    assert limiter.wait("ana", 0.0) == 0.0
    assert [limiter.wait("ana", 1000.0) for _ in range(2)] == [0.0, 0.0]


def test_many_names_do_not_fill_the_memory() -> None:
    limiter = LoginLimiter()
    for number in range(20_000):
        limiter.wait(f"n{number}", 0.0)
    assert len(limiter._full_at) == 10_000
