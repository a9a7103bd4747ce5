"""Texts that stand for moments, durations, exact numbers and bytes: the document tells what is read
of them, for msgspec's own schemas say only that they are texts."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

import msgspec
from msgspec import inspect as mi

from chapiteau.service.declare.validation import ValidationIssue, json_pointer

__all__ = ["add_text_formats", "contains_decimal", "non_finite_decimals"]

Json = dict[str, Any]

_DIGITS: Final = "[0-9]{1,9}"
_SECONDS: Final = rf"{_DIGITS}(\.[0-9]{{1,6}})?S"
_TIMES: Final = rf"T({_SECONDS}|{_DIGITS}M({_SECONDS})?|{_DIGITS}H({_DIGITS}M)?({_SECONDS})?)"
_DECIMAL: Final = r"^-?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,9})?$"
_BASE64: Final = "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"
# Years, months and weeks have no fixed length: they are not read.
_DURATION: Final = rf"^-?P([0-9]{{1,6}}D({_TIMES})?|{_TIMES})$"

_TOLD: Final[Mapping[type, Json]] = {
    mi.DateTimeType: {"format": "date-time"},
    mi.TimeType: {"format": "time"},
    mi.DecimalType: {"format": "decimal", "pattern": _DECIMAL},
    mi.BytesType: {"pattern": _BASE64},
    mi.ByteArrayType: {"pattern": _BASE64},
    mi.MemoryViewType: {"pattern": _BASE64},
    mi.TimeDeltaType: {"format": "duration", "pattern": _DURATION},
}
_RECORDS: Final = (mi.StructType, mi.DataclassType, mi.TypedDictType, mi.NamedTupleType)


def add_text_formats(
    kind: Any, schema: Json, components: Mapping[str, Json], told: set[str], *, sent: bool
) -> None:
    """Complete the schema of a type, and the components that it refers to, in place.

    `told` names the components that are complete. What is `sent` to the service may write an
    exact number as a number, too; answers have texts.
    """
    _Teller(components, told, sent=sent).tell(mi.type_info(kind), schema)


class _Teller:
    def __init__(self, components: Mapping[str, Json], told: set[str], *, sent: bool) -> None:
        self._components, self._told, self._sent = components, told, sent

    def tell(self, kind: mi.Type, schema: Json) -> None:
        while isinstance(kind, mi.Metadata):
            kind = kind.type
        if isinstance(kind, mi.UnionType):
            self._union(kind, schema)
        elif isinstance(kind, _RECORDS):
            self._record(kind, schema)
        elif isinstance(kind, mi.CollectionType):
            self.tell(kind.item_type, schema.get("items", {}))
        elif isinstance(kind, mi.TupleType):
            if "maxItems" in schema:
                schema.pop("items", None)  # says the same: `false`, which some generators refuse
            for part, inner in zip(kind.item_types, schema.get("prefixItems", ()), strict=False):
                self.tell(part, inner)
        elif isinstance(kind, mi.DictType | mi.FrozenDictType):
            self.tell(kind.value_type, schema.get("additionalProperties", {}))
        else:
            self._text(kind, schema)

    def _text(self, kind: mi.Type, schema: Json) -> None:
        known = _TOLD.get(type(kind))
        naive = isinstance(kind, mi.DateTimeType | mi.TimeType) and kind.tz is False
        if known is None or naive or schema.get("type") != "string":
            return
        for key, value in known.items():
            schema.setdefault(key, value)
        if self._sent and isinstance(kind, mi.DecimalType):
            schema["type"] = ["string", "number"]

    def _union(self, kind: mi.UnionType, schema: Json) -> None:
        records = _refs(schema)
        for part in kind.types:
            bare = part
            while isinstance(bare, mi.Metadata):
                bare = bare.type
            if isinstance(bare, _RECORDS):
                # The schema names components, in whichever order: each knows its own fields.
                for inner in records:
                    if self._is_of(bare, inner):
                        self._record(bare, inner)
                continue
            for inner in schema.get("anyOf", ()):
                if _fits(bare, inner):
                    self.tell(bare, inner)

    def _is_of(self, kind: Any, schema: Json) -> bool:
        name = schema["$ref"].rpartition("/")[2]
        properties = self._components.get(name, {}).get("properties", {})
        wanted = {field.encode_name for field in kind.fields} | {getattr(kind, "tag_field", None)}
        return set(properties) == wanted - {None}

    def _record(self, kind: Any, schema: Json) -> None:
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            if name in self._told or name not in self._components:
                return
            self._told.add(name)
            schema = self._components[name]
        by_name = schema.get("properties", {})
        in_order = list(schema.get("prefixItems", ()))
        if in_order and getattr(kind, "tag_field", None):
            in_order = in_order[1:]
        for number, field in enumerate(kind.fields):
            inner = in_order[number] if in_order else by_name.get(field.encode_name)
            if inner is not None:
                self.tell(field.type, inner)


def _refs(schema: Json) -> list[Json]:
    """References among the alternatives of a schema, also those below a discriminator."""
    found: list[Json] = []
    for part in schema.get("anyOf", ()):
        found += [part] if "$ref" in part else _refs(part)
    return found


def _fits(kind: mi.Type, schema: Json) -> bool:
    """Whether an alternative is that of this type: a union has at most one of each kind."""
    if isinstance(kind, mi.CollectionType | mi.TupleType):
        return schema.get("type") == "array"
    if isinstance(kind, mi.DictType | mi.FrozenDictType):
        return schema.get("type") == "object"
    return schema.get("type") == "string"


# ── numbers that are none ────────────────────────────────────────────────────────────────────────
def contains_decimal(kind: Any) -> bool:
    """Whether a value of this type may hold a Decimal."""
    return any(isinstance(part, mi.DecimalType) for part in _parts(mi.type_info(kind), set()))


def _parts(kind: Any, seen: set[Any]) -> Iterator[mi.Type]:
    while isinstance(kind, mi.Metadata):
        kind = kind.type
    yield kind
    if isinstance(kind, _RECORDS):
        if kind.cls in seen:
            return
        seen.add(kind.cls)
    inner = [field.type for field in getattr(kind, "fields", ())]
    inner += [*getattr(kind, "types", ()), *getattr(kind, "item_types", ())]
    inner += [getattr(kind, name) for name in ("item_type", "value_type") if hasattr(kind, name)]
    for part in inner:
        yield from _parts(part, seen)


def non_finite_decimals(value: Any) -> list[ValidationIssue]:
    """A complaint for each Decimal of a decoded value that is NaN or infinite."""
    plain = msgspec.to_builtins(value, builtin_types=(Decimal,), enc_hook=str)
    words = "Invalid decimal string: it is no number"
    return [ValidationIssue(json_pointer(path), "format", words) for path in _odd(plain, ())]


def _odd(value: Any, path: tuple[str | int, ...]) -> Iterator[tuple[str | int, ...]]:
    if isinstance(value, Decimal):
        if not value.is_finite():
            yield path
        return
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _odd(item, (*path, str(key)))
    elif isinstance(value, list | tuple):
        for at, item in enumerate(value):
            yield from _odd(item, (*path, at))
