"""The report's answers beyond a plain verdict: a capacity, how it scales, a comparison."""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from html import escape
from statistics import median
from typing import Final

from chapiteau.load.report.charts import Line, chart
from chapiteau.load.report.result import (
    CapacitySection,
    Comparison,
    ScalingSection,
    SearchStep,
    TimelinePoint,
)
from chapiteau.load.report.text import (
    SCALING_HEAD,
    endpoint_change_rows,
    figure_change_row,
    format_seconds,
    scaling_row,
)
from chapiteau.load.stats.recorder import decode_histogram

__all__ = [
    "Cell",
    "Html",
    "capacity_section",
    "comparison_section",
    "histogram_chart",
    "html_table",
    "quantile_spread_chart",
    "scaling_section",
]


Cell = str | int | tuple[str, str]  # text, or (CSS class, text)


class Html(str):
    """Text of a cell that is HTML already."""

    __slots__ = ()


def html_table(head: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    """A table that scrolls by itself; cells are escaped."""
    names = "".join(f"<th>{escape(name)}</th>" for name in head)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    top = f"<thead><tr>{names}</tr></thead>" if head else ""
    return f'<div class="scroll"><table>{top}<tbody>{body}</tbody></table></div>'


def _cell(cell: Cell) -> str:
    if isinstance(cell, tuple):
        return f'<td class="{cell[0]}">{escape(cell[1])}</td>'
    return f"<td>{cell if isinstance(cell, Html) else escape(str(cell))}</td>"


def capacity_section(capacity: CapacitySection | None) -> str:
    """The search: its notes, latency by rate, every step."""
    if not capacity:
        return ""
    notes = "".join(f"<li>{escape(note)}</li>" for note in capacity.notes)
    by_rate = sorted(
        (step for step in capacity.steps if step.p99 is not None and step.phase != "probe"),
        key=lambda s: s.reached,
    )
    curve = chart(
        "Latency by rate (all steps with a rate)",
        [
            Line("p50", "c5", [(s.reached, s.p50) for s in by_rate]),
            Line("p99", "c2", [(s.reached, s.p99) for s in by_rate]),
        ],
        x_text=lambda v: f"{v:.4g}/s",
        y_text=format_seconds,
        log=True,
    )
    return f"<h2>How the answer was found</h2><ul>{notes}</ul>{curve}" + html_table(
        ("step", "rate", "reached", "p50", "p99", "errors", "kept?"),
        map(_step, capacity.steps),
    )


def _step(step: SearchStep) -> tuple[Cell, ...]:
    style, word = {"kept": ("good", "✓ kept"), "missed": ("bad", "✗ missed")}.get(
        step.outcome, ("warn", step.outcome)
    )
    why = f" ({step.why})" if step.why else ""
    return (
        step.phase,
        "one user" if step.phase == "probe" else f"{step.rate:.4g}/s",
        f"{step.reached:.4g}/s",
        format_seconds(step.p50),
        format_seconds(step.p99),
        f"{step.errors * 100:.3g}%",
        (style, word + why),
    )


def scaling_section(scaling: ScalingSection | None) -> str:
    """Does it scale? Capacity by size, and how much each size is worth."""
    if not scaling:
        return ""
    found = [(float(row.size), row.capacity) for row in scaling.sizes if row.capacity]
    linear = [(n, found[0][1] * n / found[0][0]) for n, _ in found]
    drawn = chart(
        "Capacity by size",
        [Line("found", "c1", found), Line("if all were as good as the first", "c3 dots", linear)],
        x_text=lambda v: f"{v:.3g}",
        y_text=lambda v: f"{v:.4g}/s",
    )
    return (
        f"<h2>Does it scale? {escape(scaling.service)}</h2>"
        f"<p>{escape(scaling.line)}</p>{drawn}"
        + html_table(SCALING_HEAD, map(scaling_row, scaling.sizes))
    )


def comparison_section(found: Comparison | None) -> str:
    """What has changed, with intervals; and the p99 of each name that both have."""
    if not found:
        return ""
    by_name = endpoint_change_rows(found.rows) if len(found.rows) > 1 else []
    return (
        f"<h2>B, compared with A ({escape(found.a.target)}): {escape(found.word)}</h2>"
        + html_table(
            ("", "A", "B", "change", "95 % interval", ""), map(figure_change_row, found.changes)
        )
        + (html_table(("p99 of", "A", "B", "change"), by_name) if by_name else "")
    )


# Two looks at latencies: how often each came, and what a crowd does to them.

_BINS: Final = 12  # in each factor of ten
_MOST: Final = 60  # groups of seconds with equally many sessions in flight
_FEWEST: Final = 3


def histogram_chart(text: str) -> str:
    """How many requests took how long, on a logarithmic axis; "" without any."""
    bins: dict[int, int] = defaultdict(int)
    for middle, count in decode_histogram(text).buckets():
        bins[math.floor(math.log10(max(middle, 1.0)) * _BINS)] += count
    if not bins:
        return ""
    points: list[tuple[float, float | None]] = []
    for number in range(min(bins) - 1, max(bins) + 2):
        high = float(bins.get(number, 0))
        points += [(number / _BINS, high), ((number + 1) / _BINS, high)]
    return chart(
        "How many requests took how long (logarithmic)",
        [Line("requests", "c1", points)],
        x_text=lambda v: format_seconds(10**v / 1e6),
        y_text=lambda v: f"{v:.4g}",
    )


def quantile_spread_chart(points: Sequence[TimelinePoint]) -> str:
    """Latency by the number of sessions in flight, a median over the seconds that had as many;
    "" when the number hardly changes."""
    groups: dict[int, list[TimelinePoint]] = defaultdict(list)
    known = [(p.running, p) for p in points if p.running is not None and p.p50 is not None]
    width = max(1, math.ceil(max((running for running, _ in known), default=0) / _MOST))
    for running, point in known:
        groups[running // width * width].append(point)
    if len(groups) < _FEWEST:
        return ""
    ordered = sorted(groups)

    def line(name: str, style: str) -> Line:
        medians = (median(getattr(p, name) for p in groups[g]) for g in ordered)
        return Line(name, style, list(zip(map(float, ordered), medians, strict=True)))

    return chart(
        "Latency by sessions in flight",
        [line("p50", "c5"), line("p99", "c2")],
        x_text=lambda v: f"{v:.4g}",
        y_text=format_seconds,
        log=True,
    )
