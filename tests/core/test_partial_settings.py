"""Rules look at what could be read, and say nothing of what only follows from a mistake."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from chapiteau.core.fields import read, setting
from chapiteau.core.partial_settings import is_known, read_partial, until_unknown

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    host: str = setting("here", help="x")
    port: int = setting(1, help="x", low=0)
    owner: str = setting(help="x")

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"


def rule(place: Place) -> Iterator[str]:
    if place.host == "bad":
        yield "host"
    if place.port > 9:
        yield "port"
    if not place.owner:
        yield "owner"


def test_what_is_right_is_the_dataclass_itself() -> None:
    value, found = read_partial(Place, {"owner": "me"})
    assert (value, found) == (Place(owner="me"), [])


def test_a_rule_ends_where_it_asks_for_what_is_not_known() -> None:
    value, found = read_partial(Place, {"host": "bad", "port": "many", "owner": ""}, ("place",))
    assert [place for place, _ in found] == [("place", "port")]
    assert value is not None
    assert list(until_unknown(rule(value))) == ["host"]
    assert is_known(value, "host", "owner")
    assert not is_known(value, "host", "port")
    assert not is_known(value, "address"), "a property asks for both"


def test_a_name_written_wrong_is_meant_for_the_nearest() -> None:
    value, _ = read_partial(Place, {"prot": 80, "owner": ""})
    assert not is_known(value, "port")
    assert is_known(value, "host")


def test_what_must_be_given_and_is_not_is_told_once() -> None:
    value, found = read_partial(Place, {"port": 80})
    assert [p.what for _, p in found] == ["must be given"]
    assert list(until_unknown(rule(value))) == ["port"] if value else False


def test_what_was_lost_in_parsing_is_no_problem_of_its_own() -> None:
    value, found = read_partial(Place, {"host": "bad"}, lost={"owner"})
    assert found == []
    assert list(until_unknown(rule(value))) == ["host"] if value else False


@given(
    st.dictionaries(
        st.sampled_from(["host", "port", "owner", "prot", "x"]),
        st.none() | st.integers(-2, 20) | st.sampled_from(["bad", "", "x"]),
    )
)
def test_it_finds_what_read_finds_and_knows_what_is_right(raw: dict[str, object]) -> None:
    value, found = read_partial(Place, raw)
    whole, same = read(Place, raw)
    assert found == same
    if whole is not None:
        assert value == whole
    bad = {place[0] for place, _ in found}
    for name in ("host", "port", "owner"):
        if name in raw and name not in bad and "prot" not in raw:
            assert getattr(value, name) == raw[name]
