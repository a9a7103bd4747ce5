"""Every problem of a value at once, with JSON pointers.

The fast decoder stops at its first complaint. Only when it has complained does this second pass
walk the value beside its type and collect all of them.
"""

import dataclasses
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final

import msgspec

from chapiteau.core.problems import did_you_mean

__all__ = ["Complaint", "explain", "pointer"]

_MOST: Final = 100  # complaints per request: an answer must not be longer than what was sent
_SIZED: Final = (list, set, frozenset, tuple)


@dataclasses.dataclass(frozen=True, slots=True)
class Complaint:
    """One complaint: JSON pointer, a stable code, and words."""

    pointer: str
    code: str
    detail: str


def pointer(path: tuple[str | int, ...]) -> str:
    """RFC 6901: `/items/0/name`; the empty string means the whole value."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def explain(value: object, kind: Any, *, strict: bool = True) -> list[Complaint]:
    """All complaints about `value` (plain JSON types) as a `kind`; empty when there are none.

    `strict=False` takes strings for numbers, as path and query parameters come.
    """
    found: list[Complaint] = []
    for complaint in _Walk(strict).any(value, kind, ()):
        found.append(complaint)
        if len(found) >= _MOST:
            break
    return found


@dataclasses.dataclass(frozen=True, slots=True)
class _Field:
    wire: str
    kind: Any
    required: bool


class _Walk:
    def __init__(self, strict: bool) -> None:
        self.strict = strict

    def any(self, value: object, kind: Any, path: tuple[str | int, ...]) -> Iterator[Complaint]:
        base, metas = _unwrap(kind)
        origin = typing.get_origin(base)
        if _is_record(base):
            yield from self.record(value, base, path)
        elif origin in (typing.Union, types.UnionType):
            yield from self.union(value, base, kind, path)
        elif origin in _SIZED and isinstance(value, list | tuple):
            yield from self.items(value, base, path)
            yield from self.leaf_of(value, _sizes(list, metas), path)
        elif origin in (dict, Mapping) and isinstance(value, dict):
            yield from self.mapping(value, base, path)
            yield from self.leaf_of(value, _sizes(dict, metas), path)
        else:
            yield from self.leaf_of(value, kind, path)

    def leaf_of(self, value: object, kind: Any, path: tuple[str | int, ...]) -> Iterator[Complaint]:
        try:
            msgspec.convert(value, kind, strict=self.strict)
        except (msgspec.ValidationError, ValueError, TypeError) as exc:
            words = str(exc)
            head, at, tail = words.rpartition(" - at `$")
            text = head if at else words
            inner = tail[:-1] if at else ""
            yield Complaint(pointer(path) + _pointer_of(inner), _code(text), text)

    def record(self, value: object, kind: Any, path: tuple[str | int, ...]) -> Iterator[Complaint]:
        if not isinstance(value, dict):
            yield from self.leaf_of(value, kind, path)
            return
        before = 0
        fields = _fields(kind)
        for field in fields:
            if field.wire in value:
                for complaint in self.any(value[field.wire], field.kind, (*path, field.wire)):
                    before += 1
                    yield complaint
            elif field.required:
                before += 1
                yield Complaint(pointer((*path, field.wire)), "missing", "must be given")
        for complaint in self.unknown(value, kind, fields, path):
            before += 1
            yield complaint
        if not before:
            # Tags, __post_init__ and whatever else only the decoder knows.
            yield from self.leaf_of(value, kind, path)

    def unknown(
        self, value: dict[str, Any], kind: Any, fields: list[_Field], path: tuple[str | int, ...]
    ) -> Iterator[Complaint]:
        config = getattr(kind, "__struct_config__", None)
        if config is None or not config.forbid_unknown_fields:
            return
        known = [f.wire for f in fields]
        tag = getattr(config, "tag_field", None)
        for key in value:
            if key not in known and key != tag:
                hint = did_you_mean(str(key), known)
                yield Complaint(pointer((*path, key)), "unknown", f"is not known; {hint}")

    def union(
        self, value: object, base: Any, kind: Any, path: tuple[str | int, ...]
    ) -> Iterator[Complaint]:
        choices = [k for k in typing.get_args(base) if k is not type(None)]
        if value is None or len(choices) != 1:
            records = [c for c in choices if _is_record(_unwrap(c)[0])]
            if isinstance(value, dict) and len(records) == 1:
                yield from self.any(value, records[0], path)
                return
            yield from self.leaf_of(value, kind, path)
            return
        yield from self.any(value, choices[0], path)

    def items(
        self, value: list[Any] | tuple[Any, ...], base: Any, path: tuple[str | int, ...]
    ) -> Iterator[Complaint]:
        args = typing.get_args(base)
        if typing.get_origin(base) is tuple and args[-1:] != (Ellipsis,):
            if len(args) != len(value):
                yield from self.leaf_of(value, base, path)
                return
            kinds: list[Any] = list(args)
        else:
            kinds = [args[0] if args else Any] * len(value)
        for index, (item, kind) in enumerate(zip(value, kinds, strict=True)):
            yield from self.any(item, kind, (*path, index))

    def mapping(
        self, value: dict[Any, Any], base: Any, path: tuple[str | int, ...]
    ) -> Iterator[Complaint]:
        args = typing.get_args(base) or (Any, Any)
        for key, item in value.items():
            yield from self.leaf_of({key: None}, _keyed(args[0]), (*path, str(key)))
            yield from self.any(item, args[1], (*path, str(key)))


def _keyed(key: Any) -> Any:
    return dict[key, Any]


def _unwrap(kind: Any) -> tuple[Any, list[msgspec.Meta]]:
    metas: list[msgspec.Meta] = []
    while typing.get_origin(kind) is Annotated:
        kind, *extra = typing.get_args(kind)
        metas += [e for e in extra if isinstance(e, msgspec.Meta)]
    return kind, metas


def _sizes(container: Any, metas: list[msgspec.Meta]) -> Any:
    """The container with its own limits, but anything inside."""
    kind: Any = container
    for meta in metas:
        kind = Annotated[kind, meta]
    return kind


def _is_record(kind: Any) -> bool:
    plain = typing.get_origin(kind) or kind
    if not isinstance(plain, type):
        return False
    if issubclass(plain, msgspec.Struct):
        return not plain.__struct_config__.array_like
    return dataclasses.is_dataclass(plain) or typing.is_typeddict(plain)


def _fields(kind: Any) -> list[_Field]:
    plain = typing.get_origin(kind) or kind
    if issubclass(plain, msgspec.Struct):
        return [_Field(f.encode_name, f.type, f.required) for f in msgspec.structs.fields(kind)]
    hints = typing.get_type_hints(plain, include_extras=True)
    if typing.is_typeddict(plain):
        required = plain.__required_keys__
        return [_Field(name, _bare(hint), name in required) for name, hint in hints.items()]
    return [
        _Field(
            f.name,
            hints[f.name],
            f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING,
        )
        for f in dataclasses.fields(plain)
        if f.init
    ]


def _bare(hint: Any) -> Any:
    origin = typing.get_origin(hint)
    return typing.get_args(hint)[0] if origin in (typing.Required, typing.NotRequired) else hint


def _pointer_of(inner: str) -> str:
    """`.a[0].b`, as the decoder writes paths, as a JSON pointer."""
    parts: list[str | int] = []
    for piece in inner.replace("[", ".[").split("."):
        if piece.startswith("[") and piece[1:-1].isdigit():
            parts.append(int(piece[1:-1]))
        elif piece and piece != "[...]":
            parts.append(piece)
    return pointer(tuple(parts))


_CODES: Final = (
    ("Object missing required field", "missing"),
    ("Object contains unknown field", "unknown"),
    ("Invalid enum value", "choice"),
    ("matching regex", "pattern"),
    ("of length", "length"),
    ("Invalid ", "format"),
    ("out of range", "range"),
)


def _code(text: str) -> str:
    for part, code in _CODES:
        if part in text:
            return code
    if any(sign in text for sign in (">=", "<=", "> ", "< ", "multiple of")):
        return "range"
    return "type" if ", got `" in text else "value"
