"""Requests of the control API read from bytes (RFC 9112), and responses to them."""

import json
import re
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

from chapiteau.core.errors import ChapiteauError
from chapiteau.run.logs.messages import Outcome

__all__ = [
    "MalformedError",
    "Request",
    "Response",
    "StreamedResponse",
    "error_response",
    "outcome_response",
    "problem_response",
    "read_request",
]

_HEAD: Final = 64 << 10  # bytes of request line and headers
_BODY: Final = 1 << 20  # bytes of a body
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class MalformedError(Exception):
    """A request that can't be read: answered with `status`, then the connection is closed."""

    def __init__(self, status: int, what: str) -> None:
        super().__init__(what)
        self.status, self.what = status, what


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request. Header names are in lower case; `segments` and `query` are decoded."""

    method: str
    path: str
    segments: tuple[str, ...] = ()
    query: dict[str, list[str]] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    http11: bool = True  # HTTP/1.1
    keep_alive: bool = True  # whether the connection stays open

    def first(self, name: str, default: str = "") -> str:
        """The first value of a parameter of the query."""
        return self.query.get(name, [default])[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """A complete response."""

    body: bytes = b""
    status: int = 200
    kind: str = "application/json; charset=utf-8"
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamedResponse:
    """A response that is sent piece by piece."""

    kind: str
    pieces: AsyncGenerator[bytes, None]


def read_request(buffer: bytearray) -> Request | None:
    """Take the first whole request out of the buffer; None while it is not whole yet.

    Raises MalformedError.
    """
    while buffer.startswith(b"\r\n"):  # RFC 9112 §2.2: an old client's empty lines
        del buffer[:2]
    end = buffer.find(b"\r\n\r\n", 0, _HEAD + 4)
    if end < 0:
        if len(buffer) > _HEAD:
            raise MalformedError(431, "the request head is too long")
        return None
    first, *lines = buffer[:end].decode("latin-1").split("\r\n")
    headers = _headers(lines)
    length = _length(headers)
    if len(buffer) < end + 4 + length:
        return None
    request = _request(first, headers, bytes(buffer[end + 4 : end + 4 + length]))
    del buffer[: end + 4 + length]
    return request


def _headers(lines: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not _TOKEN.fullmatch(name):
            raise MalformedError(400, f"not a header: {line[:80]!r}")
        name, value = name.lower(), value.strip(" \t")
        if name in found and name in ("content-length", "transfer-encoding"):
            raise MalformedError(400, f"{name} is given twice")
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


def _length(headers: dict[str, str]) -> int:
    if "transfer-encoding" in headers:
        raise MalformedError(411, "send the body with its Content-Length, not in chunks")
    text = headers.get("content-length", "0")
    if not (text.isascii() and text.isdigit()):
        raise MalformedError(400, f"Content-Length {text[:80]!r} is not a number")
    if len(text) > len(str(_BODY)) or int(text) > _BODY:
        raise MalformedError(413, f"the body is longer than {_BODY} bytes")
    return int(text)


def _request(first: str, headers: dict[str, str], body: bytes) -> Request:
    words = first.split(" ")
    if len(words) != 3 or not _TOKEN.fullmatch(words[0]):
        raise MalformedError(400, f"not an HTTP request: {first[:80]!r}")
    method, target, version = words
    if version not in ("HTTP/1.0", "HTTP/1.1"):
        raise MalformedError(505, f"{version[:20]!r} is not supported; use HTTP/1.1")
    try:
        split = urlsplit(target)
        query = parse_qs(split.query, keep_blank_values=True, max_num_fields=1000)
    except ValueError as exc:
        raise MalformedError(400, f"not a request target: {exc}") from None
    if not split.path.startswith("/"):
        raise MalformedError(400, f"not a path: {target[:80]!r}")
    wish = headers.get("connection", "").lower()
    return Request(
        method=method,
        path=split.path,
        segments=tuple(unquote(part) for part in split.path[1:].split("/")),
        query=query,
        headers=headers,
        body=body,
        http11=version == "HTTP/1.1",
        keep_alive=version == "HTTP/1.1" and "close" not in wish,
    )


# Errors and failed outcomes as application/problem+json (RFC 9457).

# The CLI's exit code → the nearest HTTP status.
_STATUS: Final = {1: 500, 2: 400, 3: 404, 4: 409, 5: 503, 6: 504, 7: 500, 8: 409}
_TITLE: Final = {
    400: "Bad request",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    409: "Refused now",
    411: "Length required",
    413: "Too long",
    431: "Too long",
    500: "Failed",
    503: "Unreachable",
    504: "Timed out",
}


def problem_response(
    status: int, detail: str, *, hint: str = "", exit_code: int = 1, **more: Any
) -> Response:
    """A problem document with the CLI's exit code."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": _TITLE.get(status, "Error"),
        "status": status,
        "detail": detail,
        "exit_code": exit_code,
    }
    if hint:
        body["hint"] = hint
    return Response(
        status=status,
        body=json.dumps({**body, **more}, ensure_ascii=False).encode("utf-8", "replace"),
        kind="application/problem+json",
    )


def error_response(error: ChapiteauError) -> Response:
    """The problem document of one of our own errors."""
    status = _STATUS.get(error.exit_code, 500)
    return problem_response(status, error.what, hint=error.hint, exit_code=error.exit_code)


def outcome_response(outcome: Outcome) -> Response:
    """The problem document of a command that failed, with all that it did."""
    code = outcome.exit_code or 1
    return problem_response(
        _STATUS.get(code, 500),
        outcome.error or outcome.text or "the command failed",
        hint=outcome.hint,
        exit_code=code,
        outcome=outcome.to_dict(),
    )
