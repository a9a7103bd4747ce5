"""Validation by marshmallow schemas, of marshmallow 3 and 4."""

import inspect
from typing import Any

from chapiteau.cornice.validators._extracting import MISSING, extract_cstruct, part_of
from chapiteau.cornice.validators._schemas import load

__all__ = [
    "body_validator",
    "headers_validator",
    "path_validator",
    "querystring_validator",
    "validator",
]

_REQUIRED = "Missing data for required field."


def body_validator(
    request: Any, schema: Any = None, deserializer: Any = None, **kwargs: Any
) -> None:
    """Validate the body; what it gives becomes `request.validated`."""
    _validate(request, "body", schema, deserializer, kwargs.get("schema_kwargs"))


def headers_validator(
    request: Any, schema: Any = None, deserializer: Any = None, **kwargs: Any
) -> None:
    """Validate the headers; name them as they are usually written: `X-Request-Id`."""
    _validate(request, "header", schema, deserializer, kwargs.get("schema_kwargs"))


def path_validator(
    request: Any, schema: Any = None, deserializer: Any = None, **kwargs: Any
) -> None:
    """Validate the parameters of the path."""
    _validate(request, "path", schema, deserializer, kwargs.get("schema_kwargs"))


def querystring_validator(
    request: Any, schema: Any = None, deserializer: Any = None, **kwargs: Any
) -> None:
    """Validate the parameters of the query string."""
    _validate(request, "querystring", schema, deserializer, kwargs.get("schema_kwargs"))


def validator(request: Any, schema: Any = None, deserializer: Any = None, **kwargs: Any) -> None:
    """Validate the whole request: the schema has a field for each part of it."""
    import marshmallow

    if schema is None:
        return
    _check_class(schema)
    parts = (extract_cstruct if deserializer is None else deserializer)(request)
    try:
        found = load(schema, kwargs.get("schema_kwargs"), request, parts)
    except marshmallow.ValidationError as exc:
        for location, told in _told(exc).items():
            if location == "_schema":
                request.errors.add("", "", told)
            elif isinstance(told, dict):
                for name, text in told.items():
                    request.errors.add(location, name, text)
            else:
                request.errors.add(location, location, told)
    else:
        request.validated.update(found)


def _validate(request: Any, location: str, schema: Any, deserializer: Any, options: Any) -> None:
    import marshmallow

    if schema is None:
        return
    _check_class(schema)
    part = part_of(request, location, deserializer)
    if part is MISSING:
        request.errors.add(location, location, [_REQUIRED])
        return
    try:
        request.validated = load(schema, options, request, part)
    except marshmallow.ValidationError as exc:
        for name, told in _told(exc).items():
            request.errors.add(location, name, told)


def _told(exc: Any) -> dict[str, Any]:
    """Messages by field, or by part of the request."""
    found: dict[str, Any] = exc.normalized_messages()
    return found


def _check_class(schema: Any) -> None:
    if not inspect.isclass(schema):
        raise ValueError(
            f"give the class of the schema, not an instance: {type(schema).__name__}; "
            "its arguments go into schema_kwargs"
        )
