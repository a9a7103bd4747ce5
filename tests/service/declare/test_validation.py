"""The second pass complains exactly when the decoder does, and says where."""

from __future__ import annotations

import dataclasses
from datetime import datetime
from enum import Enum
from typing import Annotated, Any, Literal, TypedDict

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from chapiteau.service.declare.validation import MOST, IssueCollector, json_pointer


class Colour(Enum):
    RED = "red"


class Inner(msgspec.Struct, forbid_unknown_fields=True):
    n: Annotated[int, Meta(ge=0)]


@dataclasses.dataclass
class Data:
    a: int
    b: str = ""


class Typed(TypedDict, total=False):
    a: int


class Outer(msgspec.Struct, rename="camel"):
    first_name: Annotated[str, Meta(min_length=1, pattern="^[a-z]+$")]
    inner: Inner
    many: Annotated[list[Inner], Meta(max_length=3)] = []
    by_name: dict[str, int] = {}
    pair: tuple[int, str] = (0, "")
    either: int | str | None = None
    maybe: Inner | None = None
    colour: Colour = Colour.RED
    when: datetime | None = None
    kind: Literal["x", "y"] = "x"
    data: Data | None = None
    typed: Typed | None = None
    itself: Outer | None = None


GOOD = {"firstName": "ann", "inner": {"n": 1}}


def places(value: object, kind: Any = Outer) -> set[tuple[str, str]]:
    return {(c.pointer, c.code) for c in IssueCollector(kind)(value)}


def test_nothing_is_wrong_with_a_good_value() -> None:
    assert IssueCollector(Outer)(GOOD) == []


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"firstName": ""}, {("/firstName", "length")}),
        ({"firstName": "A"}, {("/firstName", "pattern")}),
        ({"inner": {"n": -1, "m": 2}}, {("/inner/n", "range"), ("/inner/m", "unknown")}),
        ({"inner": 5}, {("/inner", "type")}),
        ({"many": [{"n": "x"}, {}, {"n": 1}]}, {("/many/0/n", "type"), ("/many/1/n", "missing")}),
        ({"many": [{"n": 1}] * 4}, {("/many", "length")}),
        ({"byName": {"a/b": "x", "c": 1}}, {("/byName/a~1b", "type")}),
        ({"pair": [1]}, {("/pair", "length")}),
        ({"pair": ["x", 1]}, {("/pair/0", "type"), ("/pair/1", "type")}),
        ({"either": []}, {("/either", "type")}),
        ({"maybe": {"n": None}}, {("/maybe/n", "type")}),
        ({"colour": "blue", "kind": "z"}, {("/colour", "choice"), ("/kind", "choice")}),
        ({"when": "yesterday"}, {("/when", "format")}),
        ({"data": {"b": 1}}, {("/data/a", "missing"), ("/data/b", "type")}),
        ({"typed": {"a": "x"}}, {("/typed/a", "type")}),
        ({"itself": {"inner": {}}}, {("/itself/firstName", "missing"), ("/itself/inner/n", "missing")}),  # noqa: E501
    ],
)  # fmt: skip
def test_where_and_what(change: dict[str, Any], found: set[tuple[str, str]]) -> None:
    assert places({**GOOD, **change}) == found


def test_several_at_once() -> None:
    assert places({"inner": {"n": -1}, "either": [], "kind": 1}) == {
        ("/firstName", "missing"),
        ("/inner/n", "range"),
        ("/either", "type"),
        ("/kind", "type"),
    }


def test_what_only_the_type_itself_knows() -> None:
    class Span(msgspec.Struct):
        low: int
        high: int

        def __post_init__(self) -> None:
            if self.low > self.high:
                raise ValueError("low is above high")

    (complaint,) = IssueCollector(Span)({"low": 2, "high": 1})
    assert (complaint.pointer, complaint.detail) == ("", "low is above high")


def test_an_answer_never_grows_beyond_measure() -> None:
    assert len(IssueCollector(list[int])(["x"] * 10_000)) == MOST


def test_pointers_escape() -> None:
    assert json_pointer(("a/b", 0, "c~d")) == "/a~1b/0/c~0d"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from(["", "ann", "red", "x"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["n", "a", "firstName", "inner"]), inner, max_size=4)
    ),
    max_leaves=12,
)
OUTERS = st.fixed_dictionaries(
    {"firstName": JSON, "inner": JSON},
    optional=dict.fromkeys(("many", "byName", "pair", "either", "maybe", "data", "kind"), JSON),
)


@given(OUTERS)
def test_both_passes_agree(value: dict[str, Any]) -> None:
    try:
        msgspec.convert(value, Outer)
        good = True
    except msgspec.ValidationError:
        good = False
    assert (IssueCollector(Outer)(value) == []) is good
