"""A quick reader for plain marshmallow schemas; what it can't be sure of it leaves to marshmallow.

Law: it gives what `Schema.load` gives, or UNSURE. It knows the field types that come with
marshmallow by their exact class, has no words for errors, and reads no schema with hooks, methods
or options of its own. A value of another type than the field's, None, an unknown key or a failing
validator all mean UNSURE: marshmallow then reads the data again and says what there is to say.
"""

import math
from collections.abc import Callable
from typing import Any, Final

__all__ = ["UNSURE", "quick_fields", "quick_reader"]


class _UnsureError(Exception):
    """Marshmallow must read this."""


UNSURE: Final = object()
_UNSURE: Final = _UnsureError()

Reader = Callable[[Any], Any]


def quick_reader(schema: Any) -> Reader | None:
    """A function from data to the loaded dict or UNSURE; None for a schema that isn't plain."""
    return None if any(_hooks_of(schema)) else quick_fields(schema)


def quick_fields(schema: Any) -> Reader | None:
    """The same for what stands between hooks: fields only, whatever the schema does around them."""
    read = _mapping(schema, 0)
    if read is None:
        return None
    from marshmallow import ValidationError

    def quick(data: Any) -> Any:
        try:
            return read(data)
        except (_UnsureError, ValidationError, OverflowError):
            return UNSURE

    return quick


def _mapping(schema: Any, depth: int) -> Reader | None:
    if depth > 4 or not _plain_schema(schema) or (depth and any(_hooks_of(schema))):
        return None
    rows = []
    for name, field in schema.load_fields.items():
        read = _field(field, depth)
        if read is None:
            return None
        default = field.load_default
        rows.append((field.data_key or name, name, read, default, field.required))
    known = frozenset(row[0] for row in rows)
    return _mapping_reader(rows, known)


def _mapping_reader(rows: list[Any], known: frozenset[str]) -> Reader:
    from marshmallow import missing

    def read(data: Any) -> dict[str, Any]:
        if type(data) is not dict or not known.issuperset(data):
            raise _UNSURE
        found = {}
        for key, name, convert, default, required in rows:
            if key in data:
                found[name] = convert(data[key])
            elif required:
                raise _UNSURE
            elif default is not missing:
                found[name] = default
        return found

    return read


def _plain_schema(schema: Any) -> bool:
    import marshmallow

    base = marshmallow.Schema
    own = {
        key
        for kind in type(schema).__mro__[: type(schema).__mro__.index(base)]
        for key in vars(kind)
    }
    told = {"unknown": schema.unknown, "many": schema.many, "partial": schema.partial}
    expected = {"unknown": "raise", "many": False, "partial": None}
    return (
        not (own & {key for key in vars(base) if not key.startswith("__")} - _MADE)
        and schema.dict_class is dict
        and told == expected
    )


def _hooks_of(schema: Any) -> Any:
    """pre_load, validates_schema and the like."""
    return schema._hooks.values()  # noqa: SLF001 — nothing public tells them


# What marshmallow itself puts on every schema class.
_MADE: Final = frozenset({"opts", "Meta", "_abc_impl", "_declared_fields", "_hooks"})


def _field(field: Any, depth: int) -> Reader | None:
    if field.attribute is not None or callable(field.load_default):
        return None
    read = _value(field, depth)
    validators = _validators(field)
    if read is None or validators is None:
        return None
    return _checked(read, validators) if validators else read


def _validators(field: Any) -> list[Any] | None:
    """Validators that come with marshmallow; they raise, or say nothing."""
    from marshmallow import validate

    known = {validate.Length, validate.Range, validate.OneOf, validate.Regexp, validate.Equal}
    return list(field.validators) if all(type(v) in known for v in field.validators) else None


def _checked(read: Reader, validators: list[Any]) -> Reader:
    def checked(value: Any) -> Any:
        found = read(value)
        for validator in validators:
            validator(found)
        return found

    return checked


def _value(field: Any, depth: int) -> Reader | None:
    from marshmallow import fields

    kind = type(field)
    if kind in (fields.String, fields.Str):
        return _text
    if kind in (fields.Integer, fields.Int) and field.num_type is int:
        return _whole
    if kind is fields.Float and not field.allow_nan:
        return _real
    if kind in (fields.Boolean, fields.Bool) and {True, False} <= field.truthy | field.falsy:
        return _truth
    if kind is fields.List:
        inner = _field(field.inner, depth)
        return None if inner is None else _many(inner)
    if kind is fields.Nested and not (field.many or field.unknown or field.only or field.exclude):
        return _mapping(field.schema, depth + 1)
    return None


def _text(value: Any) -> Any:
    if type(value) is not str:
        raise _UNSURE
    return value


def _whole(value: Any) -> Any:
    if type(value) is not int:
        raise _UNSURE
    return value


def _real(value: Any) -> float:
    kind = type(value)
    if (kind is not float and kind is not int) or not math.isfinite(value):
        raise _UNSURE
    return float(value)


def _truth(value: Any) -> Any:
    if type(value) is not bool:
        raise _UNSURE
    return value


def _many(inner: Reader) -> Reader:
    def read(value: Any) -> list[Any]:
        if type(value) is not list:
            raise _UNSURE
        return [inner(one) for one in value]

    return read
