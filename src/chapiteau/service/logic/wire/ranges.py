"""Parts of a file: the Range header (RFC 9110 §14)."""

import re
from datetime import datetime
from typing import Final

from chapiteau.service.logic.wire.conditional import parse_date

__all__ = ["UNSATISFIABLE", "Span", "asked_range", "range_holds"]

Span = tuple[int, int]
UNSATISFIABLE: Final[Span] = (-1, -1)
_BYTES: Final = re.compile(r"bytes\s*=\s*(\d*)\s*-\s*(\d*)\s*", re.ASCII | re.IGNORECASE)


def asked_range(header: str, size: int) -> Span | None:
    """First and last byte that are asked for of `size`, or UNSATISFIABLE.

    None: answer with the whole. So it is for units and forms that we don't know, and for several
    parts at once, which a server may always do (RFC 9110 §14.2) and which make good weapons.
    """
    match = _BYTES.fullmatch(header.strip())
    if match is None or not (match[1] or match[2]):
        return None
    if not match[1]:
        length = min(_number(match[2]), size)
        return (size - length, size - 1) if length else UNSATISFIABLE
    first, last = _number(match[1]), _number(match[2]) if match[2] else size - 1
    if first >= size:
        return UNSATISFIABLE
    return (first, min(last, size - 1)) if first <= last else None


def _number(digits: str) -> int:
    """Python reads only so many digits; no file has that many bytes."""
    return int(digits) if len(digits) < 19 else 10**18


def range_holds(if_range: str | None, tag: str, modified: datetime) -> bool:
    """Whether the client's copy, named by If-Range, is a part of what is there now."""
    if if_range is None:
        return True
    given = if_range.strip()
    if given.startswith('"'):
        return given == tag
    date = parse_date(given)
    return date is not None and date == modified.replace(microsecond=0)
