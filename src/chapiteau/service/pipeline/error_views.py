"""Every exception as a problem document: ours, Pyramid's own, and defects."""

import logging
from typing import Any

from pyramid.exceptions import URLDecodeError
from pyramid.httpexceptions import HTTPException, HTTPForbidden

from chapiteau.service.auth import unauthenticated_error
from chapiteau.service.declare.service import METHODS
from chapiteau.service.pipeline.debug_page import UNHANDLED_KEY
from chapiteau.service.pipeline.reply import (
    CORS_KEY,
    ERRORS_KEY,
    VARY_KEY,
    Reply,
    problem_reply,
    request_id,
    to_response,
)
from chapiteau.service.protocol.cors import CorsPolicy, cors_headers
from chapiteau.service.protocol.headers import Environ
from chapiteau.service.protocol.problem import ProblemError, problem_for
from chapiteau.service.protocol.versions import UnknownVersionError

__all__ = ["add_error_views", "error_view", "problem_from"]

_log = logging.getLogger("chapiteau.service")

# Headers that say something about the failure itself and must survive the new body.
_KEPT = ("Allow", "WWW-Authenticate", "Retry-After", "Location", "Accept", "Accept-Patch")


def problem_from(error: BaseException, environ: Environ) -> ProblemError:
    """The problem that tells about an exception; a defect is logged and tells nothing outward."""
    if isinstance(error, ProblemError):
        return error
    if isinstance(error, URLDecodeError):
        return problem_for(400, "the path is not UTF-8")
    if isinstance(error, HTTPException):
        kept = {name: error.headers[name] for name in _KEPT if name in error.headers}
        return problem_for(error.code, _detail(error, environ), headers=kept)
    if UNHANDLED_KEY in environ:  # somebody wants to show it: the development server, a tracer
        environ[UNHANDLED_KEY].append(error)
    _log.error(
        "%s %s failed (request id %s)",
        environ.get("REQUEST_METHOD", "?"),
        environ.get("PATH_INFO", "?"),
        request_id(environ),
        exc_info=error,
    )
    return problem_for(500, "something went wrong here; the log tells more under the request id")


def _detail(error: HTTPException, environ: Environ) -> str:
    # Pyramid's 404 carries the path or a debug text as its detail: the path is news to nobody.
    detail = error.detail or ""
    if detail == environ.get("PATH_INFO") or (error.code == 404 and not detail):
        return "there is nothing at this path"
    return str(detail)


def add_error_views(config: Any) -> None:
    """Register the views; an application may still add its own for its own exceptions."""
    for kind in (ProblemError, HTTPException):
        config.add_exception_view(error_view, context=kind)
    if getattr(config.registry, "cornice_handles_exceptions", False):
        return  # its views were there first, and ask us
    config.add_exception_view(error_view, context=Exception)
    config.add_notfound_view(error_view)
    config.add_forbidden_view(error_view)


def _cors_of(request: Any) -> CorsPolicy | None:
    """The policy that `config.set_cors` has set."""
    found: CorsPolicy | None = request.registry["chapiteau.service"].cors
    return found


def error_view(error: Any, request: Any) -> Any:
    """The exception view: any exception as a problem, redirects as they are."""
    if isinstance(error, HTTPException) and error.code < 400:
        return error  # a redirect is an answer, not a problem
    environ = request.environ
    if environ["REQUEST_METHOD"] == "OPTIONS" and environ.get("PATH_INFO") == "*":
        # The server as a whole is meant (RFC 9110 §9.3.7), of which there is little to say.
        allowed = [("Allow", ", ".join(sorted(METHODS))), ("X-Request-ID", request_id(environ))]
        return to_response(Reply("204 No Content", allowed, b""))
    application = request.registry["chapiteau.service"]
    if application.errors == "cornice":
        request.environ[ERRORS_KEY] = True
    varies = application.versions.vary if application.versions else ""
    if varies and VARY_KEY not in request.environ and not isinstance(error, UnknownVersionError):
        # What is nothing in this version may be something in another.
        request.environ[VARY_KEY] = [("Vary", varies)]
    if CORS_KEY not in request.environ:
        # An unknown URL belongs to no service: the application's own policy holds there.
        policy = _cors_of(request)
        if policy is not None:
            origin = request.environ.get("HTTP_ORIGIN")
            request.environ[CORS_KEY] = cors_headers(policy, origin)
    if isinstance(error, HTTPForbidden) and (unknown := unauthenticated_error(request)) is not None:
        error = unknown
    return to_response(problem_reply(problem_from(error, request.environ), request.environ))
