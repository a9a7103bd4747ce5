"""Draws the states of a process, and what leads from one to another, as SVG, from the table."""

import math
from collections.abc import Mapping
from typing import Any, Final

__all__ = ["state_diagram"]

# On an ellipse, clockwise from the left: so no arrow runs behind a state that it does not touch.
ROUND: Final = (
    "stopped", "starting", "running", "restarting", "failed", "backoff", "completed", "stopping",
)  # fmt: skip
_MIDDLE, _RADII = (480, 262), (400, 222)
_HALF_W, _HALF_H = 56, 20  # of a box
_BEND: Final = 26  # how far an arrow swings out, so that two ways do not cover each other
_STYLE: Final = """
  text { font: 14px sans-serif; fill: #1d2733 }
  .state { fill: #eef3f8; stroke: #47617a; stroke-width: 1.5 }
  .asked { stroke: #8a6d1d } .itself { stroke: #3c6e47 }
  path { fill: none; stroke-width: 1.4 }
  .mark { font-size: 12px; paint-order: stroke; stroke: #fff; stroke-width: 4px }
"""

Table = Mapping[Any, Mapping[Any, Any]]


def state_diagram(table: Table, *, asked: bool) -> str:
    """What people ask for, or what happens by itself; the legend tells the arrows' numbers."""
    found = _grouped(table, asked=asked)
    events = list(dict.fromkeys(event for group in found.values() for event in group))
    number = {event: index for index, event in enumerate(events, 1)}
    arrows = "".join(
        _arrow(start.value, end.value, sorted(number[e] for e in group), asked=asked)
        for (start, end), group in found.items()
    )
    boxes = "".join(_box(state.value) for state in table)
    legend = "".join(
        f'<text x="{40 + 420 * (i % 2)}" y="{540 + 24 * (i // 2)}">{number[e]}: {e.value}</text>\n'
        for i, e in enumerate(events)
    )
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 960 640" role="img">\n'
        "<title>The states of a process</title>\n"
        f"<style>{_STYLE}</style>\n<rect width='960' height='640' fill='#fff'/>\n"
        '<defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" '
        'markerHeight="7" orient="auto-start-reverse"><path d="M0 0L10 5L0 10z" '
        'style="fill:#47617a"/></marker></defs>\n'
        f"{arrows}{boxes}{legend}</svg>\n"
    )


def _grouped(table: Table, *, asked: bool) -> dict[tuple[Any, Any], list[Any]]:
    """(from, to) → events; what changes nothing is left out."""
    found: dict[tuple[Any, Any], list[Any]] = {}
    for state, moves in table.items():
        for event, end in moves.items():
            if end is not state and event.value.endswith("asked") == asked:
                found.setdefault((state, end), []).append(event)
    return found


def _place(state: str) -> tuple[float, float]:
    angle = math.pi * (1 + 2 * ROUND.index(state) / len(ROUND))
    return (
        _MIDDLE[0] + _RADII[0] * math.cos(angle),
        _MIDDLE[1] + _RADII[1] * math.sin(angle),
    )


def _box(state: str) -> str:
    x, y = _place(state)
    return (
        f'<rect class="state" x="{x - _HALF_W:.0f}" y="{y - _HALF_H:.0f}" width="{2 * _HALF_W}" '
        f'height="{2 * _HALF_H}" rx="8"/><text x="{x:.0f}" y="{y + 5:.0f}" text-anchor="middle">'
        f"{state}</text>\n"
    )


def _arrow(start: str, end: str, numbers: list[int], *, asked: bool) -> str:
    (x1, y1), (x2, y2) = _place(start), _place(end)
    length = math.hypot(x2 - x1, y2 - y1)
    # To the right of the way: the way back swings to the other side.
    cx = (x1 + x2) / 2 - (y2 - y1) / length * _BEND
    cy = (y1 + y2) / 2 + (x2 - x1) / length * _BEND
    ax, ay = _edge(x1, y1, cx, cy)
    bx, by = _edge(x2, y2, cx, cy)
    mx, my = (0.36 * a + 0.48 * c + 0.16 * b for a, c, b in ((ax, cx, bx), (ay, cy, by)))
    label, kind = ", ".join(map(str, numbers)), "asked" if asked else "itself"
    return (
        f'<path class="{kind}" d="M{ax:.0f} {ay:.0f}Q{cx:.0f} {cy:.0f} {bx:.0f} {by:.0f}" '
        f'marker-end="url(#tip)"/><text class="mark" x="{mx:.0f}" y="{my + 4:.0f}" '
        f'text-anchor="middle">{label}</text>\n'
    )


def _edge(x: float, y: float, tx: float, ty: float) -> tuple[float, float]:
    """Where the line from a box's middle to a point leaves the box."""
    dx, dy = tx - x, ty - y
    scale = min(_HALF_W / abs(dx) if dx else math.inf, _HALF_H / abs(dy) if dy else math.inf)
    return x + dx * scale, y + dy * scale
