"""The plan of a load before it runs: as data, and drawn for a terminal."""

import math
from collections.abc import Callable, Sequence
from typing import Any, Final

from chapiteau.core.units import format_duration
from chapiteau.load.scenario.shape import Shape

__all__ = ["draw_levels", "load_levels", "plan_document"]

_WIDE: Final = 60  # columns
_HIGH: Final = 6  # rows
_BLOCKS: Final = " ▁▂▃▄▅▆▇█"


def load_levels(
    shape: Shape, columns: int = _WIDE, *, moments: Sequence[float] = ()
) -> list[float]:
    """The mean rate (or number of users) in each of so many equal parts of the time; of a log
    that is replayed, from its own moments."""
    part = shape.seconds / columns
    if moments:
        counts = [0] * columns
        for moment in moments:
            counts[min(columns - 1, int(moment / part))] += 1
        return [count / part for count in counts]
    levels = []
    for column in range(columns):
        inside = (shape.level((column + (step + 0.5) / 8) * part) for step in range(8))
        levels.append(sum(inside) / 8)
    return levels


def draw_levels(levels: Sequence[float], seconds: float, unit: str) -> list[str]:
    """Columns over time, the highest level at the top left. Nothing when there is no load."""
    top = max(levels, default=0.0)
    if not top or not math.isfinite(top):
        return []
    head, foot = f"{top:.4g}{unit}", f"0{unit}"
    wide = max(len(head), len(foot))
    lines = []
    for row in reversed(range(_HIGH)):
        cells = (_BLOCKS[_eighths(level / top * _HIGH - row)] for level in levels)
        label = head if row == _HIGH - 1 else foot if not row else ""
        lines.append(f"{label:>{wide}} ┤{''.join(cells).rstrip()}")
    end = format_duration(seconds)
    lines.append(f"{'':>{wide}} └{'─' * len(levels)}")
    return [*lines, f"{'':>{wide}}  0s{end:>{len(levels) - 2}}"]


def _eighths(height: float) -> int:
    """How much of a cell is filled; what is there at all shows."""
    if height <= 0:
        return 0
    return max(1, min(8, round(height * 8)))


def plan_document(
    target: str, shape: Shape, requests: Sequence[str], *, is_open: bool, moments: Sequence[float]
) -> dict[str, Any]:
    """The same as data (docs/reference/load-result.md). `moments`: of a log that is replayed."""
    rounded: Callable[[float], float] = lambda value: round(value, 3)  # noqa: E731 — short
    return {
        "format": "chapiteau-load-plan/1",
        "target": target,
        "model": "open" if is_open else "closed",
        "seconds": shape.seconds,
        "total": rounded(shape.total),
        "peak": rounded(shape.peak),
        "stages": [
            {"first": s.first, "last": s.last, "seconds": s.seconds, "period": s.period}
            for s in shape.stages
        ],
        "levels": [rounded(level) for level in load_levels(shape, moments=moments)],
        "moments": [rounded(moment) for moment in moments],
        "requests": list(requests),
    }
