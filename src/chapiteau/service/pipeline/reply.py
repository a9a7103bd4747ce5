"""A finished answer: status line, headers, bytes. Lighter than a WebOb Response."""

import itertools
import os
import re
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, Final

import msgspec
from pyramid.interfaces import IResponse
from pyramid.response import Response
from zope.interface import implementer

from chapiteau.service.errors import DeclarationError
from chapiteau.service.openapi.responses import cornice_document
from chapiteau.service.protocol.headers import Environ
from chapiteau.service.protocol.problem import (
    MEDIA_TYPE,
    ProblemError,
    problem_document,
    reason_phrase,
)

__all__ = [
    "CORS_KEY",
    "ERRORS_KEY",
    "VARY_KEY",
    "HeaderTemplate",
    "RawHeaderWriter",
    "Reply",
    "ReplyResponse",
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


class HeaderTemplate:
    """The headers of an operation's usual answers: the same each time, but for length and id.

    Raises DeclarationError when one of them would forge others.
    """

    __slots__ = ("_always", "_head", "_media", "_tail")

    def __init__(self, media: str, always: Iterable[tuple[str, str]]) -> None:
        self._media = ("Content-Type", media)
        self._always = tuple(always)
        self._head = f"{_line(*self._media)}Content-Length: "
        self._tail = "\r\n" + "".join(_line(name, value) for name, value in self._always)

    def __repr__(self) -> str:
        return f"<HeaderTemplate {self._media[1]}>"

    def lines(self, length: int, own: str) -> str:
        """As they go over the line."""
        return f"{self._head}{length}\r\nX-Request-ID: {own}{self._tail}"

    def listed(self, length: int, own: str) -> Headers:
        """As WSGI wants them."""
        told = ("Content-Length", str(length)), ("X-Request-ID", own)
        return [self._media, *told, *self._always]


def _line(name: str, value: str) -> str:
    if not value.isprintable():
        raise DeclarationError(
            f"the header {name} holds a character that no header may hold: {value!r}",
            hint="say it in one line, without control characters",
        )
    return f"{name}: {value}\r\n"


NO_HEADERS: Final = HeaderTemplate("", ())


class RawHeaderWriter:
    """A `start_response` that takes headers as they go over the line: that of our own worker."""

    __slots__ = ()

    def take(self, status: str, lines: str) -> None:
        """A status and whole header lines without forged ends; Content-Length is among them."""
        raise NotImplementedError


@implementer(IResponse)
class Reply(msgspec.Struct, eq=False):
    """What a plan answers with; a WSGI application in itself.

    The usual answer has no list of headers (`given`) before somebody asks for one: our own worker
    takes them as text.
    """

    media: ClassVar = "*/*"  # as an annotation: the handler makes the whole answer

    status: str
    given: Headers | None
    body: bytes
    usual: HeaderTemplate = NO_HEADERS
    own: str = ""  # the request's id

    @property
    def headers(self) -> Headers:
        """The headers as a list, which may be changed."""
        if self.given is None:
            self.given = self.usual.listed(len(self.body), self.own)
        return self.given

    @headers.setter
    def headers(self, headers: Headers) -> None:
        self.given = headers

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        if self.given is None and isinstance(start_response, RawHeaderWriter):
            start_response.take(self.status, self.usual.lines(len(self.body), self.own))
        else:
            start_response(self.status, self.headers)
        return (self.body,) if environ["REQUEST_METHOD"] != "HEAD" else ()

    def __repr__(self) -> str:
        return f"<Reply {self.status} {len(self.body)} bytes>"


@implementer(IResponse)
class StreamReply(msgspec.Struct, eq=False):
    """An answer whose length nobody knows yet."""

    status: str
    headers: Headers
    pieces: Iterable[bytes]

    def __repr__(self) -> str:
        return f"<StreamReply {self.status}>"

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response(self.status, self.headers)
        return self.pieces if environ["REQUEST_METHOD"] != "HEAD" else ()


_LINES: Final[dict[int, str]] = {}


def status_line(status: int) -> str:
    """`404 Not Found`."""
    line = _LINES.get(status)
    if line is None:
        line = _LINES[status] = f"{status} {reason_phrase(status)}"
    return line


def request_id(environ: Environ) -> str:
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


def problem_reply(problem: ProblemError, environ: Environ) -> Reply:
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


class ReplyResponse(Response):  # type: ignore[misc]
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

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response(self._status, self._headerlist)
        if environ["REQUEST_METHOD"] == "HEAD":
            return ()
        body: Iterable[bytes] = self._app_iter
        return body


def to_response(made: Any) -> Response:
    """A finished answer as a WebOb Response, for tweens and callbacks that want one."""
    if isinstance(made, Reply):
        return ReplyResponse(made)
    if isinstance(made, StreamReply):
        return Response(status=made.status, headerlist=made.headers, app_iter=made.pieces)
    return made
