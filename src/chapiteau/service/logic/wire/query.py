"""Query strings, cookies and media types as they come over the wire."""

import re
from typing import Final

__all__ = ["cookies", "media_type", "pairs", "parameter_of", "percent_decode"]

_ESCAPE: Final = re.compile(rb"%([0-9a-fA-F]{2})")


def percent_decode(text: str) -> str:
    """Percent-escapes decoded as UTF-8. Raises UnicodeDecodeError for anything else."""
    if "%" not in text:
        if text.isascii():
            return text
        return text.encode("latin-1").decode("utf-8")
    raw = text.encode("latin-1")
    return _ESCAPE.sub(lambda m: bytes((int(m[1], 16),)), raw).decode("utf-8")


def pairs(query: str) -> list[tuple[str, str]]:
    """`a=1&b=x+y` as pairs in order; a name without `=` has the empty value."""
    if "%" not in query and "+" not in query and query.isascii():
        return [piece.partition("=")[::2] for piece in query.split("&") if piece]
    found: list[tuple[str, str]] = []
    for piece in query.replace("+", " ").split("&"):
        if piece:
            name, _, value = piece.partition("=")
            found.append((percent_decode(name), percent_decode(value)))
    return found


def cookies(header: str) -> dict[str, str]:
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


def parameter_of(header: str, name: str) -> str:
    """A parameter of a media type: the charset of `text/csv; charset="utf-8"`; empty: none."""
    for piece in header.split(";")[1:]:
        key, _, value = piece.partition("=")
        if key.strip().lower() == name:
            return value.strip().strip('"')
    return ""
