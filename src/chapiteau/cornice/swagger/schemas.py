"""One schema for a whole request, from what a view's validators read."""

import inspect
from typing import Any, Final

import colander

from chapiteau.cornice import validators as _validators
from chapiteau.cornice.swagger.marshmallows import as_colander

__all__ = ["whole_schema"]

_BODY: Final = _validators.colander_body_validator
_PARTS: Final = {
    _validators.colander_headers_validator: "header",
    _validators.colander_path_validator: "path",
    _validators.colander_querystring_validator: "querystring",
    _validators.marshmallow_body_validator: "body",
    _validators.marshmallow_headers_validator: "header",
    _validators.marshmallow_path_validator: "path",
    _validators.marshmallow_querystring_validator: "querystring",
}


def whole_schema(args: dict[str, Any], *, full: bool) -> Any:
    """A colander schema with a child per part of the request, or None.

    cornice_swagger knows the validators of the body and of the whole; `full` knows all.
    """
    schema = args.get("schema")
    if full and schema is not None:
        schema = as_colander(schema)
    if inspect.isclass(schema) and issubclass(schema, colander.SchemaNode):
        schema = schema()
    if not isinstance(schema, colander.SchemaNode if full else colander.Schema):
        return None
    validators = args.get("validators", ())
    if _BODY in validators:
        return _within("body", schema)
    if full:
        for validator, part in _PARTS.items():
            if validator in validators:
                return _within(part, schema)
    return schema


def _within(part: str, schema: Any) -> Any:
    # A clone: colander names a node after the attribute that it becomes.
    whole = type("Request", (colander.MappingSchema,), {part: schema.clone()})
    return whole()
