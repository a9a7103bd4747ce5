"""Marshmallow schemas as colander nodes: enough of them to describe requests."""

import inspect
from typing import Any

import colander

__all__ = ["as_colander"]


def as_colander(schema: Any) -> Any:
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

    options: dict[str, Any] = {"description": field.metadata.get("description", "")}
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
