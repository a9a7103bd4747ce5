"""A result for a terminal: the verdict first, then what it rests on."""

from typing import Any

from chapiteau.core.text import escape_control, format_table, sparkline
from chapiteau.core.units import format_duration, format_size

__all__ = [
    "SCALING_HEAD",
    "as_text",
    "finding_mark",
    "format_seconds",
    "own_value",
    "progress",
    "scaling_row",
    "verdict_mark",
    "warmup_lines",
]

_MARKS = {"met": "✓", "not met": "✗", "unsure": "?", "generator-limited": "!", "broken": "✗"}
SCALING_HEAD = ("processes", "capacity", "times", "90 % sure", "efficiency")
_HEAD = ("requests", "n", "/s", "errors", "p50", "p90", "p99", "max")


def verdict_mark(word: str) -> str:
    """The sign of a verdict."""
    return _MARKS.get(word, "·")


def finding_mark(finding: dict[str, Any]) -> str:
    """✓ kept, ✗ missed, ? when there was nothing to judge by."""
    if finding["value"] is None:
        return "?"
    return "✓" if finding["met"] else "✗"


def format_seconds(value: float | None) -> str:
    """A time for a table; – without data."""
    return "–" if value is None else format_duration(value)


def as_text(document: dict[str, Any]) -> str:
    """Some lines, at most 30 rows of requests."""
    verdict = document["verdict"]
    lines = [f"{verdict_mark(verdict['word'])} {verdict['line']}"]
    lines += [f"  {finding_mark(f)} {f['objective']}: {f['shown']}" for f in verdict["findings"]]
    lines += _scaling(document.get("scaling"))
    lines += _capacity(document.get("capacity"))
    if (comparison := document.get("comparison")) and document["kind"] != "ab":
        lines += [f"  · against the baseline: {comparison['word']}"]
    lines += ["", *_figures(document), "", _rows(document)]
    lines += _counted("checks", document["checks"], "label")
    lines += _own(document["metrics"])
    lines += _failures(document["failures"])
    lines += [f"· {warmed}" for warmed in warmup_lines(document)]
    for one in document.get("marks", ()):
        lines.append(f"◆ {format_duration(one['t'])}: {one['text']} ({one['who']})")
    for note in document["soundness"]["notes"]:
        lines.append(f"! {note}")
    return escape_control("\n".join(lines))


def warmup_lines(document: dict[str, Any]) -> list[str]:
    """What the limits on latency have left out; [] when nothing was."""
    if not (seconds := document.get("warmup")):
        return []
    left_out = format_duration(float(seconds))
    counts = "--warmup 0s counts them; all else is of the whole time"
    return [f"warm-up: limits on latency leave out the first {left_out} ({counts})"]


def _figures(document: dict[str, Any]) -> list[str]:
    totals, sound = document["totals"], document["soundness"]
    pace = [point["rate"] for point in document["timeline"]]
    lag, unread = format_seconds(sound["lag_p99"]), format_seconds(sound.get("unread_p99"))
    processes = f"{sound['processes']} process{'' if sound['processes'] == 1 else 'es'}"
    return [
        (
            f"{totals['requests']} requests in {format_duration(document['seconds'])}: "
            f"{totals['rate']:.4g}/s, {totals['errors'] * 100:.3g}% errors, "
            f"{format_size(totals['received'])} received"
        ),
        (
            f"latency p50 {format_seconds(totals['p50'])}  p90 {format_seconds(totals['p90'])}  "
            f"p99 {format_seconds(totals['p99'])}  max {format_seconds(totals['max'])}   "
            f"(service alone: p99 {format_seconds(totals['service']['p99'])})"
        ),
        (
            f"generator: {processes}, busiest {sound['cpu_peak'] * 100:.0f}% of a "
            f"core, sessions late p99 {lag}, answers unread p99 {unread}, "
            f"dropped {sound['dropped']}"
        ),
        f"rate {sparkline(pace[-60:])}",
    ]


def _rows(document: dict[str, Any]) -> str:
    rows = [
        (
            row["name"],
            row["requests"],
            f"{row['rate']:.4g}",
            f"{row['errors'] * 100:.3g}%",
            *(format_seconds(row[key]) for key in ("p50", "p90", "p99", "max")),
        )
        for row in document["rows"][:30]
    ]
    more = len(document["rows"]) - 30
    return format_table(rows, _HEAD) + (f"\n… and {more} more" if more > 0 else "")


def _counted(title: str, parts: list[dict[str, Any]], key: str) -> list[str]:
    if not parts:
        return []
    rows = [(part[key], part["passed"], part["failed"]) for part in parts]
    return ["", format_table(rows, (title, "passed", "failed"))]


def _failures(failures: list[dict[str, Any]]) -> list[str]:
    if not failures:
        return []
    lines = ["", "failures"]
    for failure in failures[:8]:
        lines.append(f"  {failure['count']}× {failure['what']}")
        lines += [f"      {line[:160]}" for line in _telling(failure["sample"])]
    if len(failures) > 8:
        lines.append(f"  … and {len(failures) - 8} more kinds, see the report")
    return lines


def _telling(sample: str) -> list[str]:
    """What tells most: a traceback's end, or an answer's status and its body's start."""
    lines = sample.strip().splitlines()
    if any(line.startswith('  File "') for line in lines):
        return lines[-1:]
    return [part for part in (*lines[:1], " ".join(" ".join(lines[1:]).split())) if part]


def _own(metrics: list[dict[str, Any]]) -> list[str]:
    if not metrics:
        return []
    rows = [(m["name"], m["kind"], own_value(m)) for m in metrics[:30]]
    more = len(metrics) - 30
    lines = ["", format_table(rows, ("scenario's own", "", ""))]
    return [*lines, f"… and {more} more"] if more > 0 else lines


def own_value(metric: dict[str, Any]) -> str:
    """A number of the scenario's own: its value, or what is known of its distribution."""
    if metric["kind"] != "trend":
        return f"{metric['value']:g}"
    parts = (f"{key} {metric[key]:.4g}" for key in ("mean", "p50", "p99", "max") if key in metric)
    return ", ".join(parts)


def _capacity(capacity: dict[str, Any] | None) -> list[str]:
    if not capacity:
        return []
    return [f"  · {note}" for note in capacity["notes"]]


def _scaling(scaling: dict[str, Any] | None) -> list[str]:
    if not scaling:
        return []
    rows = [scaling_row(row) for row in scaling["sizes"]]
    return ["", format_table(rows, (scaling["service"], *SCALING_HEAD[1:])), ""]


def scaling_row(row: dict[str, Any]) -> tuple[str, ...]:
    """One size: processes, capacity, times the smallest, its interval, efficiency."""
    if not row["capacity"]:
        return str(row["size"]), row["word"], "–", "–", "–"
    times, edges, share = row["times"], row["times_interval"], row["efficiency"]
    return (
        str(row["size"]),
        f"{row['capacity']:.4g}/s",
        "–" if times is None else f"{times:.2f}",
        "–" if edges is None else f"{edges[0]:.2f} to {edges[1]:.2f}",
        "–" if share is None else f"{share:.0%}",
    )


def progress(point: dict[str, Any], elapsed: float, total: float, head: str = "") -> str:
    """One line while it runs."""
    bad = f"  errors {point['bad']:.0f}/s" if point["bad"] else ""
    return (
        f"{head}{elapsed:4.0f}/{total:.0f} s  {point['rate']:7.0f}/s  "
        f"p50 {format_seconds(point['p50']):>7}  p99 {format_seconds(point['p99']):>7}  "
        f"running {point['running'] or 0}{bad}"
    )
