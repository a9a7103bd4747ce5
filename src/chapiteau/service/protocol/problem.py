"""Problem details (RFC 9457): the one format of every error answer."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from chapiteau.core.errors import ChapiteauError

__all__ = [
    "MEDIA_TYPE",
    "ErrorDetail",
    "InvalidRequestError",
    "MalformedRequestError",
    "ProblemDocument",
    "ProblemError",
    "problem_document",
    "problem_for",
    "reason_phrase",
]

MEDIA_TYPE: Final = "application/problem+json"

_PHRASES: Final[dict[int, str]] = {
    200: "OK", 201: "Created", 202: "Accepted", 203: "Non-Authoritative Information",
    204: "No Content", 205: "Reset Content", 206: "Partial Content", 207: "Multi-Status",
    300: "Multiple Choices", 301: "Moved Permanently", 302: "Found", 303: "See Other",
    304: "Not Modified", 307: "Temporary Redirect", 308: "Permanent Redirect",
    400: "Bad Request", 401: "Unauthorized", 402: "Payment Required", 403: "Forbidden",
    404: "Not Found", 405: "Method Not Allowed", 406: "Not Acceptable", 408: "Request Timeout",
    409: "Conflict", 410: "Gone", 411: "Length Required", 412: "Precondition Failed",
    413: "Content Too Large", 414: "URI Too Long", 415: "Unsupported Media Type",
    416: "Range Not Satisfiable", 417: "Expectation Failed", 421: "Misdirected Request",
    422: "Unprocessable Content", 423: "Locked", 424: "Failed Dependency", 425: "Too Early",
    426: "Upgrade Required", 428: "Precondition Required", 429: "Too Many Requests",
    431: "Request Header Fields Too Large", 451: "Unavailable For Legal Reasons",
    500: "Internal Server Error", 501: "Not Implemented", 502: "Bad Gateway",
    503: "Service Unavailable", 504: "Gateway Timeout", 505: "HTTP Version Not Supported",
    507: "Insufficient Storage", 511: "Network Authentication Required",
}  # fmt: skip


def reason_phrase(status: int) -> str:
    """The words that go with a status code (RFC 9110 §15), or "Status" for an unknown one."""
    return _PHRASES.get(status, "Status")


class ErrorDetail(msgspec.Struct, frozen=True, kw_only=True, rename={"place": "in"}):
    """One thing that is wrong in a request: where, as a JSON pointer (RFC 6901), and what.

    Encoded, it is an entry of the member `errors` of a problem document.
    """

    place: str
    pointer: str
    code: str
    detail: str


_TEXTS: Final = {"code", "title", "type"}


class ProblemError(ChapiteauError):
    """Raise it to answer with a problem document; subclass it to give a problem its own name.

        class NoSuchCityError(ProblemError):
            status = 404
            code = "no-such-city"
            title = "No such city"

    `status`, `code`, `title` and `type` stay the same for every occurrence, as long as one doesn't
    say its own (`ProblemError("taken", status=409)`); `detail` tells about this one. Further
    keyword arguments become members of the document. Raises TypeError for what can't be sent.
    """

    status: int = 500
    code: str = ""
    title: str = ""
    type: str = ""

    def __init__(
        self,
        detail: str = "",
        *,
        errors: Iterable[ErrorDetail] = (),
        headers: Mapping[str, str] | None = None,
        **members: Any,
    ) -> None:
        # A member of such a name would contradict what is sent: the status line, the header.
        if "request_id" in members:
            raise TypeError("the server writes request_id: give what you mean another name")
        if "status" in members:
            self.status = _status(members.pop("status"))
        for name in _TEXTS & members.keys():
            setattr(self, name, _text(name, members.pop(name)))
        super().__init__(detail or self.title or reason_phrase(self.status))
        self.detail = detail
        self.errors: Sequence[ErrorDetail] = tuple(errors)
        self.headers: dict[str, str] = dict(headers or {})
        self.members = members

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.status} {self.detail!r}>"


def _status(value: Any) -> int:
    if isinstance(value, int) and 400 <= value <= 599:
        return int(value)  # an HTTPStatus, too, is sent as a number
    raise TypeError(f"status={value!r} is no status of a problem: a number from 400 to 599")


def _text(name: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    raise TypeError(f"{name}={value!r} is no text")


class ProblemDocument(msgspec.Struct, frozen=True, omit_defaults=True):
    """An error answer as it is sent (RFC 9457), for the published schema and for clients."""

    type: str
    title: str
    status: int
    code: str
    detail: str = ""
    request_id: str = ""
    errors: list[ErrorDetail] = []


def problem_document(problem: ProblemError, request_id: str = "") -> dict[str, Any]:
    """The document of a problem, as msgspec encodes it."""
    status = problem.status
    code = problem.code or _code_of(status)
    document: dict[str, Any] = {
        "type": problem.type or (f"urn:problem:{code}" if problem.code else "about:blank"),
        "title": problem.title or reason_phrase(status),
        "status": status,
        "code": code,
    }
    if problem.detail:
        document["detail"] = problem.detail
    if request_id:
        document["request_id"] = request_id
    if problem.errors:
        document["errors"] = problem.errors
    document.update(problem.members)
    return document


def _code_of(status: int) -> str:
    return reason_phrase(status).lower().replace(" ", "-")


def problem_for(status: int, detail: str = "", **kept: Any) -> ProblemError:
    """A problem that has no name of its own, only a status code."""
    return _class_for(status)(detail, **kept)


_CLASSES: dict[int, type[ProblemError]] = {}


def _class_for(status: int) -> type[ProblemError]:
    found = _CLASSES.get(status)
    if found is None:
        name = reason_phrase(status).title().replace(" ", "").replace("-", "") + "Error"
        found = _CLASSES[status] = type(name, (ProblemError,), {"status": status})
    return found


# What is answered when a request itself is wrong.


class InvalidRequestError(ProblemError):
    """The request can be read, but says something that can't be (422)."""

    status = 422
    code = "invalid-request"
    title = "The request is not valid"

    def __init__(self, found: Iterable[ErrorDetail]) -> None:
        errors = tuple(found)
        count = len(errors)
        super().__init__(f"{count} problem{'' if count == 1 else 's'}, see errors", errors=errors)


class MalformedRequestError(ProblemError):
    """The request can't even be read (400)."""

    status = 400
    code = "malformed-request"
    title = "The request can't be read"
