"""Keys that an object names twice are found, and nothing else."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, TypedDict

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chapiteau.service.pipeline.repeated_keys import (
    cannot_repeat_msgpack,
    min_keys,
    repeated_json_keys,
    repeated_msgpack_keys,
)

KEYS = st.sampled_from(["a", "b", 'q":', "é", "x/y", ": ", ""])
LEAVES = st.one_of(st.integers(-5, 1 << 70), KEYS, st.none(), st.booleans(), st.just(1.5))


class Pairs(list[tuple[str, Any]]):
    """An object as it is written, repeats and all."""


VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(st.tuples(KEYS, inner), max_size=4).map(Pairs),
    ),
    max_leaves=8,
)


def written(value: Any, space: str) -> str:
    """JSON with white space wherever it may stand."""
    if isinstance(value, Pairs):
        inner = ",".join(
            f"{space}{json.dumps(k, ensure_ascii=len(k) > 1)}{space}:{space}{written(v, space)}"
            for k, v in value
        )
        return "{" + inner + "}"
    if isinstance(value, list):
        return "[" + ",".join(written(item, space) for item in value) + "]"
    return json.dumps(value)


def repeats(value: Any, path: str = "") -> list[str]:
    """By brute force."""
    found = []
    if isinstance(value, Pairs):
        names = [name for name, _ in value]
        for at, (name, item) in enumerate(value):
            here = f"{path}/{name.replace('~', '~0').replace('/', '~1')}"
            found += [here] if name in names[:at] else []
            found += repeats(item, here)
    elif isinstance(value, list):
        for at, item in enumerate(value):
            found += repeats(item, f"{path}/{at}")
    return found


@given(VALUES, st.sampled_from(["", " ", "\n\t", "\r "]))
def test_repeats_in_json_are_found_by_counting_first(value: Any, space: str) -> None:
    data = written(value, space).encode()
    assert repeated_json_keys(data) == repeats(value)


def packed(value: Any) -> bytes:
    """MessagePack, repeats and all."""
    if isinstance(value, Pairs):
        return bytes([0x80 | len(value)]) + b"".join(packed(k) + packed(v) for k, v in value)
    if isinstance(value, list):
        return bytes([0x90 | len(value)]) + b"".join(packed(item) for item in value)
    return msgspec.msgpack.encode(value if not isinstance(value, int) else value % (1 << 64))


@given(VALUES)
def test_repeats_in_msgpack_are_found(value: Any) -> None:
    data = packed(value)
    expected = repeats(value)
    assert repeated_msgpack_keys(data) == expected
    if expected:
        assert not cannot_repeat_msgpack(data, msgspec.msgpack.decode(data))


def test_every_form_of_msgpack_is_stepped_over() -> None:
    big = {"t": "x" * 300, "u": "x" * 70000, "b": b"x" * 9, "c": b"x" * 300, "d": b"x" * 70000,
        "l": list(range(-40, 40)) * 900, "f": 1.5, "e": msgspec.msgpack.Ext(7, b"x" * 5),
        "n": [-200, -40000, -(1 << 40), 200, 40000, 1 << 20, 1 << 40, None, True],
        "g": msgspec.msgpack.Ext(7, b"x" * 300), "h": msgspec.msgpack.Ext(1, b"12345678"),
        "m": {str(i): i for i in range(70000)}, "k": dict.fromkeys("abcdefghijklmnopq", 1),
    }  # fmt: skip
    data = msgspec.msgpack.encode(big)
    assert repeated_msgpack_keys(data) == []
    small = msgspec.msgpack.encode({"a": [1, 200, 1.5, "x"], "b": b"y"})
    assert cannot_repeat_msgpack(small, msgspec.msgpack.decode(small))


class Inner(msgspec.Struct):
    x: int
    y: int = 0


class Outer(msgspec.Struct):
    inner: Inner
    many: list[Inner]
    also: Inner | None = None


class Row(msgspec.Struct, array_like=True):
    x: int


class Tree(msgspec.Struct):
    left: Tree | None
    value: int


@dataclass
class Point:
    x: int
    y: int = 0


class Pair(TypedDict, total=False):
    left: int


@pytest.mark.parametrize(
    ("kind", "count"),
    [(Outer, 3), (Row, 0), (Tree, 2), (Point, 1), (Pair, 0), (dict[str, int], 0), (int | None, 0)],
)
def test_the_fewest_keys_of_a_type(kind: Any, count: int) -> None:
    assert min_keys(kind) == count
