"""Which endpoints have changed, and whether that is more than chance."""

import math
from typing import TYPE_CHECKING, Any, Final

from chapiteau.core.histogram import Histogram
from chapiteau.load.stats.recorder import decode_histogram
from chapiteau.load.stats.resampling import BatchQuantiles, quantile_changes, resample_independent

if TYPE_CHECKING:
    import random

__all__ = [
    "DRAWS",
    "FEWEST_BATCHES",
    "LEVEL",
    "change_verdict",
    "compare_endpoints",
    "format_change",
]

_MOST: Final = 100  # names
_LOOKED_AT: Final = 30  # names whose differences get an interval: the most frequent ones
DRAWS: Final = 400
FEWEST_BATCHES: Final = 8  # batches below which no interval is worth printing
_REQUESTS: Final = 500  # of each side: five beyond the p99
LEVEL: Final = 0.95
_SHARE: Final = 0.99
_NOISE: Final = ("same", "noise")


def compare_endpoints(
    a: dict[str, Any], b: dict[str, Any], margin: float, chance: "random.Random"
) -> list[dict[str, Any]]:
    """p99 of each name that both results have: before, after, change, interval (None without
    enough requests) and word: slower, faster, same, noise or cannot tell.

    The intervals hold for all names together (Bonferroni): of thirty endpoints that are the same,
    none may be called slower just because there are thirty.
    """
    after = {row["name"]: row for row in b["rows"]}
    both = [(row, after[row["name"]]) for row in a["rows"][:_MOST] if row["name"] in after]
    both = [(one, two) for one, two in both if one["p99"] and two["p99"]]
    asked = [pair for pair in both if _enough(*pair)][:_LOOKED_AT]
    found = []
    for one, two in both:
        interval: tuple[float | None, float | None] = (None, None)
        if any(one is first for first, _ in asked):
            parts = _parts(a, one), _parts(b, two)
            interval = _interval(*parts, len(asked), chance)
        change = two["p99"] / one["p99"] - 1
        found.append(
            {
                "name": one["name"], "before": one["p99"], "after": two["p99"], "change": change,
                "low": interval[0], "high": interval[1], "word": change_verdict(*interval, margin),
            }
        )  # fmt: skip
    return found


def change_verdict(low: float | None, high: float | None, margin: float) -> str:
    """What an interval says: slower or faster than the margin, the same within it, noise where
    the difference may be chance alone, cannot tell otherwise."""
    if low is None or high is None or math.isnan(low):
        return "cannot tell"
    if low > margin:
        return "slower"
    if high < -margin:
        return "faster"
    if low >= -margin and high <= margin:
        return "same"
    return "noise" if low <= 0 <= high else "cannot tell"


def format_change(row: dict[str, Any]) -> str:
    """The change with its mark: "+12% ▲ real", "±2% noise", "+30% ? cannot tell"."""
    percent = row["change"] * 100
    if row.get("word") in _NOISE:
        return f"±{abs(percent):.0f}% noise"
    mark = {"slower": "▲ real", "faster": "▼ real"}.get(row.get("word", ""), "? cannot tell")
    return f"{percent:+.0f}% {mark}"


def _enough(*rows: dict[str, Any]) -> bool:
    return all(
        row["requests"] >= _REQUESTS
        and len(row.get("batches", {}).get("parts", ())) >= FEWEST_BATCHES
        for row in rows
    )


def _parts(document: dict[str, Any], row: dict[str, Any]) -> list[Histogram]:
    """Without the first seconds, which hold connecting and caches, where enough is left."""
    parts = [decode_histogram(text) for text in row["batches"]["parts"]]
    cold = math.ceil(max(1, document.get("warmup", 0)) / row["batches"]["seconds"])
    return parts[cold:] if len(parts) >= FEWEST_BATCHES + cold else parts


def _interval(
    one: list[Histogram], two: list[Histogram], names: int, chance: "random.Random"
) -> tuple[float, float]:
    """The p99's relative change, at a level that holds for so many names at once."""
    draws = (resample_independent(len(one), len(two), chance) for _ in range(DRAWS))
    drawn = quantile_changes(BatchQuantiles(one), BatchQuantiles(two), _SHARE, draws)
    edge = int(DRAWS * (1 - LEVEL) / 2 / names)
    return drawn[edge], drawn[-1 - edge]
