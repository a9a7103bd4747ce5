"""Keys that an object names twice: two programs would read two different things, so refuse them.

Decoders take the last of two equal keys, others the first: whoever checks a body and whoever acts
on it may disagree (RFC 8259 §4, I-JSON RFC 7493 §2.3). Finding repeats by reading everything again
would cost more than the decoder. So count first: a body without repeats has no more colons behind
keys than it has keys. Only when the count leaves a doubt is the body read once more.
"""

import json
import struct
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec

from chapiteau.service.declare.records import fields_of, is_record
from chapiteau.service.declare.validation import json_pointer

__all__ = [
    "cannot_repeat_msgpack",
    "count_json_keys",
    "min_keys",
    "repeated_json_keys",
    "repeated_msgpack_keys",
]

_SPACE: Final = b" \t\r\n"
_MOST: Final = 20  # pointers to tell; who repeats more has understood by then

Part = str | int


def min_keys(kind: Any) -> int:
    """How many keys every valid value of a type holds at least: required fields, all the way down.

    A type that holds itself by required fields can have no value; depth is bounded all the same.
    """
    return _fewest(kind, 8)


def _fewest(kind: Any, depth: int) -> int:
    if not depth or not is_record(kind):
        return 0
    return sum(1 + _fewest(field.kind, depth - 1) for field in fields_of(kind) if field.required)


def count_json_keys(data: bytes) -> int:
    """How many keys a body holds at most.

    When that is what `fewest_keys` says about its type, none of them can come twice.
    """
    # White space may stand between a key and its colon; without any, every key ends in `":`.
    return data.translate(None, _SPACE).count(b'":')


def repeated_json_keys(data: bytes) -> list[str]:
    """JSON pointers of repeated keys in a body that has been decoded before; mostly none."""
    most = count_json_keys(data)
    if not most or most <= _keys(msgspec.json.decode(data)):
        return []
    # Some text holds `":`, or some key comes twice: now read it pair by pair.
    return list(_repeats(json.loads(data, object_pairs_hook=_Pairs, parse_int=float), ()))[:_MOST]


class _Pairs(list[tuple[str, Any]]):
    """An object with all the pairs it was written with."""


def _repeats(value: Any, path: tuple[Part, ...]) -> Iterator[str]:
    if isinstance(value, _Pairs):
        seen: set[str] = set()
        for key, item in value:
            if key in seen:
                yield json_pointer((*path, key))
            seen.add(key)
            yield from _repeats(item, (*path, key))
    elif isinstance(value, list):
        for at, item in enumerate(value):
            yield from _repeats(item, (*path, at))


def _keys(value: Any) -> int:
    """How many keys a decoded value holds, at any depth."""
    total, left = 0, [value]
    while left:
        one = left.pop()
        if type(one) is dict:
            total += len(one)
            left += [item for item in one.values() if type(item) in (dict, list)]
        elif type(one) is list:
            left += [item for item in one if type(item) in (dict, list)]
    return total


# ── MessagePack ──────────────────────────────────────────────────────────────────────────────────
_encode: Final = msgspec.msgpack.Encoder().encode


def cannot_repeat_msgpack(data: bytes, value: Any) -> bool:
    """Whether a decoded body can't hold repeats: written again, it is as long as it was.

    Nothing is shorter than what the encoder writes but floats of 32 bits (0xca), so a body without
    them has no room for a second key.
    """
    return b"\xca" not in data and len(_encode(value)) == len(data)


def repeated_msgpack_keys(data: bytes) -> list[str]:
    """The same for MessagePack, which says how long everything is."""
    found: list[str] = []
    _Reader(data, found).value(())
    return found[:_MOST]


def _sized(form: str) -> Callable[["_Reader"], int]:
    size, unpack = struct.calcsize(form), struct.Struct(form).unpack
    return lambda reader: int(unpack(reader.take(size))[0])


_ONE, _TWO, _FOUR = _sized(">B"), _sized(">H"), _sized(">I")
_FIXED: Final = {
    0xC0: 0, 0xC2: 0, 0xC3: 0, 0xCA: 4, 0xCB: 8, 0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8, 0xD0: 1,
    0xD1: 2, 0xD2: 4, 0xD3: 8, 0xD4: 2, 0xD5: 3, 0xD6: 5, 0xD7: 9, 0xD8: 17,
}  # fmt: skip
_TEXT: Final = {
    0xC4: (_ONE, 0), 0xC5: (_TWO, 0), 0xC6: (_FOUR, 0), 0xC7: (_ONE, 1), 0xC8: (_TWO, 1),
    0xC9: (_FOUR, 1), 0xD9: (_ONE, 0), 0xDA: (_TWO, 0), 0xDB: (_FOUR, 0),
}  # fmt: skip


class _Reader:
    """Walks a well-formed body and notes repeated keys."""

    def __init__(self, data: bytes, found: list[str]) -> None:
        self._data, self._at, self._found = data, 0, found

    def take(self, size: int) -> bytes:
        self._at += size
        return self._data[self._at - size : self._at]

    def value(self, path: tuple[Part, ...]) -> bytes:
        """Step over one value; gives its bytes."""
        start = self._at
        head = _ONE(self)
        if head <= 0x7F or head >= 0xE0 or head in _FIXED:
            self.take(_FIXED.get(head, 0))
        elif head <= 0x8F or head in (0xDE, 0xDF):
            self._map(head & 15 if head <= 0x8F else (_TWO if head == 0xDE else _FOUR)(self), path)
        elif head <= 0x9F or head in (0xDC, 0xDD):
            count = head & 15 if head <= 0x9F else (_TWO if head == 0xDC else _FOUR)(self)
            for at in range(count):
                self.value((*path, at))
        elif head <= 0xBF:
            self.take(head & 31)
        else:
            read, more = _TEXT[head]
            self.take(read(self) + more)
        return self._data[start : self._at]

    def _map(self, count: int, path: tuple[Part, ...]) -> None:
        seen: set[Any] = set()
        for _ in range(count):
            key = msgspec.msgpack.decode(self.value(path))
            if key in seen:
                self._found.append(json_pointer((*path, str(key))))
            seen.add(key)
            self.value((*path, str(key)))
