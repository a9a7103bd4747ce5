"""One schema for a whole request, from what a view's validators read."""

import inspect
from collections.abc import Callable, Iterable
from typing import Any, Final

import colander

from chapiteau.cornice import validators as _validators
from chapiteau.cornice.swagger.marshmallows import as_colander

__all__ = ["Transformer", "transformed_schema", "whole_schema", "within"]

Transformer = Callable[[Any, dict[str, Any]], Any]

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


def whole_schema(args: dict[str, Any]) -> Any:
    """A colander schema with a child per part of the request, or None; of any validator."""
    schema = args.get("schema")
    if schema is not None:
        schema = as_colander(schema)
    if inspect.isclass(schema) and issubclass(schema, colander.SchemaNode):
        schema = schema()
    if not isinstance(schema, colander.SchemaNode):
        return None
    validators = args.get("validators", ())
    for validator, part in _PARTS.items():
        if validator in validators:
            return within(part, schema)
    return schema


def transformed_schema(args: dict[str, Any], transformers: Iterable[Transformer]) -> Any:
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
