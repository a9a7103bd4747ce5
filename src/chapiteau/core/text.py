"""Numbers and rows as aligned text; bars and sparklines of characters."""

import math
import re
from collections.abc import Iterable, Sequence
from typing import Final

__all__ = [
    "LEVELS",
    "at_least",
    "detect_level",
    "escape_control",
    "format_table",
    "is_level",
    "sparkline",
]


# The level of a line of output, where one can be seen in it.

LEVELS: Final = ("trace", "debug", "info", "notice", "warning", "error", "critical")
_RANK: Final = {
    "trace": 0, "debug": 10, "info": 20, "notice": 25, "warning": 30, "warn": 30,
    "error": 40, "err": 40, "critical": 50, "fatal": 50, "panic": 50, "emerg": 50,
}  # fmt: skip
_WORD: Final = re.compile(
    r"\b(trace|debug|info|notice|warn(?:ing)?|err(?:or)?|critical|fatal|panic|emerg)\b",
    re.IGNORECASE,
)

_PARTS: Final = (
    "info", "err", "warn", "debug", "trace", "notice", "critical", "fatal", "panic", "emerg",
)  # fmt: skip


def detect_level(text: str) -> str:
    """The first level word in the first 200 characters, lower case; "" when there is none."""
    head = text[:200].lower()
    for part in _PARTS:  # a tenth of the expression's price, and most lines have none of them
        if part in head:
            match = _WORD.search(head)
            return match[1] if match else ""
    return ""


def at_least(text: str, level: str) -> bool:
    """Whether the line's level is this or graver; lines without a level count as info."""
    return _RANK.get(detect_level(text), 20) >= _RANK.get(level.lower(), 0)


def is_level(word: str) -> bool:
    """Whether the word names a level."""
    return word.lower() in _RANK


_BLOCKS: Final = "▁▂▃▄▅▆▇█"
_ESCAPE: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def format_table(rows: Iterable[Sequence[object]], head: Sequence[str] = ()) -> str:
    """Left-aligned columns, two spaces apart; columns of numbers are right-aligned."""
    cells = [[str(cell) for cell in row] for row in rows]
    lines = [list(head), *cells] if head else cells
    if not lines:
        return ""
    if len({len(row) for row in lines}) > 1:
        raise ValueError("a table's rows must have the same number of cells")
    widths = [max(len(row[i]) for row in lines) for i in range(len(lines[0]))]
    right = [all(_is_number(row[i]) for row in cells) and bool(cells) for i in range(len(lines[0]))]
    out = []
    for row in lines:
        pieces = [
            cell.rjust(width) if r else cell.ljust(width)
            for cell, width, r in zip(row, widths, right, strict=True)
        ]
        out.append("  ".join(pieces).rstrip())
    return "\n".join(out)


def _is_number(cell: str) -> bool:
    return bool(cell) and cell.strip("%").replace(".", "", 1).replace(",", "").isdigit()


def sparkline(values: Sequence[float]) -> str:
    """A line of eight heights; gaps (NaN and infinity) are spaces."""
    known = [v for v in values if math.isfinite(v)]
    if not known:
        return " " * len(values)
    low, high = min(known), max(known)
    span = (high - low) or 1.0
    return "".join(
        _BLOCKS[min(7, int((v - low) / span * 8))] if math.isfinite(v) else " " for v in values
    )


def escape_control(text: str) -> str:
    """Foreign text made safe for a terminal: control and bidi characters shown as ␛ or codes."""
    return _ESCAPE.sub(lambda m: "␛" if m[0] == "\x1b" else f"\\x{ord(m[0]):02x}", text)
