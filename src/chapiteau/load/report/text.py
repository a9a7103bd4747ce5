"""A result for a terminal: the verdict first, then what it rests on."""

from collections.abc import Sequence

from chapiteau.core.text import escape_control, format_table, sparkline
from chapiteau.core.units import format_duration, format_size
from chapiteau.load.report.result import (
    EndpointChange,
    Failure,
    FigureChange,
    LoadResult,
    MetricRow,
    ScalingSection,
    SizeRow,
    TimelinePoint,
)
from chapiteau.load.verdict.objectives import JudgedObjective

__all__ = [
    "SCALING_HEAD",
    "as_text",
    "endpoint_change_rows",
    "figure_change_row",
    "finding_mark",
    "format_change",
    "format_seconds",
    "own_value",
    "progress",
    "scaling_row",
    "unsound_lines",
    "verdict_mark",
    "warmup_lines",
    "whole_points",
]

_MARKS = {"met": "✓", "not met": "✗", "unsure": "?", "generator-limited": "!", "broken": "✗"}
_SLACK = 0.05  # of a second that a whole one may lack
SCALING_HEAD = ("processes", "capacity", "times", "90 % sure", "efficiency")
_HEAD = ("requests", "n", "/s", "errors", "p50", "p90", "p99", "max")


def verdict_mark(word: str) -> str:
    """The sign of a verdict."""
    return _MARKS.get(word, "·")


def finding_mark(finding: JudgedObjective) -> str:
    """✓ kept, ✗ missed, ? when there was nothing to judge by."""
    if finding.value is None:
        return "?"
    return "✓" if finding.met else "✗"


def format_seconds(value: float | None) -> str:
    """A time for a table; – without data."""
    return "–" if value is None else format_duration(value)


def as_text(document: LoadResult) -> str:
    """Some lines, at most 30 rows of requests."""
    verdict = document.verdict
    lines = [*unsound_lines(document), f"{verdict_mark(verdict.word)} {verdict.line}"]
    lines += [f"  {finding_mark(f)} {f.objective}: {f.shown}" for f in verdict.findings]
    lines += _scaling(document.scaling)
    lines += [f"  · {note}" for note in document.capacity.notes] if document.capacity else []
    if (comparison := document.comparison) and document.kind != "ab":
        lines += [f"  · against the baseline: {comparison.word}"]
    lines += ["", *_figures(document), "", _rows(document)]
    checks = [(check.label, check.passed, check.failed) for check in document.checks]
    lines += ["", format_table(checks, ("checks", "passed", "failed"))] if checks else []
    lines += _own(document.metrics)
    lines += _failures(document.failures)
    lines += [f"· {warmed}" for warmed in warmup_lines(document)]
    for one in document.marks:
        lines.append(f"◆ {format_duration(one.t)}: {one.text} ({one.who})")
    for note in document.soundness.notes:
        lines.append(f"! {note}")
    return escape_control("\n".join(lines))


def unsound_lines(document: LoadResult) -> list[str]:
    """What stands before the verdict when the measurement is not sound, and it does not say so."""
    sound = document.soundness
    if sound.sound or document.verdict.word == "generator-limited":
        return []
    return [f"! the measurement is not sound: {(sound.notes or ['see below'])[0]}"]


def whole_points(document: LoadResult) -> list[TimelinePoint]:
    """The points whose time lies wholly within the load.

    What is counted while the last sessions end, or in a part of a second, is no lower rate.
    """
    points = document.timeline
    step = points[1].t - points[0].t if len(points) > 1 else 1
    whole = [point for point in points if point.t + step <= document.seconds + _SLACK]
    return whole or points


def warmup_lines(document: LoadResult) -> list[str]:
    """What the limits on latency have left out; [] when nothing was."""
    if not (seconds := document.warmup):
        return []
    left_out = format_duration(float(seconds))
    counts = "--warmup 0s counts them; all else is of the whole time"
    return [f"warm-up: limits on latency leave out the first {left_out} ({counts})"]


def _figures(document: LoadResult) -> list[str]:
    totals, sound = document.totals, document.soundness
    pace = [point.rate for point in whole_points(document)]
    place = ""
    if document.capacity:
        place = "in the hold: " if document.capacity.held else "in the last step: "
    lag, unread = format_seconds(sound.lag_p99), format_seconds(sound.unread_p99)
    processes = f"{sound.processes} process{'' if sound.processes == 1 else 'es'}"
    return [
        (
            f"{place}{totals.requests} requests in {format_duration(document.seconds)}: "
            f"{totals.rate:.4g}/s, {totals.errors * 100:.3g}% errors, "
            f"{format_size(totals.received)} received"
        ),
        (
            f"latency p50 {format_seconds(totals.p50)}  p90 {format_seconds(totals.p90)}  "
            f"p99 {format_seconds(totals.p99)}  max {format_seconds(totals.max)}   "
            f"(service alone: p99 {format_seconds(totals.service.p99)})"
        ),
        (
            f"generator: {processes}, busiest {sound.cpu_peak * 100:.0f}% of a "
            f"core, sessions late p99 {lag}, answers unread p99 {unread}, "
            f"dropped {sound.dropped}"
        ),
        f"rate {sparkline(pace[-60:])}",
    ]


def _rows(document: LoadResult) -> str:
    rows = [
        (
            row.name,
            row.requests,
            f"{row.rate:.4g}",
            f"{row.errors * 100:.3g}%",
            *map(format_seconds, (row.p50, row.p90, row.p99, row.max)),
        )
        for row in document.rows[:30]
    ]
    more = len(document.rows) - 30
    return format_table(rows, _HEAD) + (f"\n… and {more} more" if more > 0 else "")


def _failures(failures: list[Failure]) -> list[str]:
    if not failures:
        return []
    lines = ["", "failures"]
    for failure in failures[:8]:
        lines.append(f"  {failure.count}× {failure.what}")
        lines += [f"      {line[:160]}" for line in _telling(failure.sample)]
    if len(failures) > 8:
        lines.append(f"  … and {len(failures) - 8} more kinds, see the report")
    return lines


def _telling(sample: str) -> list[str]:
    """What tells most: a traceback's end, or an answer's status and its body's start."""
    lines = sample.strip().splitlines()
    if any(line.startswith('  File "') for line in lines):
        return lines[-1:]
    return [part for part in (*lines[:1], " ".join(" ".join(lines[1:]).split())) if part]


def _own(metrics: list[MetricRow]) -> list[str]:
    if not metrics:
        return []
    rows = [(m.name, m.kind, own_value(m)) for m in metrics[:30]]
    more = len(metrics) - 30
    lines = ["", format_table(rows, ("scenario's own", "", ""))]
    return [*lines, f"… and {more} more"] if more > 0 else lines


def own_value(metric: MetricRow) -> str:
    """A number of the scenario's own: its value, or what is known of its distribution."""
    if metric.value is not None:
        return f"{metric.value:g}"
    figures = {"mean": metric.mean, "p50": metric.p50, "p99": metric.p99}
    return ", ".join(f"{name} {value:.4g}" for name, value in figures.items() if value is not None)


def _scaling(scaling: ScalingSection | None) -> list[str]:
    if not scaling:
        return []
    rows = [scaling_row(row) for row in scaling.sizes]
    return ["", format_table(rows, (scaling.service, *SCALING_HEAD[1:])), ""]


def scaling_row(row: SizeRow) -> tuple[str, ...]:
    """One size: processes, capacity, times the smallest, its interval, efficiency."""
    if not row.capacity:
        return str(row.size), row.word, "–", "–", "–"
    times, edges, share = row.times, row.times_interval, row.efficiency
    return (
        str(row.size),
        f"{row.capacity:.4g}/s",
        "–" if times is None else f"{times:.2f}",
        "–" if edges is None else f"{edges[0]:.2f} to {edges[1]:.2f}",
        "–" if share is None else f"{share:.0%}",
    )


def figure_change_row(change: FigureChange) -> tuple[str, ...]:
    """A figure of a comparison: A, B, the change, its interval, the word."""
    interval = "–"
    if change.low is not None and change.high is not None:
        interval = f"{change.low * 100:+.1f}% … {change.high * 100:+.1f}%"
    times = format_seconds(change.before), format_seconds(change.after)
    return change.figure, *times, f"{change.change * 100:+.1f}%", interval, change.word


def endpoint_change_rows(changes: Sequence[EndpointChange]) -> list[tuple[str, ...]]:
    """The p99 of each name in A and B, the largest change first."""
    return [
        (one.name, format_seconds(one.before), format_seconds(one.after), format_change(one))
        for one in sorted(changes, key=lambda one: -abs(one.change))
    ]


def format_change(change: EndpointChange) -> str:
    """The change with its mark: "+12% ▲ real", "±2% noise", "+30% ? cannot tell"."""
    percent = change.change * 100
    if change.word in {"same", "noise"}:
        return f"±{abs(percent):.0f}% noise"
    mark = {"slower": "▲ real", "faster": "▼ real"}.get(change.word, "? cannot tell")
    return f"{percent:+.0f}% {mark}"


def progress(point: TimelinePoint, elapsed: float, total: float, head: str = "") -> str:
    """One line while it runs."""
    bad = f"  errors {point.bad:.0f}/s" if point.bad else ""
    return (
        f"{head}{elapsed:4.0f}/{total:.0f} s  {point.rate:7.0f}/s  "
        f"p50 {format_seconds(point.p50):>7}  p99 {format_seconds(point.p99):>7}  "
        f"running {point.running or 0}{bad}"
    )
