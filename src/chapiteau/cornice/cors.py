"""Cross-origin resource sharing: the check of an origin, preflights, headers of answers."""

import fnmatch
import functools
from collections.abc import Callable
from typing import Any, Final

from pyramid.settings import asbool

__all__ = [
    "CORS_PARAMETERS",
    "OriginCheck",
    "add_vary",
    "apply_cors_post_request",
    "ensure_origin",
    "get_cors_preflight_view",
    "get_cors_validator",
]

CORS_PARAMETERS: Final = (
    "cors_headers",
    "cors_enabled",
    "cors_origins",
    "cors_credentials",
    "cors_max_age",
    "cors_expose_all_headers",
)

_MANDATORY: Final = "this header is mandatory"
_ALLOW_ORIGIN: Final = "Access-Control-Allow-Origin"


def _method_of(request: Any) -> str:
    """The method that is meant: a preflight asks for another than its own."""
    if request.method == "OPTIONS":
        return str(request.headers.get("Access-Control-Request-Method", "OPTIONS"))
    return str(request.method)


def _allowed_origin(service: Any, request: Any, method: str) -> tuple[str | None, bool]:
    """What Access-Control-Allow-Origin must say (None: nothing), and whether the origin may."""
    origin = request.environ.get("HTTP_ORIGIN")
    allowed = service.cors_origins_for(method)
    anybody = "*" in allowed and not service.cors_support_credentials_for(method)
    if origin is None:
        always = anybody and asbool(request.registry.settings.get("cornice.always_cors"))
        return ("*" if always else None), True
    if not any(fnmatch.fnmatchcase(origin, pattern) for pattern in allowed):
        return None, False
    return ("*" if anybody else origin), True


def ensure_origin(service: Any, request: Any, response: Any = None, **kwargs: Any) -> Any:
    """Validator: an origin that isn't allowed is an error; an allowed one is told so."""
    response = request.response if response is None else response
    if not request.info.get("cors_checked"):
        value, good = _allowed_origin(service, request, _method_of(request))
        if not good:
            problem = f"{request.environ['HTTP_ORIGIN']} not allowed"
            request.errors.add("header", "Origin", problem)
        elif value is not None:
            response.headers[_ALLOW_ORIGIN] = value
        request.info["cors_checked"] = True
    return response


class OriginCheck(functools.partial[Any]):
    """The validator in front of every view of a service that is shared with other origins."""


def get_cors_validator(service: Any) -> Callable[..., Any]:
    """The validator that `cors_origins=` brings to every view of a service."""
    return OriginCheck(ensure_origin, service)


def get_cors_preflight_view(service: Any) -> Callable[[Any], Any]:
    """The view that answers what a browser asks before a request to another origin."""

    def preflight(request: Any) -> None:
        wanted = request.headers.get("Access-Control-Request-Method")
        if "Origin" not in request.headers:
            request.errors.add("header", "Origin", _MANDATORY)
        if wanted is None:
            request.errors.add("header", "Access-Control-Request-Method", _MANDATORY)
        elif wanted not in service.cors_supported_methods:
            problem = "Method not allowed"
            request.errors.add("header", "Access-Control-Request-Method", problem)
        headers = _headers_for(service, request)
        if request.errors:
            return
        told = request.response.headers
        told["Access-Control-Allow-Headers"] = ",".join(headers)
        told["Access-Control-Allow-Methods"] = ",".join(service.cors_supported_methods)
        age = service.cors_max_age_for(wanted)
        if age is not None:
            told["Access-Control-Max-Age"] = str(age)

    preflight.__name__ = "_preflight_view"
    return preflight


def _headers_for(service: Any, request: Any) -> list[str]:
    """Allowed request headers, in alphabetical order; one that isn't allowed is an error."""
    known = service.cors_supported_headers_for()
    folded = {name.lower() for name in known}
    asked = request.headers.get("Access-Control-Request-Headers")
    for name in (part.strip() for part in asked.split(",")) if asked else ():
        if service.cors_expose_all_headers:
            known.add(name)
        elif name.lower() not in folded:
            problem = f'Header "{name}" not allowed'
            request.errors.add("header", "Access-Control-Request-Headers", problem)
    return sorted(known)


def apply_cors_post_request(service: Any, request: Any, response: Any) -> Any:
    """Put the headers on an answer, whoever made it: a view, an error, an exception."""
    method = _method_of(request)
    value, _ = _allowed_origin(service, request, method)
    headers = response.headers
    if value is not None:
        headers[_ALLOW_ORIGIN] = value
    if service.cors_support_credentials_for(method):
        headers["Access-Control-Allow-Credentials"] = "true"
    if request.method != "OPTIONS":
        exposed = service.cors_supported_headers_for(request.method)
        if exposed:
            headers["Access-Control-Expose-Headers"] = ", ".join(sorted(exposed))
    # Cornice forgets it: a shared cache then gives one origin's answer to another.
    add_vary(headers, "Origin")
    return response


def add_vary(headers: Any, name: str) -> None:
    """Tell caches that the answer depends on a header of the request."""
    known = headers.get("Vary")
    if known is None:
        headers["Vary"] = name
    elif known != "*" and name.lower() not in [part.strip().lower() for part in known.split(",")]:
        headers["Vary"] = f"{known}, {name}"
