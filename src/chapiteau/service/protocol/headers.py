"""Query strings, cookies and media types as they come over the wire."""

import re
from collections.abc import Mapping
from typing import Any, Final

__all__ = [
    "ROUTE_KEY",
    "TRACE_KEY",
    "Environ",
    "media_parameter",
    "media_type",
    "parse_cookies",
    "parse_prefer",
    "parse_query",
    "percent_decode",
    "prefers_async",
    "return_preference",
    "split_list",
    "trace_id_of",
    "wait_preference",
]

Environ = dict[str, Any]  # of WSGI (PEP 3333), with keys of ours that begin with "chapiteau."

_ESCAPE: Final = re.compile(rb"%([0-9a-fA-F]{2})")


def percent_decode(text: str) -> str:
    """Percent-escapes decoded as UTF-8. Raises UnicodeDecodeError for anything else."""
    if "%" not in text:
        if text.isascii():
            return text
        return text.encode("latin-1").decode("utf-8")
    raw = text.encode("latin-1")
    return _ESCAPE.sub(lambda m: bytes((int(m[1], 16),)), raw).decode("utf-8")


def parse_query(query: str) -> list[tuple[str, str]]:
    """`a=1&b=x+y` as pairs in order; a name without `=` has the empty value."""
    if "%" not in query and "+" not in query and query.isascii():
        return [piece.partition("=")[::2] for piece in query.split("&") if piece]
    found: list[tuple[str, str]] = []
    for piece in query.replace("+", " ").split("&"):
        if piece:
            name, _, value = piece.partition("=")
            found.append((percent_decode(name), percent_decode(value)))
    return found


def parse_cookies(header: str) -> dict[str, str]:
    """A Cookie header as a mapping; the first of two equal names wins (RFC 6265 §5.4)."""
    found: dict[str, str] = {}
    for piece in header.split(";"):
        name, equals, value = piece.strip().partition("=")
        if equals and name not in found:
            found[name] = value.strip('"')
    return found


def media_type(header: str) -> str:
    """`Application/JSON; charset=utf-8` as `application/json`."""
    return header.partition(";")[0].strip().lower()


def media_parameter(header: str, name: str) -> str:
    """A parameter of a media type: the charset of `text/csv; charset="utf-8"`; empty: none."""
    for piece in header.split(";")[1:]:
        key, _, value = piece.partition("=")
        if key.strip().lower() == name:
            return value.strip().strip('"')
    return ""


# What a client would like but does not insist on: the Prefer header (RFC 7240).

_MEMBER: Final = re.compile(r'((?:[^,"]|"[^"]*(?:"|$))*)(?:,|$)')
_LIMIT: Final = 20  # preferences per request
_LONGEST: Final = 60  # seconds that we wait, whatever the client would


def parse_prefer(header: str) -> dict[str, str]:
    """Preferences by lower-case name; one without a value is empty. The first of two equal wins.

    Parameters of a preference (behind a semicolon) mean nothing to us and are left out.
    """
    found: dict[str, str] = {}
    for piece in split_list(header)[:_LIMIT]:
        name, _, value = piece.partition(";")[0].partition("=")
        name = name.strip().lower()
        if name:
            found.setdefault(name, value.strip().strip('"').strip())
    return found


def split_list(header: str) -> list[str]:
    """The members of a list in a header; a comma between quotes separates nothing."""
    if '"' not in header:
        return header.split(",")
    return [member for member in _MEMBER.findall(header) if member]


def return_preference(header: str | None) -> bool | None:
    """Whether the client would rather have no body (True), have one (False), or doesn't say."""
    wish = parse_prefer(header).get("return", "").lower() if header else ""
    return {"minimal": True, "representation": False}.get(wish)


def prefers_async(header: str | None) -> bool:
    """Whether the client would rather have a 202 at once than wait for the answer."""
    return bool(header) and "respond-async" in parse_prefer(header or "")


def wait_preference(header: str | None) -> int:
    """Seconds that a client would rather wait than be told to come back (`wait=5`); 60 at most."""
    wish = parse_prefer(header).get("wait", "") if header else ""
    return min(int(wish), _LONGEST) if wish.isascii() and wish.isdigit() and len(wish) < 9 else 0


# Which trace a request belongs to (W3C Trace Context).

ROUTE_KEY: Final = "chapiteau.route"  # in environ: the pattern of the route that was found
TRACE_KEY: Final = "chapiteau.trace_id"  # in environ: 32 hex digits
_PARENT: Final = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(-.*)?")


def trace_id_of(environ: Mapping[str, Any]) -> str:
    """The trace id that we have given, else that of the caller's `traceparent`, else ""."""
    own = environ.get(TRACE_KEY)
    if own is not None:
        return str(own)
    given = environ.get("HTTP_TRACEPARENT")
    match = _PARENT.fullmatch(given) if given else None
    return match[1] if match and set(match[1]) != {"0"} else ""
