"""The parts of a request, as schemas want them."""

from collections.abc import Callable
from typing import Any, Final

from chapiteau.cornice.util import read_json

__all__ = ["MISSING", "extract_cstruct", "part_of", "part_validator"]

MISSING: Final = object()
_JSON: Final = "application/json"
_FORMS: Final = ("application/x-www-form-urlencoded", "multipart/form-data")


def extract_cstruct(request: Any) -> dict[str, Any]:
    """All parts: body, path, querystring, header, cookies, method, url.

    The body is JSON or a form; of any other media type, bytes. Nothing at all when it should be
    JSON and is none, or a scalar: `request.errors` then tells.
    """
    body = _body_of(request)
    if body is MISSING:
        return {}
    return {
        "method": request.method,
        "url": request.url,
        "path": request.matchdict,
        "body": body,
        "querystring": _plain(request.GET),
        "header": dict(request.headers),
        "cookies": dict(request.cookies),
    }


def part_of(request: Any, location: str, deserializer: Any) -> Any:
    """One part, or MISSING."""
    if deserializer is not None and deserializer is not extract_cstruct:
        return deserializer(request).get(location, MISSING)
    # The body is looked at in any case: what can't be read is an error everywhere.
    body = _body_of(request)
    if body is MISSING or location == "body":
        return body
    if location == "querystring":
        return _plain(request.GET)
    return request.matchdict if location == "path" else request.headers


def part_validator(
    validate: Callable[[Any, str, Any, Any, Any], None], location: str
) -> Callable[..., None]:
    """A validator of one part of a request; names of headers are as usually written."""

    def validator(
        request: Any, schema: Any = None, deserializer: Any = None, **kwargs: Any
    ) -> None:
        validate(request, location, schema, deserializer, kwargs.get("schema_kwargs"))

    validator.__name__ = validator.__qualname__ = f"{location}_validator"
    validator.__doc__ = f"Validate the {location}; what it gives goes into `request.validated`."
    return validator


def _plain(value: Any) -> Any:
    return value.mixed() if hasattr(value, "mixed") else value


def _body_of(request: Any) -> Any:
    kind = request.content_type
    if not kind or kind == _JSON or (kind.startswith("application/") and kind.endswith("json")):
        try:
            return read_json(request)
        except ValueError as exc:
            request.errors.add("body", "", str(exc))
            return MISSING
    if kind in _FORMS:
        return _plain(request.POST)
    return request.body
