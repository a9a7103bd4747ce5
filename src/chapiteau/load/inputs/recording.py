"""Requests that are known beforehand, as sessions: all in order, or one of them at a time."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from chapiteau.core.problems import Problem, raise_problems
from chapiteau.load.inputs.url_encoding import url_origin
from chapiteau.load.scenario.flow import Flow, FlowRequest, FlowState

if TYPE_CHECKING:
    import random

__all__ = [
    "ParsedInput",
    "RandomFlow",
    "ReadFile",
    "RebasedFlow",
    "SequenceFlow",
    "accepted_statuses",
    "filter_host",
    "first_origin",
    "kept_headers",
    "read_body_file",
    "read_urls",
    "with_content_type",
]

_GOOD: Final = frozenset(range(100, 400))
# Headers of a recording that belong to its connection or its caches, not to the request.
_OF_THE_CONNECTION: Final = frozenset(
    "host connection content-length transfer-encoding accept-encoding keep-alive upgrade te "
    "proxy-connection proxy-authorization if-none-match if-modified-since cookie2".split()
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedInput:
    """What a document, recording or command line turned into."""

    flow: Flow
    base_url: str = ""  # where it says the service is; "" when it does not say
    problems: tuple[Problem, ...] = ()  # what was left out, and why


@dataclass(frozen=True, slots=True)
class SequenceFlow:
    """Each session sends all the requests, one after the other."""

    name: str
    requests: tuple[FlowRequest, ...]

    def next(self, _chance: "random.Random", seen: FlowState) -> FlowRequest | None:
        """The request after those that were answered."""
        return self.requests[seen.steps] if seen.steps < len(self.requests) else None

    def outline(self) -> list[str]:
        """The requests in their order."""
        return [_line(request) for request in self.requests]


@dataclass(frozen=True, slots=True)
class RandomFlow:
    """Each session sends one of the requests, by chance."""

    name: str
    requests: tuple[FlowRequest, ...]

    def next(self, chance: "random.Random", seen: FlowState) -> FlowRequest | None:
        """Any one, and then nothing."""
        return chance.choice(self.requests) if seen.steps == 0 and self.requests else None

    def outline(self) -> list[str]:
        """The requests that may be sent."""
        return [_line(request) for request in self.requests]


@dataclass(frozen=True, slots=True)
class RebasedFlow:
    """A flow whose service is elsewhere now: what went to `home` is relative to the base URL."""

    flow: Flow
    home: str  # scheme and authority

    @property
    def name(self) -> str:
        """As it was."""
        return self.flow.name

    def next(self, chance: "random.Random", seen: FlowState) -> FlowRequest | None:
        """The next request, moved."""
        request = self.flow.next(chance, seen)
        if request is None or url_origin(request.url) != self.home:
            return request
        path = request.url[len(self.home) :]
        return replace(request, url=path if path.startswith("/") else f"/{path}")

    def outline(self) -> list[str]:
        """As it was, without the host."""
        return [line.replace(self.home, "", 1) for line in self.flow.outline()]


def _line(request: FlowRequest) -> str:
    pause = f"  (after {request.think:.1f} s)" if request.think else ""
    size = f"  ({len(request.body)} bytes)" if request.body else ""
    return f"{request.method} {request.url}{size}{pause}"


def accepted_statuses(status: Any) -> frozenset[int]:
    """What a request that was refused when it was recorded may get: that again, or a good answer.

    Empty, as usual, for all others.
    """
    refused = isinstance(status, int) and 400 <= status < 500
    return _GOOD | {status} if refused else frozenset()


def kept_headers(pairs: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """The headers worth sending again, in one line each."""
    return tuple(
        (name, _one_line(value))
        for name, value in pairs
        if name
        and not name.startswith(":")
        and name.lower() not in _OF_THE_CONNECTION
        and name.isascii()
        and all(c > " " and c not in ':"(),/' for c in name)
    )


def with_content_type(
    headers: Iterable[tuple[str, str]], media: str
) -> tuple[tuple[str, str], ...]:
    """The headers with the body's type, unless they have one or there is none."""
    given = tuple(headers)
    if not media or any(name.lower() == "content-type" for name, _ in given):
        return given
    return (*given, ("Content-Type", media))


def first_origin(requests: Iterable[FlowRequest]) -> str:
    """The scheme and host of the first request that names one; "" when none does."""
    return next((origin for origin in (url_origin(r.url) for r in requests) if origin), "")


def _one_line(value: str) -> str:
    return "".join(c if c == "\t" or (c >= " " and c != "\x7f") else " " for c in value).strip()


def filter_host(
    requests: Iterable[FlowRequest], home: str = ""
) -> tuple[tuple[FlowRequest, ...], Mapping[str, int]]:
    """The requests to one host (the first's, unless said), and how many went to which others."""
    kept: list[FlowRequest] = []
    others: dict[str, int] = {}
    for request in requests:
        base = url_origin(request.url)
        home = home or base
        if not base or base == home:
            kept.append(request)
        else:
            others[base] = others.get(base, 0) + 1
    return tuple(kept), others


# Lists of requests: a URL a line, or `METHOD URL BODY`, with header lines below if need be.
#
# http://localhost:8000/cities
# POST /cities/7/notes {"text": "rain"}
# DELETE /cities/7/notes/1
# If-Match: "1"

_REQUEST: Final = re.compile(
    r"(?:(?P<method>[A-Z]{3,10})\s+)?(?P<url>(?:https?://|/)\S*)(?:\s+(?P<body>.*\S))?\s*"
)
_HEADER: Final = re.compile(r"(?P<name>[A-Za-z0-9!#$%&'*+.^_`|~-]+)\s*:\s*(?P<value>.*)")

ReadFile = Callable[[str], bytes]


def read_urls(text: str, *, name: str = "urls", read_file: ReadFile | None = None) -> ParsedInput:
    """Sessions of one request each, any of the list; raises InvalidInputError with every bad line.

    A body `@path` is read by `read_file`. Lines that begin with `#` are remarks.
    """
    requests: list[FlowRequest] = []
    problems: list[Problem] = []
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        where = f"{name}:{number}"
        request = _request(line, where, problems, read_file)
        header = _HEADER.fullmatch(line) if request is None else None
        if request is not None:
            requests.append(request)
        elif header is not None and requests:
            extra = kept_headers([(header["name"], header["value"])])
            requests[-1] = replace(requests[-1], headers=_with(requests[-1].headers, extra))
        else:
            hint = "a line is a URL, or METHOD URL and perhaps a body"
            problems.append(Problem(where, f"is no request: {line[:60]!r}", hint))
    if not requests and not problems:
        problems.append(Problem(name, "has no URL in it"))
    raise_problems(name, problems)
    return ParsedInput(flow=RandomFlow(name, tuple(requests)), base_url=first_origin(requests))


def _with(
    headers: tuple[tuple[str, str], ...], extra: tuple[tuple[str, str], ...]
) -> tuple[tuple[str, str], ...]:
    """The headers with others in place of their namesakes."""
    names = {name.lower() for name, _ in extra}
    return tuple(h for h in headers if h[0].lower() not in names) + extra


def _request(
    line: str, where: str, problems: list[Problem], read_file: ReadFile | None
) -> FlowRequest | None:
    found = _REQUEST.fullmatch(line)
    if found is None:
        return None
    text = found["body"] or ""
    body = text.encode("utf-8", "replace")
    if text.startswith("@"):
        body = read_body_file(text[1:], where, problems, read_file)
    headers: tuple[tuple[str, str], ...] = ()
    if body:
        kind = "json" if body.lstrip()[:1] in {b"{", b"["} else "x-www-form-urlencoded"
        headers = (("Content-Type", f"application/{kind}"),)
    method = found["method"] or ("POST" if body else "GET")
    return FlowRequest(
        method=method, url=found["url"].partition("#")[0], headers=headers, body=body
    )


def read_body_file(
    path: str, where: str, problems: list[Problem], read_file: ReadFile | None
) -> bytes:
    """What a file holds, read by the caller's door; a problem when it can't be read."""
    if read_file is None:
        problems.append(
            Problem(where, f"files are not read here: @{path}", "write the body itself")
        )
        return b""
    try:
        return read_file(path)
    except OSError as exc:
        problems.append(Problem(where, f"{path}: {exc.strerror or exc}"))
        return b""
