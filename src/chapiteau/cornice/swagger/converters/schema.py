"""From colander's types and validators to the words of JSON Schema."""

from typing import Any, Final

import colander

from chapiteau.cornice.swagger.converters.exceptions import NoSuchConverter
from chapiteau.service.openapi import Json

__all__ = [
    "ArrayTypeConverter",
    "BaseStringTypeConverter",
    "BooleanTypeConverter",
    "DateTimeTypeConverter",
    "DateTypeConverter",
    "IntegerTypeConverter",
    "NumberTypeConverter",
    "ObjectTypeConverter",
    "StringTypeConverter",
    "TimeTypeConverter",
    "TypeConversionDispatcher",
    "TypeConverter",
    "convert_schema",
]


class TypeConverter:
    """How to describe one type; subclass it for your own, and name it in custom_type_converters."""

    type: str = ""

    def __init__(self, dispatcher: Any) -> None:
        self.dispatcher = dispatcher

    def convert_type(self, schema_node: Any) -> Json:
        """The description without what validators add."""
        found: Json = {"type": self.type}
        if schema_node.title:
            found["title"] = schema_node.title
        if schema_node.description:
            found["description"] = schema_node.description
        if schema_node.missing not in (colander.required, colander.drop):
            found["default"] = schema_node.missing
        if "example" in schema_node.__dict__:
            found["example"] = schema_node.example
        return found

    def convert_validator(self, schema_node: Any) -> Json:
        """What the validators add."""
        return _limits(schema_node.validator, self.type)

    def __call__(self, schema_node: Any) -> Json:
        found = self.convert_type(schema_node)
        found.update(self.convert_validator(schema_node))
        return found


def _limits(validator: Any, kind: str) -> Json:
    if isinstance(validator, colander.All):
        found: Json = {}
        for one in validator.validators:
            found.update(_limits(one, kind))
        return found
    if isinstance(validator, colander.Length):
        word = "Items" if kind == "array" else "Length"
        return _given({f"max{word}": validator.max, f"min{word}": validator.min}, -1)
    if isinstance(validator, colander.Range):
        return _given({"maximum": validator.max, "minimum": validator.min})
    if isinstance(validator, colander.OneOf):
        return {"enum": list(validator.choices)}
    if kind == "string" and isinstance(validator, colander.Regex):
        return _pattern(validator)
    return {}


def _pattern(validator: Any) -> Json:
    if isinstance(validator, colander.Email):
        return {"format": "email"}
    if validator is colander.url:
        return {"format": "url"}
    return {"pattern": validator.match_object.pattern}


def _given(found: Json, nothing: Any = None) -> Json:
    return {key: value for key, value in found.items() if value is not None and value != nothing}


class BaseStringTypeConverter(TypeConverter):
    """Text of some format."""

    type = "string"
    format: str | None = None

    def convert_type(self, schema_node: Any) -> Json:
        """With its format, when it has one."""
        found = super().convert_type(schema_node)
        return {**found, "format": self.format} if self.format else found


class StringTypeConverter(BaseStringTypeConverter):
    """Text."""


class DateTypeConverter(BaseStringTypeConverter):
    """A date."""

    format = "date"


class DateTimeTypeConverter(BaseStringTypeConverter):
    """A date and a time."""

    format = "date-time"


class TimeTypeConverter(BaseStringTypeConverter):
    """A time."""

    format = "time"


class BooleanTypeConverter(TypeConverter):
    """True or false."""

    type = "boolean"


class NumberTypeConverter(TypeConverter):
    """Any number."""

    type = "number"


class IntegerTypeConverter(NumberTypeConverter):
    """A whole number."""

    type = "integer"


class ObjectTypeConverter(TypeConverter):
    """A mapping with its children."""

    type = "object"

    def convert_type(self, schema_node: Any) -> Json:
        """With properties, and which of them are required."""
        found = super().convert_type(schema_node)
        # What is missing from a mapping is a mapping's business, not a default to show.
        properties, required = {}, []
        for child in schema_node.children:
            properties[child.name] = self.dispatcher(child)
            if child.required:
                required.append(child.name)
        if properties:
            found["properties"] = properties
        if required:
            found["required"] = required
        unknown = getattr(schema_node.typ, "unknown", "ignore")
        if unknown == "preserve":
            found["additionalProperties"] = {}
        elif unknown == "raise":
            found["additionalProperties"] = False
        return found


class ArrayTypeConverter(TypeConverter):
    """A sequence of one kind of things."""

    type = "array"

    def convert_type(self, schema_node: Any) -> Json:
        """With its items."""
        return {
            **super().convert_type(schema_node),
            "items": self.dispatcher(schema_node.children[0]),
        }


_KNOWN: Final[dict[type, type[TypeConverter]]] = {
    colander.Boolean: BooleanTypeConverter,
    colander.Date: DateTypeConverter,
    colander.DateTime: DateTimeTypeConverter,
    colander.Float: NumberTypeConverter,
    colander.Integer: IntegerTypeConverter,
    colander.Mapping: ObjectTypeConverter,
    colander.Sequence: ArrayTypeConverter,
    colander.String: StringTypeConverter,
    colander.Time: TimeTypeConverter,
}


class TypeConversionDispatcher:
    """Finds the converter for a node; raises NoSuchConverter."""

    def __init__(self, custom_converters: Any = None, default_converter: Any = None) -> None:
        self.converters = {**_KNOWN, **(custom_converters or {})}
        self.default_converter = default_converter

    def __call__(self, schema_node: Any) -> Json:
        found = self.converters.get(type(schema_node.typ), self.default_converter)
        if found is None:
            raise NoSuchConverter(type(schema_node.typ).__name__)
        made: Json = found(self)(schema_node)
        return made


def convert_schema(schema_node: Any) -> Json:
    """The description of a schema, with the converters that are known here."""
    return TypeConversionDispatcher()(schema_node)
