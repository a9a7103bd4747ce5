"""Two looks at latencies: how often each came, and what a crowd does to them."""

import math
from collections import defaultdict
from collections.abc import Sequence
from statistics import median
from typing import Any, Final

from chapiteau.load.logic.report.svg import Line, chart
from chapiteau.load.logic.report.text import seconds
from chapiteau.load.logic.tally import text_histogram

__all__ = ["crowd_chart", "histogram_chart"]

_BINS: Final = 12  # in each factor of ten
_MOST: Final = 60  # groups of seconds with equally many sessions on their way
_FEWEST: Final = 3


def histogram_chart(text: str) -> str:
    """How many requests took how long, on a logarithmic axis; "" without any."""
    bins: dict[int, int] = defaultdict(int)
    for middle, count in text_histogram(text).buckets():
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
        x_text=lambda v: seconds(10**v / 1e6),
        y_text=lambda v: f"{v:.4g}",
    )


def crowd_chart(points: Sequence[dict[str, Any]]) -> str:
    """Latency by the number of sessions on their way, a median over the seconds that had as many;
    "" when the number hardly changes."""
    groups: dict[int, list[dict[str, Any]]] = defaultdict(list)
    known = [p for p in points if p["running"] is not None and p["p50"] is not None]
    width = max(1, math.ceil(max((p["running"] for p in known), default=0) / _MOST))
    for point in known:
        groups[point["running"] // width * width].append(point)
    if len(groups) < _FEWEST:
        return ""
    ordered = sorted(groups)

    def line(name: str, style: str) -> Line:
        return Line(name, style, [(float(g), median(p[name] for p in groups[g])) for g in ordered])

    return chart(
        "Latency by sessions on their way",
        [line("p50", "c5"), line("p99", "c2")],
        x_text=lambda v: f"{v:.4g}",
        y_text=seconds,
        log=True,
    )
