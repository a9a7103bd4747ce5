"""Validation by colander schemas."""

import inspect
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

from chapiteau.cornice.validators._extracting import MISSING, extract_cstruct, part_of

__all__ = [
    "body_validator",
    "headers_validator",
    "path_validator",
    "querystring_validator",
    "validator",
]

Validator = TypeVar("Validator", bound=Callable[..., None])


def body_validator(
    request: Any, schema: Any = None, deserializer: Any = None, **kwargs: Any
) -> None:
    """Validate the body; what it gives goes into `request.validated`."""
    _validate(request, "body", schema, deserializer)


def headers_validator(
    request: Any, schema: Any = None, deserializer: Any = None, **kwargs: Any
) -> None:
    """Validate the headers; name them as they are usually written: `X-Request-Id`."""
    _validate(request, "header", schema, deserializer)


def path_validator(
    request: Any, schema: Any = None, deserializer: Any = None, **kwargs: Any
) -> None:
    """Validate the parameters of the path."""
    _validate(request, "path", schema, deserializer)


def querystring_validator(
    request: Any, schema: Any = None, deserializer: Any = None, **kwargs: Any
) -> None:
    """Validate the parameters of the query string."""
    _validate(request, "querystring", schema, deserializer)


def validator(request: Any, schema: Any = None, deserializer: Any = None, **kwargs: Any) -> None:
    """Validate the whole request: the schema has a child for each part of it."""
    import colander

    if schema is None:
        return
    schema = _ensure_instantiated(schema)
    parts = (extract_cstruct if deserializer is None else deserializer)(request)
    try:
        found = schema.deserialize(parts)
    except colander.Invalid as exc:
        for path, text in _told(exc, request).items():
            location, _, name = path.partition(".")
            request.errors.add(location, name, text)
    else:
        request.validated.update(found)


def _validate(request: Any, location: str, schema: Any, deserializer: Any) -> None:
    import colander

    if schema is None:
        return
    schema = _ensure_instantiated(schema)
    if not isinstance(schema.typ, colander.Mapping):
        raise TypeError(f"the schema of {location} must be a MappingSchema, not {schema!r}")
    part = part_of(request, location, deserializer)
    try:
        found = schema.deserialize(colander.null if part is MISSING else part)
    except colander.Invalid as exc:
        skipped = f"{schema.name}." if schema.name else ""
        for path, text in _told(exc, request).items():
            name = "" if path == schema.name else path.removeprefix(skipped)
            request.errors.add(location, name, text)
    else:
        if found is not colander.drop and found is not colander.null:
            request.validated.update(found)


def _told(exc: Any, request: Any) -> dict[str, str]:
    """Messages by dotted path, in the language of the request."""
    localizer = getattr(request, "localizer", None)
    found: dict[str, str] = exc.asdict(translate=localizer.translate if localizer else None)
    return found


def _ensure_instantiated(schema: Any) -> Any:
    if inspect.isclass(schema):
        warnings.warn(
            f"give an instance of the schema: {schema.__name__}(), not the class",
            DeprecationWarning,
            stacklevel=3,
        )
        return schema()
    return schema
