"""A finished answer: status line, headers, bytes. Lighter than a WebOb Response."""

import itertools
import os
import re
from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec
from pyramid.interfaces import IResponse
from pyramid.response import Response
from zope.interface import implementer

from chapiteau.service.logic.document.errors import cornice_document
from chapiteau.service.logic.problem import (
    MEDIA_TYPE,
    ProblemError,
    phrase,
    problem_document,
)

__all__ = [
    "CORS_KEY",
    "ERRORS_KEY",
    "VARY_KEY",
    "ReadyResponse",
    "Reply",
    "StreamReply",
    "problem_reply",
    "request_id",
    "status_line",
    "to_response",
]

CORS_KEY: Final = "chapiteau.cors"  # headers that also an error answer must carry
ERRORS_KEY: Final = "chapiteau.errors"  # set when errors are written as Cornice does
VARY_KEY: Final = "chapiteau.vary"  # the same, for versions and what else an answer differs by
Headers = list[tuple[str, str]]

_encode = msgspec.json.Encoder().encode
_GOOD_ID: Final = re.compile(r"[A-Za-z0-9._:+/=-]{1,64}")
_counter = itertools.count(1)
_prefix = ""


@implementer(IResponse)
class Reply:
    """What a plan answers with; a WSGI application in itself."""

    media = "*/*"  # as an annotation: the handler makes the whole answer
    __slots__ = ("body", "headers", "status")

    def __init__(self, status: str, headers: Headers, body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        start_response(self.status, self.headers)
        return (self.body,) if environ["REQUEST_METHOD"] != "HEAD" else ()

    def __repr__(self) -> str:
        return f"<Reply {self.status} {len(self.body)} bytes>"


@implementer(IResponse)
class StreamReply:
    """An answer whose length nobody knows yet."""

    __slots__ = ("headers", "pieces", "status")

    def __init__(self, status: str, headers: Headers, pieces: Iterable[bytes]) -> None:
        self.status = status
        self.headers = headers
        self.pieces = pieces

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        start_response(self.status, self.headers)
        return self.pieces if environ["REQUEST_METHOD"] != "HEAD" else ()


_LINES: Final[dict[int, str]] = {}


def status_line(status: int) -> str:
    """`404 Not Found`."""
    line = _LINES.get(status)
    if line is None:
        line = _LINES[status] = f"{status} {phrase(status)}"
    return line


def request_id(environ: dict[str, Any]) -> str:
    """The id of this request: the client's own when it is a sane one; kept in environ."""
    known: str | None = environ.get("chapiteau.request_id")
    if known is not None:
        return known
    given = environ.get("HTTP_X_REQUEST_ID")
    if given is not None and _GOOD_ID.fullmatch(given):
        made = str(given)
    else:
        made = f"{_prefix}{next(_counter):x}"
    environ["chapiteau.request_id"] = made
    return made


def _new_prefix() -> None:
    """Random per process: a forked worker must not repeat its sibling's ids."""
    global _prefix  # noqa: PLW0603 — one word per process, renewed by fork alone
    _prefix = os.urandom(6).hex() + "-"


_new_prefix()
os.register_at_fork(after_in_child=_new_prefix)


def problem_reply(problem: ProblemError, environ: dict[str, Any]) -> Reply:
    """The answer for a problem."""
    own = request_id(environ)
    if ERRORS_KEY in environ:
        media, body = "application/json", _encode(cornice_document(problem))
    else:
        media, body = MEDIA_TYPE, _encode(problem_document(problem, own))
    headers = [
        ("Content-Type", media),
        ("Content-Length", str(len(body))),
        ("X-Request-ID", own),
        ("X-Content-Type-Options", "nosniff"),
        *((name, _one_line(value)) for name, value in problem.headers.items()),
        *environ.get(CORS_KEY, ()),
        *environ.get(VARY_KEY, ()),
    ]
    return Reply(status_line(problem.status), headers, body)


def _one_line(value: str) -> str:
    """A header's value that can't begin another header."""
    return value if value.isprintable() else "".join(c if c.isprintable() else " " for c in value)


class ReadyResponse(Response):  # type: ignore[misc]
    """A Reply as Pyramid's tweens and callbacks know it, without WebOb's second thoughts.

    WebOb's own constructor parses the status and guesses a content type; its call rewrites
    Location to an absolute URL from the Host header, which nobody has checked.
    """

    def __init__(self, reply: Reply) -> None:
        self._status = reply.status
        self._headers = None
        self._headerlist = reply.headers
        self._app_iter = [reply.body] if reply.body else []
        self.conditional_response = False

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        start_response(self._status, self._headerlist)
        if environ["REQUEST_METHOD"] == "HEAD":
            return ()
        body: Iterable[bytes] = self._app_iter
        return body


def to_response(made: Any) -> Response:
    """A finished answer as a WebOb Response, for tweens and callbacks that want one."""
    if isinstance(made, Reply):
        return ReadyResponse(made)
    if isinstance(made, StreamReply):
        return Response(status=made.status, headerlist=made.headers, app_iter=made.pieces)
    return made
