"""Settings declared once: a frozen dataclass is parser, reference page and JSON Schema.

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Log:
        keep: Size = setting("100MiB", help="Delete the oldest files above this total.")

`read` turns a plain mapping (from TOML) into the dataclass and reports every problem at once,
each with its path; an unknown key is one, with the nearest known name.
"""

import contextlib
import dataclasses
import functools
import math
import re
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, TypeVar

from chapiteau.core.problems import Problem, did_you_mean
from chapiteau.core.secret import Secret
from chapiteau.core.units import (
    BYTE_RATE_PATTERN,
    DURATION_PATTERN,
    RATE_PATTERN,
    SIZE_PATTERN,
    format_duration,
    format_size,
    parse_byte_rate,
    parse_duration,
    parse_rate,
    parse_size,
)
from chapiteau.core.variables import Resolved

__all__ = [
    "ByteRate",
    "Duration",
    "Path",
    "Rate",
    "Setting",
    "Size",
    "Unit",
    "json_schema",
    "read",
    "read_valid",
    "setting",
    "settings",
]

T = TypeVar("T")
Path = tuple[str | int, ...]
_NOT_SET: Final = object()


@dataclass(frozen=True, slots=True)
class Unit:
    """What a number counts, and how people may write it."""

    name: str
    parse: Callable[[Any], float]
    example: str
    pattern: str  # of the text, for JSON Schema


Duration = Annotated[float, Unit("duration", parse_duration, "90s", DURATION_PATTERN)]
Size = Annotated[int, Unit("size", parse_size, "64MiB", SIZE_PATTERN)]
Rate = Annotated[float, Unit("rate", parse_rate, "200/s", RATE_PATTERN)]
ByteRate = Annotated[int, Unit("size per second", parse_byte_rate, "1MB/s", BYTE_RATE_PATTERN)]


def setting(
    default: Any = _NOT_SET,
    *,
    help: str,  # noqa: A002 — the word that every declaration reads best with
    factory: Callable[[], Any] | None = None,
    example: str = "",
    low: float | None = None,
    high: float | None = None,
) -> Any:
    """Declare a setting. Without `default` and `factory` it must be given.

    `low` and `high` bound numbers (inclusive); `example` is TOML for the reference page.
    """
    meta = {"help": help, "example": example, "low": low, "high": high}
    if factory is not None:
        return dataclasses.field(default_factory=factory, metadata=meta)
    if default is _NOT_SET:
        return dataclasses.field(metadata=meta)
    return dataclasses.field(default=default, metadata=meta)


def read(cls: type[T], raw: object, path: Path = ()) -> tuple[T | None, list[tuple[Path, Problem]]]:
    """The dataclass made from `raw`, or None, and every problem with the path it stands at."""
    reader = _Reader()
    value = reader.dataclass(cls, raw, path)
    return (None if reader.found else value), reader.found


def read_valid(cls: Any, raw: Mapping[str, Any]) -> dict[str, Any]:
    """Every setting read on its own: the values of those in which nothing is wrong."""
    standard, required = _left_out(cls)
    values: dict[str, Any] = {}
    for name, (field, hint) in _declared(cls).items():
        reader = _Reader()
        if name in raw:
            with contextlib.suppress(_Bad):
                value = reader.value(hint, raw[name], (name,), field.metadata)
                values |= {} if reader.found else {name: value}
        elif name in standard:
            values[name] = standard[name]
        elif name not in required and callable(field.default_factory):
            values[name] = field.default_factory()
    return values


@functools.lru_cache(maxsize=256)
def _declared(cls: Any) -> "dict[str, tuple[dataclasses.Field[Any], Any]]":
    """Each setting's field and type. Asked for every table of a file: reflection is slow."""
    hints = typing.get_type_hints(cls, include_extras=True)
    return {f.name: (f, hints[f.name]) for f in dataclasses.fields(cls) if f.init}


@functools.lru_cache(maxsize=2048)
def _default(cls: Any, name: str) -> Any:
    """The value of a setting that was left out, read once and shared: it can't be changed.

    Defaults are written as people would write them ("90s"), so they are read too; a table that
    was left out has its own defaults. _NOT_SET leaves it to the dataclass's own factory.
    """
    field, hint = _declared(cls)[name]
    reader = _Reader()
    if field.default is not dataclasses.MISSING:
        value = reader.value(hint, field.default, (name,), {})
    elif (table := _table(field)) is not None:
        value = reader.dataclass(table, {}, (name,))
    else:
        return _NOT_SET
    if reader.found:
        raise AssertionError(f"{cls.__name__}.{name}: a default that can't be: {reader.found}")
    return value


@functools.lru_cache(maxsize=256)
def _left_out(cls: Any) -> tuple[dict[str, Any], frozenset[str]]:
    """Values of the settings that may be left out, all of them, and names of those that may not.

    A table of a file gives a few of its settings: asking for every other one is slow.
    """
    known = _declared(cls)
    required = frozenset(name for name, (field, _) in known.items() if _required(field))
    values = {name: _default(cls, name) for name in known if name not in required}
    return {name: value for name, value in values.items() if value is not _NOT_SET}, required


class _Bad(Exception):  # noqa: N818 — never leaves this module
    """This value is wrong; the problem is already noted."""


class _Reader:
    def __init__(self) -> None:
        self.found: list[tuple[Path, Problem]] = []

    def bad(self, path: Path, what: str, hint: str = "") -> _Bad:
        dotted = ".".join(str(p) for p in path)
        self.found.append((path, Problem(dotted, what, hint)))
        return _Bad()

    def dataclass(self, cls: Any, raw: object, path: Path) -> Any:
        if not isinstance(raw, Mapping):
            self.bad(path, f"must be a table, not {_kind(raw)}")
            return None
        known = _declared(cls)
        for key in raw:
            if key not in known:
                self.bad((*path, key), "is not a known setting", did_you_mean(str(key), known))
        standard, required = _left_out(cls)
        values = dict(standard)
        for name, (field, hint) in known.items():
            if name in raw:
                try:
                    values[name] = self.value(hint, raw[name], (*path, name), field.metadata)
                except _Bad:
                    continue
            elif name in required:
                self.bad((*path, name), "must be given", field.metadata.get("help", ""))
        return None if self.found else cls(**values)

    def value(self, kind: Any, raw: object, path: Path, meta: Mapping[str, Any]) -> Any:
        origin = typing.get_origin(kind)
        if origin is Annotated:
            base, *extra = typing.get_args(kind)
            unit = next((e for e in extra if isinstance(e, Unit)), None)
            if unit is None:
                return self.value(base, raw, path, meta)
            return self.bounded(self.unit(unit, base, raw, path), path, meta)
        if origin in (typing.Union, types.UnionType):
            return self.union(typing.get_args(kind), raw, path, meta)
        if origin is Literal:
            return self.choice(typing.get_args(kind), raw, path)
        if origin is tuple:
            return self.sequence(typing.get_args(kind)[0], raw, path)
        if origin is dict:
            return self.mapping(typing.get_args(kind)[1], raw, path)
        if dataclasses.is_dataclass(kind):
            if isinstance(raw, typing.cast("type[Any]", kind)):
                return raw
            return self.dataclass(typing.cast("type[Any]", kind), raw, path)
        return self.bounded(self.plain(kind, raw, path), path, meta)

    def unit(self, unit: Unit, base: Any, raw: object, path: Path) -> Any:
        try:
            return base(unit.parse(raw))
        except (ValueError, TypeError, AttributeError) as exc:
            raise self.bad(path, str(exc)) from None

    def union(self, kinds: tuple[Any, ...], raw: object, path: Path, meta: Any) -> Any:
        if raw is None and type(None) in kinds:
            return None
        if kinds[0] is str and type(raw) is str:
            return raw
        kept = self.found
        tries: list[list[tuple[Path, Problem]]] = []
        if kinds[0] is str and type(raw) is list:  # a list is surely not the string
            kinds = (*kinds[1:], str)
        for kind in (k for k in kinds if k is not type(None)):
            self.found = []
            try:
                value = self.value(kind, raw, path, meta)
            except _Bad:
                tries.append(self.found)
                continue
            if not self.found:
                self.found = kept
                return value
            tries.append(self.found)
        self.found = kept
        # The branch that came furthest (deepest path) explains best …
        best = max(tries, key=lambda found: max(len(p) for p, _ in found))
        if any(len(p) > len(path) for p, _ in best) or len(tries) == 1:
            self.found = kept + best
            raise _Bad
        # … and when none came further than the value itself, all of them together do.
        whats = dict.fromkeys(p.what for found in tries for _, p in found)
        raise self.bad(path, _either(tuple(whats)))

    def choice(self, allowed: tuple[Any, ...], raw: object, path: Path) -> Any:
        raw = str(raw) if isinstance(raw, Resolved) else raw
        if any(raw == a and type(raw) is type(a) for a in allowed):  # True == 1, but not here
            return raw
        words = ", ".join(repr(a) for a in allowed)
        hint = did_you_mean(raw, [str(a) for a in allowed]) if isinstance(raw, str) else ""
        raise self.bad(path, f"must be one of {words}, not {raw!r}", hint)

    def sequence(self, kind: Any, raw: object, path: Path) -> Any:
        if not isinstance(raw, list | tuple):
            raise self.bad(path, f"must be a list, not {_kind(raw)}")
        if kind is str and all(type(item) is str for item in raw):
            return tuple(raw)
        made = []
        for i, item in enumerate(raw):
            try:
                made.append(self.value(kind, item, (*path, i), {}))
            except _Bad:
                continue  # noted; the next items may have problems of their own
        return tuple(made)

    def mapping(self, kind: Any, raw: object, path: Path) -> Any:
        if not isinstance(raw, Mapping):
            raise self.bad(path, f"must be a table, not {_kind(raw)}")
        made = {}
        for key, item in raw.items():
            try:
                made[str(key)] = self.value(kind, item, (*path, str(key)), {})
            except _Bad:
                continue
        return made

    def plain(self, kind: Any, raw: object, path: Path) -> Any:
        if isinstance(raw, Resolved):
            raw = _FROM_TEXT.get(kind, str)(str(raw))
        if kind is Any:
            return raw
        if kind is float and isinstance(raw, int) and not isinstance(raw, bool):
            return float(raw)
        if kind is int and isinstance(raw, bool):
            raise self.bad(path, f"must be a whole number, not {_kind(raw)}")
        if isinstance(raw, float) and kind is float and not math.isfinite(raw):
            raise self.bad(path, f"must be a finite number, not {raw!r}")
        if isinstance(kind, type) and isinstance(raw, kind):
            return raw
        raise self.bad(path, f"must be {_NAMES.get(kind, str(kind))}, not {_kind(raw)}")

    def bounded(self, value: Any, path: Path, meta: Mapping[str, Any]) -> Any:
        low, high = meta.get("low"), meta.get("high")
        if low is not None and value < low:
            raise self.bad(path, f"must be {low} or more, not {value}")
        if high is not None and value > high:
            raise self.bad(path, f"must be {high} or less, not {value}")
        return value


def _whole(text: str) -> object:
    return int(text) if re.fullmatch(r"[+-]?[0-9]{1,18}", text) else text


def _float(text: str) -> object:
    try:
        return float(text)
    except ValueError:
        return text


# What a variable's value is taken for where a number or a truth value is wanted; else it stays.
_FROM_TEXT: Final[dict[Any, Callable[[str], object]]] = {
    int: _whole,
    float: _float,
    bool: lambda text: {"true": True, "false": False}.get(text, text),
}
_HAS_VARIABLE: Final = r"\$\{"  # as in "${env.PORT:-8000}"

_NAMES: Final = {
    str: "a string",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    Secret: 'a secret: {file = "…"} or {env = "…"}',
}


def _either(whats: tuple[str, ...]) -> str:
    """One sentence of several: "must be a string, not 5", "must be a list, not 5" → "… or …"."""
    heads = [what.rpartition(", not ") for what in whats]
    tails = {tail for _, _, tail in heads}
    if len(tails) > 1 or not all(head.startswith("must be ") for head, _, _ in heads):
        return "; or ".join(whats)
    named = [head.removeprefix("must be ") for head, _, _ in heads]
    return f"must be {' or '.join(named)}, not {tails.pop()}"


def _kind(raw: object) -> str:
    if isinstance(raw, Mapping):
        return "a table"
    if isinstance(raw, list | tuple):
        return "a list"
    return repr(raw)


def _required(field: "dataclasses.Field[Any]") -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _table(field: "dataclasses.Field[Any]") -> type[Any] | None:
    """The dataclass that a field makes when nothing is given."""
    made: Any = field.default_factory
    return made if isinstance(made, type) and dataclasses.is_dataclass(made) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One line of a reference page."""

    name: str
    type: str
    default: str
    help: str
    example: str
    required: bool


def settings(cls: type[Any]) -> Iterator[Setting]:
    """Every setting that a dataclass declares, in its order."""
    hints = typing.get_type_hints(cls, include_extras=True)
    for field in dataclasses.fields(cls):
        if not field.init or "help" not in field.metadata:
            continue
        required = _required(field)
        yield Setting(
            name=field.name,
            type=_type_text(hints[field.name]),
            default="" if required else _default_text(field, hints[field.name]),
            help=field.metadata["help"],
            example=field.metadata.get("example", ""),
            required=required,
        )


def _default_text(field: "dataclasses.Field[Any]", kind: Any) -> str:
    value = field.default
    if value is dataclasses.MISSING:
        value = field.default_factory() if callable(field.default_factory) else None
    if value is None or dataclasses.is_dataclass(value):
        return ""
    if isinstance(value, int | float) and kind == Duration:
        value = format_duration(value)
    if isinstance(value, int | float) and kind == Size:
        value = format_size(value)
    return _toml(value)


def _toml(value: object) -> str:
    """A default as one would write it."""
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml(v) for v in value) + "]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _type_text(kind: Any) -> str:
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin is Annotated:
        unit = next((e for e in args[1:] if isinstance(e, Unit)), None)
        return unit.name if unit else _type_text(args[0])
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_type_text(a) for a in args if a is not type(None))
    if origin is Literal:
        return " | ".join(f'"{a}"' if isinstance(a, str) else str(a).lower() for a in args)
    if origin is tuple:
        return f"list of {_type_text(args[0])}"
    if origin is dict:
        return f"table of {_type_text(args[1])}"
    if dataclasses.is_dataclass(kind):
        return "table"
    return {str: "string", int: "integer", float: "number", bool: "boolean"}.get(
        kind, getattr(kind, "__name__", str(kind)).lower()
    )


def json_schema(cls: type[Any]) -> dict[str, Any]:
    """JSON Schema (2020-12) of what `read` accepts, for editors."""
    if not dataclasses.is_dataclass(cls):
        return _schema_of(cls)
    hints = typing.get_type_hints(cls, include_extras=True)
    properties: dict[str, Any] = {}
    required: list[str] = []
    for field in dataclasses.fields(cls):
        if not field.init:
            continue
        properties[field.name] = _schema_of(hints[field.name])
        for word, key in (("minimum", "low"), ("maximum", "high")):
            if (bound := field.metadata.get(key)) is not None:
                properties[field.name][word] = bound
        if isinstance(field.default, str | int | float):
            properties[field.name]["default"] = field.default
        elif isinstance(field.default, tuple):
            properties[field.name]["default"] = list(field.default)
        if text := field.metadata.get("help"):
            properties[field.name]["description"] = text
        if _required(field):
            required.append(field.name)
    schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**schema, "required": required} if required else schema


def _schema_of(kind: Any) -> dict[str, Any]:
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin is Annotated:
        unit = next((e for e in args[1:] if isinstance(e, Unit)), None)
        if unit is None:
            return _schema_of(args[0])
        number = "integer" if args[0] is int else "number"
        shown = {"pattern": f"{unit.pattern}|{_HAS_VARIABLE}", "examples": [unit.example]}
        return {"type": ["string", number], "minimum": 0, **shown}
    if origin in (typing.Union, types.UnionType):
        kinds = [_schema_of(a) for a in args if a is not type(None)]
        return {"anyOf": kinds} if len(kinds) > 1 else kinds[0]
    if origin is Literal:
        variable = {"type": "string", "pattern": _HAS_VARIABLE}
        return {"anyOf": [{"enum": list(args)}, variable]}
    if origin in (tuple, list):
        return {"type": "array", "items": _schema_of(args[0])}
    if origin is dict:
        return {"type": "object", "additionalProperties": _schema_of(args[1])}
    if dataclasses.is_dataclass(kind):
        return json_schema(typing.cast("type[Any]", kind))
    if typing.is_typeddict(kind):
        properties = {n: _schema_of(k) for n, k in typing.get_type_hints(kind).items()}
        needed = sorted(kind.__required_keys__)
        found = {"type": "object", "properties": properties}
        return {**found, "required": needed} if needed else found
    variable = {"pattern": _HAS_VARIABLE}
    names = {int: "integer", float: "number", bool: "boolean"}
    own: dict[Any, dict[str, Any]] = {
        name: {"type": [text, "string"], **variable} for name, text in names.items()
    }
    return {str: {"type": "string"}, **own}.get(kind, {})
