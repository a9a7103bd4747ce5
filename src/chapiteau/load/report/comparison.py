"""Is one result faster or slower than another? With an interval, and a right to say "cannot tell".

Both results keep histograms of short times in a row. Whole blocks of neighbours are drawn again
and again (block bootstrap), so that the dependence within a queue stays in the samples. The
difference of a figure then has an interval; it counts only when it lies beyond the margin.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from chapiteau.core.errors import UsageError
from chapiteau.core.histogram import Histogram
from chapiteau.core.text import format_table
from chapiteau.load.report.endpoint_changes import (
    DRAWS,
    FEWEST_BATCHES,
    LEVEL,
    change_verdict,
    compare_endpoints,
)
from chapiteau.load.report.result import (
    CapacityChange,
    CapacitySection,
    Comparison,
    ErrorChange,
    FigureChange,
    LoadResult,
    ResultName,
)
from chapiteau.load.report.text import endpoint_change_rows, figure_change_row
from chapiteau.load.stats.recorder import decode_histogram
from chapiteau.load.stats.resampling import (
    BatchQuantiles,
    Resampler,
    quantile_changes,
    resample_independent,
    resample_pairs,
)

if TYPE_CHECKING:
    import random

__all__ = [
    "MetricChange",
    "apply_baseline",
    "compare_results",
    "comparison_text",
    "overall_verdict",
]

_LATE: Final = ("sessions began", "answers lay")  # notes on a generator that is only late
_FIGURES: Final = (("p50", 0.5), ("p90", 0.9), ("p99", 0.99))


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricChange:
    """A figure's relative change from A to B, with its 95 % interval."""

    figure: str
    before: float
    after: float
    change: float
    low: float
    high: float
    surely: float = math.nan  # the interval's low end when it must hold for all figures at once

    def word(self, margin: float) -> str:
        """slower, faster, same, or cannot tell."""
        word = change_verdict(self.low, self.high, margin)
        return "cannot tell" if word == "noise" else word

    def row(self, margin: float) -> FigureChange:
        """As the comparison has it."""
        known = not math.isnan(self.low)
        return FigureChange(
            figure=self.figure,
            before=self.before,
            after=self.after,
            change=self.change,
            low=self.low if known else None,
            high=self.high if known else None,
            word=self.word(margin),
        )

    def exceeds(self, margin: float, late: float) -> bool:
        """Whether the slower side is beyond the margin even without so many seconds of its time,
        and surely so."""
        if math.isnan(self.low):
            return False
        slower = self.before * (1 + self.low) - late > self.before * (1 + margin)
        faster = self.before * (1 + self.high) < (self.before - late) * (1 - margin)
        return slower or faster


@dataclass(frozen=True, slots=True)
class _Batch:
    latency: Histogram
    bad: int


def compare_results(
    a: LoadResult, b: LoadResult, margin: float, chance: "random.Random", *, paired: bool = False
) -> Comparison:
    """The comparison of two results. Raises UsageError when one is empty.

    With `paired`, the batches of both were measured in turns: they are drawn in pairs, so that
    what the machine did to both of a pair does not count as a difference.
    """
    one, two = _batches(a, warm=paired), _batches(b, warm=paired)
    draw = resample_pairs if paired else resample_independent
    changes = _changes(one, two, draw, chance)
    errors = (a.totals.errors, b.totals.errors)
    word = overall_verdict(changes, margin, errors)
    rows = compare_endpoints(a, b, margin, chance)
    limited = _limited(a, b, word, changes, margin)
    capacity = _capacities(a.capacity, b.capacity, margin) if a.capacity and b.capacity else None
    if limited:
        word, rows = "cannot tell", [replace(row, word="cannot tell") for row in rows]
    return Comparison(
        a=_named(a),
        b=_named(b),
        margin=margin,
        changes=[change.row(margin) for change in changes],
        errors=ErrorChange(*errors),
        word=capacity.word if capacity else word,
        rows=rows,
        limited="" if capacity else limited,  # a search has looked after that itself
        capacity=capacity,
    )


def _limited(
    a: LoadResult, b: LoadResult, word: str, changes: "list[MetricChange]", margin: float
) -> str:
    """Why a difference may be the generator's: the slower of the two was measured by one that was
    too slow itself, and as late as that explains it. "" when it is not; such a one makes nothing
    look faster than it is."""
    slower = {"slower": ("B", b), "faster": ("A", a)}.get(word)
    if slower is None or slower[1].soundness.sound:
        return ""
    sound = slower[1].soundness
    if all(note.startswith(_LATE) for note in sound.notes) and any(
        change.exceeds(margin, sound.lag_p99 or math.inf) for change in changes
    ):
        return ""
    why = next(iter(sound.notes), "")
    return f"the load generator was the limit in {slower[0]}" + (f" ({why})" if why else "")


def _named(result: LoadResult) -> ResultName:
    return ResultName(
        id=result.id,
        name=result.name,
        target=result.target,
        started=result.started,
        kind=result.kind,
        rate=result.totals.rate,
    )


def _batches(result: LoadResult, *, warm: bool) -> list[_Batch]:
    parts = [_Batch(decode_histogram(text), bad) for text, bad in result.batches.parts]
    full = [part for part in parts if part.latency.count]
    if not full:
        raise UsageError(f"{result.name}: a result without requests can't be compared")
    # The first seconds hold connecting and caches: more of them when they were seen.
    cold = math.ceil(max(1, result.warmup) / max(1, result.batches.seconds))
    return full[cold:] if len(full) >= FEWEST_BATCHES + cold and not warm else full


def _changes(
    one: list[_Batch], two: list[_Batch], draw: "Resampler", chance: "random.Random"
) -> list[MetricChange]:
    """The figures' changes, with intervals from the same resamples for all of them."""
    before, after = _merged(one), _merged(two)
    first, second = (
        BatchQuantiles([b.latency for b in one]),
        BatchQuantiles([b.latency for b in two]),
    )
    enough = min(len(one), len(two)) >= FEWEST_BATCHES
    draws = [draw(len(one), len(two), chance) for _ in range(DRAWS if enough else 0)]
    changes = []
    for figure, share in _FIGURES:
        old, new = before.quantile(share), after.quantile(share)
        drawn = quantile_changes(first, second, share, draws)
        low = high = surely = math.nan
        if drawn:
            edge = int(len(drawn) * (1 - LEVEL) / 2)
            low, high = drawn[edge], drawn[-1 - edge]
            # Three figures have three chances to be wrong (Bonferroni's correction).
            surely = drawn[edge // len(_FIGURES)]
        changes.append(
            MetricChange(
                figure=figure,
                before=old / 1e6,
                after=new / 1e6,
                change=new / old - 1 if old else math.nan,
                low=low,
                high=high,
                surely=surely,
            )
        )
    return changes


def _merged(batches: list[_Batch]) -> Histogram:
    whole = Histogram()
    for batch in batches:
        whole.merge(batch.latency)
    return whole


def overall_verdict(changes: list[MetricChange], margin: float, errors: tuple[float, float]) -> str:
    """Slower where two figures are, or one beyond the doubt that comes of looking at three; faster
    where two of the three are and none can have got slower (the highest percentile varies most: one
    whose interval is wide need not hide the others)."""
    if errors[1] > errors[0] + 0.01:
        return "slower"  # answers that fail fast must not pass as an improvement
    words = [change.word(margin) for change in changes]
    if words.count("slower") >= 2 or any(change.surely > margin for change in changes):
        return "slower"
    if words.count("faster") >= 2 and all(change.high <= margin for change in changes):
        return "faster"
    return "same" if set(words) == {"same"} else "cannot tell"


def _capacities(a: CapacitySection, b: CapacitySection, margin: float) -> CapacityChange:
    """Disjoint intervals make a difference; the margin says whether it matters."""
    word = "cannot tell"
    if a.interval and b.interval:
        if b.interval[0] > a.interval[1]:
            word = "faster"
        elif b.interval[1] < a.interval[0]:
            word = "slower"
        elif a.held and abs(b.held / a.held - 1) <= margin:
            word = "same"
    return CapacityChange(a.interval, b.interval, word)


def apply_baseline(result: LoadResult, found: Comparison) -> LoadResult:
    """A result with its comparison to a baseline: a verdict of "met" ends where it got slower."""
    verdict = result.verdict
    if found.word == "slower" and verdict.exit_code == 0:
        worst = max(found.changes, key=lambda change: change.change)
        line = f"slower than the baseline: {worst.figure} {worst.change * 100:+.0f}%"
        verdict = replace(verdict, word="not met", line=line)
    return replace(result, verdict=verdict, comparison=found)


def comparison_text(found: Comparison) -> str:
    """The comparison for a terminal."""
    lines = [f"B is {found.word}" if found.word != "same" else "A and B are the same"]
    if found.word == "cannot tell":
        why = found.limited or "the measurements vary too much, or are too short"
        lines[0] = f"cannot tell: {why}"
    if found.capacity:
        before, after = map(_span, (found.capacity.before, found.capacity.after))
        lines.append(f"capacity {before} → {after}")
    head = ("", "A", "B", "change", "95 % interval", f"±{found.margin:.0%}")
    lines += ["", format_table(map(figure_change_row, found.changes), head)]
    before, after = (f"{share * 100:.3g}%" for share in (found.errors.before, found.errors.after))
    lines.append(f"\nerrors {before} → {after}")
    if len(found.rows) > 1:
        rows = endpoint_change_rows(found.rows)[:10]
        lines += ["", format_table(rows, ("p99 of", "A", "B", "change"))]
    return "\n".join(lines)


def _span(interval: tuple[float, float] | None) -> str:
    return "none" if interval is None else f"{interval[0]:.4g}–{interval[1]:.4g}/s"
