"""Dataclasses from and to JSON-ready values."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest

from chapiteau.core.plain import Plain


@dataclass(frozen=True, slots=True, kw_only=True)
class Part(Plain):
    omit_empty: ClassVar = True
    name: str
    count: int = 0
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole(Plain):
    parts: tuple[Part, ...] = ()
    words: tuple[str, ...] = ()


WHOLE = Whole(parts=(Part(name="a"), Part(name="", count=2, data={"k": [1]})), words=("x",))
RAW = {"parts": [{"name": "a"}, {"name": "", "count": 2, "data": {"k": [1]}}], "words": ["x"]}


def test_values_come_back_as_they_were() -> None:
    assert WHOLE.to_dict() == RAW
    assert Whole.from_dict(RAW) == WHOLE


def test_unknown_keys_of_a_newer_program_are_left_out() -> None:
    assert Part.from_dict({"name": "a", "colour": "red"}) == Part(name="a")


def test_a_missing_field_is_an_error() -> None:
    with pytest.raises(TypeError, match="name"):
        Part.from_dict({"count": 1})
