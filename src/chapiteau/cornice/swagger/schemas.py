"""One schema for a whole request, from what a view's validators read."""

import inspect
from collections.abc import Callable, Iterable
from typing import Any, Final

import colander

from chapiteau.cornice import validators as _validators
from chapiteau.service.openapi import Json

__all__ = ["Transformer", "to_colander", "transformed_schema", "whole_schema", "within"]


# Marshmallow schemas as colander nodes: enough of them to describe requests.


def to_colander(schema: Any) -> Any:
    """The node for a marshmallow schema; anything else as it is."""
    try:
        import marshmallow
    except ImportError:
        return schema
    if inspect.isclass(schema) and issubclass(schema, marshmallow.Schema):
        schema = schema()
    if not isinstance(schema, marshmallow.Schema):
        return schema
    return _mapping(schema, 0)


def _mapping(schema: Any, depth: int) -> Any:
    title = type(schema).__name__.removesuffix("Schema")
    node = colander.SchemaNode(colander.Mapping(), title=title)
    for name, field in schema.load_fields.items():
        child = _node(field, depth)
        child.name = field.data_key or name
        child.title = field.metadata.get("title", "")
        node.add(child)
    if schema.many:
        return colander.SchemaNode(colander.Sequence(), node)
    return node


def _node(field: Any, depth: int) -> Any:
    from marshmallow import fields, missing

    options: Json = {"description": field.metadata.get("description", "")}
    if not field.required:
        default = field.load_default
        shown = default is missing or callable(default)
        options["missing"] = colander.drop if shown else default
    limits = [made for made in map(_validator, field.validators) if made is not None]
    if limits:
        options["validator"] = colander.All(*limits)
    if isinstance(field, fields.Nested):
        if depth > 8:  # a schema that nests itself: describe it that far
            return colander.SchemaNode(colander.Mapping(), **options)
        inner = _mapping(field.schema, depth + 1)
        inner.missing = options.get("missing", colander.required)
        return colander.SchemaNode(colander.Sequence(), inner, **options) if field.many else inner
    if isinstance(field, fields.List):
        return colander.SchemaNode(colander.Sequence(), _node(field.inner, depth), **options)
    return colander.SchemaNode(_type(field), **options)


def _type(field: Any) -> Any:
    from marshmallow import fields

    kinds = (
        (fields.Boolean, colander.Boolean),
        (fields.Integer, colander.Integer),
        (fields.Number, colander.Float),
        (fields.Date, colander.Date),
        (fields.Time, colander.Time),
        (fields.DateTime, colander.DateTime),
        (fields.Mapping, colander.Mapping),
    )
    for theirs, ours in kinds:
        if isinstance(field, theirs):
            return ours(unknown="preserve") if ours is colander.Mapping else ours()
    return colander.String()


def _validator(one: Any) -> Any:
    from marshmallow import validate

    if isinstance(one, validate.Length):
        low, high = one.equal or one.min, one.equal or one.max
        return colander.Length(-1 if low is None else low, -1 if high is None else high)
    if isinstance(one, validate.Range):
        return colander.Range(one.min, one.max)
    if isinstance(one, validate.OneOf):
        return colander.OneOf(list(one.choices))
    if isinstance(one, validate.Email):
        return colander.Email()
    if isinstance(one, validate.Regexp):
        return colander.Regex(one.regex.pattern)
    return None


Transformer = Callable[[Any, Json], Any]

_PARTS: Final = {
    _validators.colander_body_validator: "body",
    _validators.colander_headers_validator: "header",
    _validators.colander_path_validator: "path",
    _validators.colander_querystring_validator: "querystring",
    _validators.marshmallow_body_validator: "body",
    _validators.marshmallow_headers_validator: "header",
    _validators.marshmallow_path_validator: "path",
    _validators.marshmallow_querystring_validator: "querystring",
}


def whole_schema(args: Json) -> Any:
    """A colander schema with a child per part of the request, or None; of any validator."""
    schema = args.get("schema")
    if schema is not None:
        schema = to_colander(schema)
    if inspect.isclass(schema) and issubclass(schema, colander.SchemaNode):
        schema = schema()
    if not isinstance(schema, colander.SchemaNode):
        return None
    validators = args.get("validators", ())
    for validator, part in _PARTS.items():
        if validator in validators:
            return within(part, schema)
    return schema


def transformed_schema(args: Json, transformers: Iterable[Transformer]) -> Any:
    """The same as cornice_swagger made it: a copy that goes through functions, or None."""
    schema = args.get("schema")
    if inspect.isclass(schema) and issubclass(schema, colander.SchemaNode):
        schema = schema()
    if not isinstance(schema, colander.Schema):
        return None
    schema = schema.clone()
    for transform in transformers:
        schema = transform(schema, args)
    return schema


def within(part: str, schema: Any) -> Any:
    """A schema for a whole request of which the given one describes a part."""
    # A clone: colander names a node after the attribute that it becomes.
    whole = type("Request", (colander.MappingSchema,), {part: schema.clone()})
    return whole()
