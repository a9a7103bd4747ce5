"""Guessing is slow; others are not slowed."""

import pytest

from chapiteau.dash.auth.sessions import LoginLimiter


def test_five_tries_then_one_every_ten_seconds() -> None:
    limiter = LoginLimiter(burst=5, every=10)
    assert [limiter.wait(0.0, "ana") for _ in range(5)] == [0.0] * 5
    assert limiter.wait(0.0, "ana") == pytest.approx(10.0)
    assert limiter.wait(4.0, "ana") == pytest.approx(6.0)
    assert limiter.wait(10.0, "ana") == 0.0
    assert limiter.wait(10.0, "ana") > 0


def test_one_name_does_not_slow_another() -> None:
    limiter = LoginLimiter(burst=1)
    assert limiter.wait(0.0, "ana") == 0.0
    assert limiter.wait(0.0, "bob") == 0.0


def test_success_and_rest_forgive() -> None:
    limiter = LoginLimiter(burst=2, every=10)
    limiter.wait(0.0, "ana")
    limiter.wait(0.0, "ana")
    limiter.clear("ana")
    assert limiter.wait(0.0, "ana") == 0.0
    assert [limiter.wait(1000.0, "ana") for _ in range(2)] == [0.0, 0.0]


def test_a_try_that_was_no_failure_is_given_back() -> None:
    limiter = LoginLimiter(burst=2, every=10)
    for _ in range(20):
        assert limiter.wait(0.0, "office") == 0.0
        limiter.give_back("office")
    assert [limiter.wait(0.0, "office") for _ in range(3)] == [0.0, 0.0, pytest.approx(10.0)]


def test_who_has_to_wait_for_one_name_uses_up_no_other() -> None:
    limiter = LoginLimiter(burst=2, every=10)
    for _ in range(9):
        limiter.wait(0.0, "ana", "attacker")
    assert limiter.wait(0.0, "bob", "attacker") == pytest.approx(10.0)
    assert [limiter.wait(0.0, "bob", "home") for _ in range(2)] == [0.0, 0.0]


def test_many_names_do_not_fill_the_memory() -> None:
    limiter = LoginLimiter()
    for number in range(20_000):
        limiter.wait(0.0, f"n{number}")
    assert len(limiter._full_at) == 10_000
