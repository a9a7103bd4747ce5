"""Types that are objects with named fields, whichever library they were written with."""

import dataclasses
import typing
from dataclasses import dataclass
from typing import Any

import msgspec

__all__ = ["Field", "fields_of", "is_model", "is_record", "strip_annotated"]


@dataclass(frozen=True, slots=True)
class Field:
    """One field: its name in code and on the wire, its type, and its default (or factory).

    `default` is `msgspec.NODEFAULT` for a field that must be given.
    """

    name: str
    wire: str
    kind: Any
    default: Any

    @property
    def required(self) -> bool:
        """Whether it must be given."""
        return self.default is msgspec.NODEFAULT


def strip_annotated(kind: Any) -> Any:
    """A type without what is annotated."""
    while typing.get_origin(kind) is typing.Annotated:
        kind = typing.get_args(kind)[0]
    return kind


def is_model(kind: Any) -> bool:
    """Whether a type is one of pydantic's models."""
    return isinstance(kind, type) and hasattr(kind, "__pydantic_fields__")


def is_record(kind: Any) -> bool:
    """Whether a type is an object with fields: Struct, dataclass, attrs, TypedDict, model."""
    plain = strip_annotated(kind)
    plain = typing.get_origin(plain) or plain
    if not isinstance(plain, type):
        return False
    if issubclass(plain, msgspec.Struct):
        return not plain.__struct_config__.array_like
    return (
        dataclasses.is_dataclass(plain)
        or typing.is_typeddict(plain)
        or hasattr(plain, "__attrs_attrs__")
        or is_model(plain)
    )


def fields_of(kind: Any) -> list[Field]:
    """The fields of a record in their order."""
    kind = strip_annotated(kind)
    plain: Any = typing.get_origin(kind) or kind
    if issubclass(plain, msgspec.Struct):
        return [
            Field(
                f.name,
                f.encode_name,
                f.type,
                f.default if f.default is not msgspec.NODEFAULT else f.default_factory,
            )
            for f in msgspec.structs.fields(kind)
        ]
    if is_model(plain):
        return [_of_model(name, own) for name, own in plain.__pydantic_fields__.items()]
    hints = typing.get_type_hints(plain, include_extras=True)
    if typing.is_typeddict(plain):
        needed = getattr(plain, "__required_keys__", ())
        return [
            Field(name, name, _undressed(hint), msgspec.NODEFAULT if name in needed else None)
            for name, hint in hints.items()
        ]
    if hasattr(plain, "__attrs_attrs__"):
        own = [a for a in plain.__attrs_attrs__ if a.init]
        return [Field(a.name, a.name, hints[a.name], _of_attrs(a.default)) for a in own]
    return [
        Field(f.name, f.name, hints[f.name], _of_dataclass(f))
        for f in dataclasses.fields(plain)
        if f.init
    ]


def _of_model(name: str, own: Any) -> Field:
    alias = own.validation_alias
    default = msgspec.NODEFAULT if own.is_required() else own.get_default()
    wire = alias if isinstance(alias, str) else name
    return Field(name, wire, own.rebuild_annotation(), default)


def _of_dataclass(field: "dataclasses.Field[Any]") -> Any:
    if field.default is not dataclasses.MISSING:
        return field.default
    missing = field.default_factory is dataclasses.MISSING
    return msgspec.NODEFAULT if missing else field.default_factory


def _of_attrs(default: Any) -> Any:
    """attrs says "none" by a value of its own, and holds a factory in a box."""
    if getattr(default, "name", "") == "NOTHING":
        return msgspec.NODEFAULT
    return getattr(default, "factory", default)


def _undressed(hint: Any) -> Any:
    origin = typing.get_origin(hint)
    return typing.get_args(hint)[0] if origin in (typing.Required, typing.NotRequired) else hint
