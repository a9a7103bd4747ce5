"""Charts as SVG, drawn here so that a report needs neither network nor JavaScript."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

__all__ = ["Line", "TimeAxis", "chart", "minutes", "spark_line"]

WIDTH: Final = 860
HEIGHT: Final = 220
_LEFT: Final = 64
_BOTTOM: Final = 26
_TOP: Final = 10
_RIGHT: Final = 12


@dataclass(frozen=True, slots=True)
class Line:
    """One curve: its name, its CSS class, and points (None makes a gap)."""

    name: str
    style: str
    points: Sequence[tuple[float, float | None]]


@dataclass(frozen=True, slots=True)
class TimeAxis:
    """The axis of time: its ends, and moments on it with what happened then."""

    first: float
    last: float
    marks: Sequence[tuple[float, str]] = ()


@dataclass(frozen=True, slots=True)
class _Scale:
    low: float
    high: float
    start: float
    stop: float
    log: bool = False

    def at(self, value: float) -> float:
        low, high = self.low, self.high
        if self.log:
            value, low, high = (math.log10(max(v, 1e-9)) for v in (value, low, high))
        share = (value - low) / ((high - low) or 1.0)
        return self.start + min(1.0, max(0.0, share)) * (self.stop - self.start)


def chart(
    title: str,
    lines: Sequence[Line],
    *,
    x_text: Callable[[float], str],
    y_text: Callable[[float], str],
    log: bool = False,
    limit: tuple[float, str] | None = None,
    x: TimeAxis | None = None,
) -> str:
    """A chart with axes and a legend; "" when there is nothing to draw.

    `x` gives the axis when its ends should not follow from the points.
    """
    values = [y for line in lines for _, y in line.points if y is not None]
    xs = [x for line in lines for x, _ in line.points]
    if not values or not xs:
        return ""
    if limit is not None:
        values.append(limit[0])
    x = x or TimeAxis(min(xs), max(xs))
    across = _Scale(x.first, x.last, _LEFT, WIDTH - _RIGHT)
    y = _y_scale(values, log=log)
    head = f"<figure><figcaption>{escape(title)} {_legend(lines)}</figcaption>"
    label = escape(title)
    parts = [head, f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">']
    parts += _grid(across, y, x_text, y_text)
    if limit is not None:
        parts.append(_limit(y.at(limit[0]), limit[1]))
    parts += [_path(line, across, y) for line in lines]
    parts += [_mark(across.at(at), text) for at, text in x.marks if x.first <= at <= x.last]
    return "".join([*parts, "</svg></figure>"])


def _y_scale(values: list[float], *, log: bool) -> _Scale:
    high = max(values) or 1.0
    if not log:
        return _Scale(0.0, _nice(high), HEIGHT - _BOTTOM, _TOP)
    low = max(min(v for v in values), 1e-6)
    low = 10 ** math.floor(math.log10(low))
    top = 10 ** math.ceil(math.log10(max(high, low * 1.01)))
    return _Scale(low, top, HEIGHT - _BOTTOM, _TOP, log=True)


def _nice(value: float) -> float:
    """The next of 1, 2, 2.5, 5 × 10ⁿ: an axis that people can read."""
    power = 10.0 ** math.floor(math.log10(value))
    return next((f * power for f in (1, 2, 2.5, 5) if f * power >= value), 10 * power)


def _grid(
    x: _Scale, y: _Scale, x_text: Callable[[float], str], y_text: Callable[[float], str]
) -> list[str]:
    parts = []
    for value in _ticks(y):
        at = y.at(value)
        parts.append(
            f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>'
            f'<text class="tick" x="{_LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">'
            f"{escape(y_text(value))}</text>"
        )
    said = ""
    for step in range(6):
        value = x.low + (x.high - x.low) * step / 5
        text = x_text(value)
        if text == said:
            continue  # a short axis has fewer marks than places for them
        said = text
        parts.append(
            f'<text class="tick" x="{x.at(value):.1f}" y="{HEIGHT - 8}" '
            f'text-anchor="{"start" if step == 0 else "end" if step == 5 else "middle"}">'
            f"{escape(text)}</text>"
        )
    return parts


def _ticks(y: _Scale) -> list[float]:
    if y.log:
        first, last = round(math.log10(y.low)), round(math.log10(y.high))
        return [10.0**power for power in range(first, last + 1)]
    return [y.high * step / 4 for step in range(5)]


def _limit(at: float, text: str) -> str:
    return (
        f'<line class="limit" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>'
        f'<text class="limit-text" x="{WIDTH - _RIGHT}" y="{at - 4:.1f}" text-anchor="end">'
        f"{escape(text)}</text>"
    )


def _mark(at: float, text: str) -> str:
    return (
        f'<g class="mark"><title>{escape(text)}</title><line x1="{at:.1f}" x2="{at:.1f}" '
        f'y1="{_TOP + 8}" y2="{HEIGHT - _BOTTOM}"/>'
        f'<text x="{at:.1f}" y="{_TOP + 5}" text-anchor="middle">◆</text></g>'
    )


def _path(line: Line, x: _Scale, y: _Scale) -> str:
    steps, pen = [], "M"
    for at, value in line.points:
        if value is None:
            pen = "M"
            continue
        steps.append(f"{pen}{x.at(at):.1f} {y.at(value):.1f}")
        pen = "L"
    return (
        f'<path class="line {line.style}" d="{" ".join(steps)}">'
        f"<title>{escape(line.name)}</title></path>"
    )


def _legend(lines: Sequence[Line]) -> str:
    if len(lines) < 2:
        return ""
    items = (f'<span class="key {line.style}">{escape(line.name)}</span>' for line in lines)
    return f'<span class="legend">{" ".join(items)}</span>'


def spark_line(values: Sequence[float]) -> str:
    """A little curve for a table's row."""
    if len(values) < 2:
        return ""
    high = max(values) or 1.0
    step = 90 / (len(values) - 1)
    path = " ".join(
        f"{'L' if i else 'M'}{i * step:.1f} {18 - 16 * value / high:.1f}"
        for i, value in enumerate(values)
    )
    return f'<svg class="spark" viewBox="0 0 90 20" aria-hidden="true"><path d="{path}"/></svg>'


def minutes(value: float) -> str:
    """Seconds since the start as 2:05."""
    return f"{int(value) // 60}:{int(value) % 60:02d}"
