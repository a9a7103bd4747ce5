"""Validation by colander schemas."""

import inspect
import warnings
from typing import Any

from chapiteau.cornice.validators._extracting import (
    MISSING,
    extract_cstruct,
    part_of,
    part_validator,
)

__all__ = [
    "body_validator",
    "headers_validator",
    "path_validator",
    "querystring_validator",
    "validator",
]


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


def _validate(request: Any, location: str, schema: Any, deserializer: Any, _options: Any) -> None:
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


body_validator = part_validator(_validate, "body")
headers_validator = part_validator(_validate, "header")
path_validator = part_validator(_validate, "path")
querystring_validator = part_validator(_validate, "querystring")
