"""Every problem of a value at once, with JSON pointers.

The fast decoder stops at its first complaint. Only when it has complained does this second pass
walk the value beside its type and collect all of them. What a type asks for is worked out once,
when the Explainer is made.
"""

import functools
import re
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, Final

import msgspec

from chapiteau.core.problems import did_you_mean
from chapiteau.service.declare.records import Field, fields_of, is_record
from chapiteau.service.declare.signature import Place
from chapiteau.service.protocol.problem import ErrorDetail

__all__ = ["IssueCollector", "ValidationIssue", "json_pointer", "missing_detail", "to_details"]

MOST: Final = 100  # complaints per request: an answer must not be longer than what was sent
_SIZED: Final = (list, set, frozenset, tuple)


class ValidationIssue(msgspec.Struct, frozen=True):
    """One complaint: JSON pointer, a stable code, and words."""

    pointer: str
    code: str
    detail: str


def json_pointer(path: tuple[str | int, ...]) -> str:
    """RFC 6901: `/items/0/name`; the empty string means the whole value."""
    text = ""
    for part in path:
        word = str(part)
        if "~" in word or "/" in word:
            word = word.replace("~", "~0").replace("/", "~1")
        text += "/" + word
    return text


Path = tuple[str | int, ...]
Found = list[ValidationIssue]
Check = Callable[[Any, Path, Found], None]


def to_details(
    place: Place, issues: Iterable[ValidationIssue], prefix: str = ""
) -> list[ErrorDetail]:
    """Issues of a value as details of a request."""
    return [
        ErrorDetail(place=place, pointer=prefix + one.pointer, code=one.code, detail=one.detail)
        for one in issues
    ]


def missing_detail(place: Place, pointer: str, detail: str = "must be given") -> ErrorDetail:
    """Something that must be there and is not."""
    return ErrorDetail(place=place, pointer=pointer, code="missing", detail=detail)


class IssueCollector:
    """Collects issues of values of one type; made once per type, used many times.

    `strict=False` takes strings for numbers, as path and query parameters come.
    """

    def __init__(self, kind: Any, *, strict: bool = True) -> None:
        self._strict = strict
        self._made: dict[int, tuple[Any, list[Check]]] = {}
        self._check = self._of(kind)

    def __call__(self, value: object) -> list[ValidationIssue]:
        """All complaints, at most a hundred."""
        found: Found = []
        self._check(value, (), found)
        return found[:MOST]

    # ── one check per type ───────────────────────────────────────────────────────────────────
    def _of(self, kind: Any) -> Check:
        base, metas = _unwrap(kind)
        origin = typing.get_origin(base)
        if is_record(base):
            return self._record(base)
        if origin in (typing.Union, types.UnionType):
            return self._union(base, kind)
        if origin in _SIZED:
            return self._items(base, kind, metas)
        if origin in (dict, Mapping):
            return self._mapping(base, kind, metas)
        return self._leaf(kind)

    def _leaf(self, kind: Any) -> Check:
        # msgspec works a bare type out anew at every call, but keeps what it knows of a Struct.
        holder = msgspec.defstruct("Value", [("v", kind)])
        convert, strict = msgspec.convert, self._strict

        def check(value: Any, path: Path, found: Found) -> None:
            try:
                convert({"v": value}, holder, strict=strict)
            except (msgspec.ValidationError, ValueError, TypeError) as exc:
                words = str(exc)
                head, at, tail = words.rpartition(" - at `$")
                text = head if at else words
                inner = tail[:-1].removeprefix(".v") if at else ""
                found.append(
                    ValidationIssue(json_pointer(path) + _pointer_of(inner), _code(text), text)
                )

        return check

    def _record(self, kind: Any) -> Check:
        known = self._made.get(id(kind))
        if known is not None:
            # A type that holds itself: the check is being made right now, so ask for it later.
            later = known[1]

            def again(value: Any, path: Path, found: Found) -> None:
                later[0](value, path, found)

            return again
        slot: list[Check] = []
        self._made[id(kind)] = (kind, slot)
        whole = self._leaf(kind)
        fields = fields_of(kind)
        checks = {f.wire: self._of(f.kind) for f in fields}
        simple = {f.wire for f in fields if _is_simple(f.kind)}
        required = [f.wire for f in fields if f.required]
        needed = frozenset(required)
        unknown = _unknown(kind, list(checks))
        bad_fields = self._bad_fields(fields)

        def check(value: Any, path: Path, found: Found) -> None:
            if not isinstance(value, dict):
                whole(value, path, found)
                return
            before = len(found)
            for wire, text in bad_fields(value.copy()):
                if text and wire in simple:
                    found.append(ValidationIssue(json_pointer((*path, wire)), _code(text), text))
                else:
                    checks[wire](value[wire], (*path, wire), found)
            if not value.keys() >= needed:
                found += [
                    ValidationIssue(json_pointer((*path, wire)), "missing", "must be given")
                    for wire in required
                    if wire not in value
                ]
            unknown(value, path, found)
            if len(found) == before:
                # Tags, __post_init__ and whatever else only the decoder knows.
                whole(value, path, found)

        slot.append(check)
        return check

    def _bad_fields(self, fields: list[Field]) -> Callable[[dict[str, Any]], list[tuple[str, str]]]:
        """Which fields of a record are wrong, and the decoder's words about each.

        Convert all of them, take out the one complained about, convert again: so good fields
        cost next to nothing.
        """
        partial = msgspec.defstruct(
            "Partial",
            [(f"f{at}", f.kind, None) for at, f in enumerate(fields)],
            rename={f"f{at}": f.wire for at, f in enumerate(fields)},
            kw_only=True,
        )
        convert, strict = msgspec.convert, self._strict
        known = {f.wire for f in fields}

        def bad(rest: dict[str, Any]) -> list[tuple[str, str]]:
            wrong: list[tuple[str, str]] = []
            while True:
                try:
                    convert(rest, partial, strict=strict)
                except (msgspec.ValidationError, ValueError, TypeError) as exc:
                    text, _, inner = str(exc).rpartition(" - at `$.")
                    wire = _FIRST.match(inner)[0]  # type: ignore[index]
                    if wire not in rest:  # no telling which: look at each of them
                        return [*wrong, *((each, "") for each in rest if each in known)]
                    wrong.append((wire, text))
                    del rest[wire]
                else:
                    return wrong

        return bad

    def _union(self, base: Any, kind: Any) -> Check:
        choices = [k for k in typing.get_args(base) if k is not type(None)]
        records = [c for c in choices if is_record(c)]
        leaf = self._leaf(kind)
        one = self._of(choices[0]) if len(choices) == 1 else None
        record = self._of(records[0]) if len(records) == 1 else None

        def check(value: Any, path: Path, found: Found) -> None:
            if one is not None and value is not None:
                one(value, path, found)
            elif record is not None and isinstance(value, dict):
                record(value, path, found)
            else:
                leaf(value, path, found)

        return check

    def _items(self, base: Any, kind: Any, metas: list[msgspec.Meta]) -> Check:
        args = typing.get_args(base)
        fixed = typing.get_origin(base) is tuple and args[-1:] != (Ellipsis,)
        inner = [self._of(arg) for arg in (args if fixed else args[:1] or (Any,))]
        whole, sizes = self._leaf(kind), self._leaf(_limited(list, metas))

        def check(value: Any, path: Path, found: Found) -> None:
            if not isinstance(value, list | tuple) or (fixed and len(value) != len(inner)):
                whole(value, path, found)
                return
            for index, item in enumerate(value):
                inner[index if fixed else 0](item, (*path, index), found)
                if len(found) > MOST:
                    return
            if metas:
                sizes(value, path, found)

        return check

    def _mapping(self, base: Any, kind: Any, metas: list[msgspec.Meta]) -> Check:
        of_key, of_value = typing.get_args(base) or (Any, Any)
        keys, values = self._leaf(_keyed(of_key)), self._of(of_value)
        whole, sizes = self._leaf(kind), self._leaf(_limited(dict, metas))

        def check(value: Any, path: Path, found: Found) -> None:
            if not isinstance(value, dict):
                whole(value, path, found)
                return
            for key, item in value.items():
                keys({key: None}, (*path, str(key)), found)
                values(item, (*path, str(key)), found)
                if len(found) > MOST:
                    return
            if metas:
                sizes(value, path, found)

        return check


def _unknown(kind: Any, known: list[str]) -> Check:
    """A check for fields that the type refuses; most types refuse none."""
    config = getattr(kind, "__struct_config__", None)
    if config is None or not config.forbid_unknown_fields:
        return lambda value, path, found: None
    allowed = {*known, getattr(config, "tag_field", None)}

    def check(value: Any, path: Path, found: Found) -> None:
        for key in value:
            if key not in allowed:
                text = f"is not known; {did_you_mean(str(key), known)}"
                found.append(ValidationIssue(json_pointer((*path, key)), "unknown", text))

    return check


def _keyed(key: Any) -> Any:
    return dict[key, Any]


def _limited(container: Any, metas: list[msgspec.Meta]) -> Any:
    """The container with its own limits, but anything inside."""
    kind: Any = container
    for meta in metas:
        kind = Annotated[kind, meta]
    return kind


def _unwrap(kind: Any) -> tuple[Any, list[msgspec.Meta]]:
    metas: list[msgspec.Meta] = []
    while typing.get_origin(kind) is Annotated:
        kind, *extra = typing.get_args(kind)
        metas += [e for e in extra if isinstance(e, msgspec.Meta)]
    return kind, metas


def _is_simple(kind: Any) -> bool:
    """Whether there is nothing inside that could be wrong by itself."""
    base, _ = _unwrap(kind)
    return not is_record(base) and typing.get_origin(base) is None


def _pointer_of(inner: str) -> str:
    """`.a[0].b`, as the decoder writes paths, as a JSON pointer."""
    parts: list[str | int] = []
    for piece in inner.replace("[", ".[").split("."):
        if piece.startswith("[") and piece[1:-1].isdigit():
            parts.append(int(piece[1:-1]))
        elif piece and piece != "[...]":
            parts.append(piece)
    return json_pointer(tuple(parts))


_CODES: Final = (
    ("Object missing required field", "missing"),
    ("Object contains unknown field", "unknown"),
    ("Invalid enum value", "choice"),
    ("matching regex", "pattern"),
    ("of length", "length"),
    ("Invalid ", "format"),
    ("out of range", "range"),
)


_FIRST: Final = re.compile(r"[^.\[`]*")


@functools.lru_cache(maxsize=512)
def _code(text: str) -> str:
    for part, code in _CODES:
        if part in text:
            return code
    if any(sign in text for sign in (">=", "<=", "> ", "< ", "multiple of")):
        return "range"
    return "type" if ", got `" in text else "value"
