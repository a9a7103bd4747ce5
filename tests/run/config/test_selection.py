"""Which services a person means."""

import pytest

from chapiteau.core.errors import NotFoundError
from chapiteau.run.config.selection import select, with_needs

NAMES = ("web", "web-admin", "worker", "db")


@pytest.mark.parametrize(
    ("wanted", "chosen"),
    [
        ("web", ["web"]),
        ("web*", ["web", "web-admin"]),
        ("w?b", ["web"]),
        ("db,web", ["web", "db"]),
        ("all", list(NAMES)),
        ("*", list(NAMES)),
        ("web, web*", ["web", "web-admin"]),
        ("", []),
    ],
)
def test_select(wanted: str, chosen: list[str]) -> None:
    assert select(wanted, NAMES) == chosen


@pytest.mark.parametrize("wanted", ["wbe", "web,x*", "WEB", "web.", "[", "\n", " , "])
def test_what_matches_nothing_is_not_found(wanted: str) -> None:
    with pytest.raises(NotFoundError):
        select(wanted, NAMES)


def test_all_of_nothing_is_nothing() -> None:
    assert select("all", ()) == []


def test_needs_are_followed_to_the_end_even_in_a_ring() -> None:
    needs = {"a": ("b",), "b": ("c",), "c": ("b",), "d": ()}
    assert with_needs(["a"], needs) == {"a", "b", "c"}


def test_our_own_are_meant_only_by_their_whole_name() -> None:
    names = ["web", "guard"]
    for wanted in ("all", "*", "g*,web"):
        if wanted == "g*,web":
            with pytest.raises(NotFoundError):
                select(wanted, names, own={"guard"})
        else:
            assert select(wanted, names, own={"guard"}) == ["web"]
    assert select("guard", names, own={"guard"}) == ["guard"]
