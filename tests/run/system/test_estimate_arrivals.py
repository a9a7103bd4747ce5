"""How many connections came, from what could be counted of it."""

from __future__ import annotations

from chapiteau.run.system.accept_counter import estimate_arrivals

TCP = ("web", "admin")


def test_what_was_counted_one_by_one_stands_whatever_others_got() -> None:
    assert estimate_arrivals({"web": 5, "unix": 3}, TCP, 900, 1.0) == {"web": 5, "unix": 3}


def test_what_was_too_many_to_count_is_the_namespaces_sum_in_proportion() -> None:
    found = estimate_arrivals({"web": 900, "admin": 100, "unix": 200}, TCP, 20_000, 0.25)
    assert found == {"web": 18_000, "admin": 2_000, "unix": 800}


def test_without_the_sum_it_goes_on_at_its_pace() -> None:
    assert estimate_arrivals({"web": 900}, TCP, -1, 0.5) == {"web": 1_800}


def test_a_sum_below_what_was_counted_takes_nothing_away() -> None:
    assert estimate_arrivals({"web": 900, "unix": 0}, TCP, 10, 0.5) == {"web": 900, "unix": 0}


def test_nothing_counted_is_nothing() -> None:
    assert estimate_arrivals({"web": 0}, TCP, 500, 0.5) == {"web": 0}
