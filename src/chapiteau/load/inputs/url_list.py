"""Lists of requests: a URL a line, or `METHOD URL BODY`, with header lines below if need be.

http://localhost:8000/cities
POST /cities/7/notes {"text": "rain"}
DELETE /cities/7/notes/1
If-Match: "1"
"""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from chapiteau.core.problems import Problem, raise_problems
from chapiteau.load.inputs.recording import ParsedInput, RandomFlow, kept_headers
from chapiteau.load.inputs.url_encoding import url_origin
from chapiteau.load.scenario.flow import FlowRequest

__all__ = ["ReadFile", "read_body_file", "read_urls"]

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
    base = next((b for b in (url_origin(r.url) for r in requests) if b), "")
    return ParsedInput(flow=RandomFlow(name, tuple(requests)), base_url=base)


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
