"""Numbers and rows as aligned text; bars and sparklines of characters."""

import math
import re
from collections.abc import Iterable, Sequence
from typing import Final

__all__ = ["escape_control", "format_table", "sparkline"]

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
