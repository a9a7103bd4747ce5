"""A result as one HTML file: verdict first; no network, no JavaScript, the same bytes each time."""

import base64
import json
import math
from collections import Counter
from datetime import UTC, datetime
from html import escape
from typing import Any, Final

import msgspec

from chapiteau.core.units import format_duration, format_size
from chapiteau.load.report.charts import Line, TimeAxis, chart, minutes, spark_line
from chapiteau.load.report.html_sections import (
    Cell,
    Html,
    capacity_section,
    comparison_section,
    histogram_chart,
    html_table,
    quantile_spread_chart,
    scaling_section,
)
from chapiteau.load.report.resources import asked_charts, resource_charts
from chapiteau.load.report.result import (
    EndpointRow,
    Failure,
    LoadResult,
    MetricRow,
    Soundness,
)
from chapiteau.load.report.stylesheet import STYLE
from chapiteau.load.report.text import (
    finding_mark,
    format_seconds,
    own_value,
    verdict_mark,
    warmup_lines,
    whole_points,
)
from chapiteau.load.verdict.objectives import JudgedObjective

__all__ = ["as_html"]

_MOST_ROWS: Final = 200
_MOST_RAW: Final = 80_000  # letters of JSON that the page holds


def as_html(document: LoadResult) -> str:
    """The whole page. Every name that comes from outside is escaped."""
    parts = [
        _head(document),
        _banner(document),
        scaling_section(document.scaling),
        capacity_section(document.capacity),
        comparison_section(document.comparison),
        _figures(document),
        _sound(document.soundness),
        _charts(document),
        resource_charts(document.resources, document.seconds, _marked(document)),
        asked_charts(document.asked, document.seconds),
        _rows(document.rows),
        _failures(document.failures),
        _checks(document),
        _metrics(document.metrics),
        _facts(document),
        _raw(document),
    ]
    title = escape(f"{document.name}: {document.verdict.word}")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{title}</title><style>{STYLE}</style></head><body>"
        + "".join(parts)
        + "</body></html>\n"
    )


def _head(document: LoadResult) -> str:
    moment = datetime.fromtimestamp(document.started, UTC)
    return (
        f"<h1>Load test: {escape(document.name)}</h1>"
        f'<p class="soft">{escape(document.target)} · {moment:%Y-%m-%d %H:%M:%S} UTC · '
        f"{format_duration(document.seconds)}</p>"
    )


def _banner(document: LoadResult) -> str:
    verdict = document.verdict
    word = verdict.word
    rows = "".join(_finding(finding) for finding in verdict.findings)
    return (
        f'<section class="banner {word.replace(" ", "-")}">{_soundness_line(document.soundness)}'
        f'<div class="word">'
        f"{verdict_mark(word)} {escape(word)}</div><strong>{escape(verdict.line)}</strong>"
        + (f"<ul>{rows}</ul>" if rows else "")
        + "".join(f"<p>{escape(line)}</p>" for line in warmup_lines(document))
        + "</section>"
    )


def _soundness_line(sound: Soundness) -> str:
    """The first line of the page: whether what follows can be believed."""
    if sound.sound:
        return '<p class="soft">The measurement is sound.</p>'
    why = escape((sound.notes or ["see below"])[0])
    return f'<p><b class="bad">The measurement is not sound:</b> {why}</p>'


def _finding(finding: JudgedObjective) -> str:
    shown = finding_mark(finding)
    style = {"✓": "good", "✗": "bad"}.get(shown, "warn")
    breach = finding.first_breach_s
    when = f", first missed after {breach} s" if breach is not None and not finding.met else ""
    return (
        f'<li><span class="{style}">{shown}</span> {escape(finding.objective)}: '
        f"<b>{escape(finding.shown)}</b>{_margin(finding)}{when}</li>"
    )


def _margin(finding: JudgedObjective) -> str:
    """How far from its limit a value lies."""
    value, limit = finding.value, finding.limit
    if value is None or not limit:
        return ""
    away = value / limit - 1
    return f", {abs(away) * 100:.0f}% {'above' if away > 0 else 'below'} the limit"


def _figures(document: LoadResult) -> str:
    totals = document.totals
    cells = [
        (f"{totals.rate:.4g}/s", "requests a second"),
        (f"{totals.requests}", "requests"),
        (f"{totals.errors * 100:.3g}%", "errors"),
        (format_seconds(totals.p50), "median"),
        (format_seconds(totals.p99), "p99"),
        (format_seconds(totals.p999), "p99.9"),
        (format_seconds(totals.max), "slowest"),
        (format_size(totals.received), "received"),
    ]
    inner = "".join(f"<div><b>{escape(b)}</b><span>{span}</span></div>" for b, span in cells)
    head = ""
    if document.capacity:
        head = f"<h2>{'The hold' if document.capacity.held else 'The last step'} in figures</h2>"
    return f'{head}<div class="figures">{inner}</div>'


def _unread(sound: Soundness) -> str:
    if sound.unread_p99 is None:
        return ""
    return (
        f"answers lay {format_seconds(sound.unread_p50)} (median), "
        f"{format_seconds(sound.unread_p99)} (p99) in the kernel before they were read, "
        "by its own clock (a sample); "
    )


def _sound(sound: Soundness) -> str:
    word = '<span class="good">yes</span>' if sound.sound else '<span class="bad">no</span>'
    notes = "".join(f'<li class="warn">{escape(note)}</li>' for note in sound.notes)
    return (
        f"<h2>Is the measurement itself sound?</h2><p>{word}: sessions began "
        f"{format_seconds(sound.lag_p50)} (median), {format_seconds(sound.lag_p99)} (p99), "
        f"{format_seconds(sound.lag_max)} (latest) after their due moment; "
        f"{_unread(sound)}"
        f"{sound.dropped} were dropped; the busiest of {sound.processes} load processes used "
        f"{sound.cpu_peak * 100:.0f}% of a core. Latency counts from the moment a request was "
        f"<em>due</em>, so a stall of the service is not hidden.</p>"
        + (f"<ul>{notes}</ul>" if notes else "")
    )


def _charts(document: LoadResult) -> str:
    points = document.timeline
    at = [point.t for point in points]

    def over(key: str) -> list[tuple[float, float | None]]:
        return [(point.t, getattr(point, key)) for point in points]

    limits = [
        (finding.limit, finding.objective)
        for finding in document.verdict.findings
        if finding.objective.startswith("p") and "(" not in finding.objective
    ]
    paced = [(point.t, point.rate) for point in whole_points(document)]
    rate = [Line("requests/s", "c1", paced), Line("errors/s", "c4", over("bad"))]
    latency = [
        Line("p50", "c5", over("p50")),
        Line("p90", "c1", over("p90")),
        Line("p99", "c2", over("p99")),
        Line("max", "c4 dots", over("max")),
    ]
    curve = [Line("latency", "c1", [(_nines(s), v) for s, v in document.curve if s < 1])]
    told = _marked(document)
    end = max(1.0, document.seconds - 1, *at, *(t for t, _ in told))
    span = TimeAxis(0.0, end, told) if at else None
    return "<h2>Over time</h2>" + "".join(
        [
            chart("Requests", rate, x_text=minutes, y_text=lambda v: f"{v:.4g}", x=span),
            chart(
                "Latency (logarithmic)",
                latency,
                x_text=minutes,
                y_text=format_seconds,
                log=True,
                limit=limits[0] if limits else None,
                x=span,
            ),
            chart(
                "Sessions in flight",
                [Line("running", "c3", over("running"))],
                x_text=minutes,
                y_text=lambda v: f"{v:.4g}",
                x=span,
            ),
            _marks(document),
            chart(
                "Percentiles", curve, x_text=_share, y_text=format_seconds, log=True,
                limit=limits[0] if limits else None,
            ),
            histogram_chart(document.histogram),
            quantile_spread_chart(points),
        ]
    )  # fmt: skip


def _marked(document: LoadResult) -> list[tuple[float, str]]:
    """The moments that people have marked, for the charts."""
    return [(one.t, f"{one.text} ({one.who})") for one in document.marks]


def _marks(document: LoadResult) -> str:
    items = "".join(f"<li>◆ {minutes(t)} {escape(text)}</li>" for t, text in _marked(document))
    return f"<ul>{items}</ul>" if items else ""


def _nines(share: float) -> float:
    """The axis of a percentile curve: each further nine takes as much room."""
    return -math.log10(max(1 - share, 1e-9))


def _share(nines: float) -> str:
    return f"{(1 - 10**-nines) * 100:.5g}%"


def _rows(rows: list[EndpointRow]) -> str:
    head = ("request", "n", "/s", "errors", "p50", "p90", "p99", "p99.9", "max", "pace")
    more = len(rows) - _MOST_ROWS
    left = f'<p class="soft">… and {more} more, in the JSON below.</p>' if more > 0 else ""
    table = html_table(head, map(_row, rows[:_MOST_ROWS]))
    return f"<h2>By request</h2>{table}{left}{_statuses(rows)}"


def _statuses(rows: list[EndpointRow]) -> str:
    counts: Counter[str] = Counter()
    for row in rows:
        counts.update(row.statuses)
    told = ", ".join(f"{status}: {count}" for status, count in sorted(counts.items()))
    return f'<p class="soft">Answers by status: {escape(told)}</p>' if told else ""


def _row(row: EndpointRow) -> tuple[Cell, ...]:
    return (
        row.name,
        row.requests,
        f"{row.rate:.4g}",
        ("bad" if row.bad else "", f"{row.errors * 100:.3g}%"),
        *map(format_seconds, (row.p50, row.p90, row.p99, row.p999, row.max)),
        Html(spark_line(row.pace)),
    )


def _failures(failures: list[Failure]) -> str:
    if not failures:
        return "<h2>Failures</h2><p>None.</p>"
    items = "".join(
        f"<details><summary><b>{failure.count}×</b> {escape(failure.what)}</summary>"
        f"<pre>{escape(failure.sample)}</pre></details>"
        for failure in failures
    )
    return f"<h2>Failures, each with one sample</h2>{items}"


def _checks(document: LoadResult) -> str:
    checks = [(check.label, check.passed, check.failed) for check in document.checks]
    scenarios = [(one.name, one.passed, one.failed) for one in document.scenarios]
    return "".join(
        f"<h2>{title}</h2>" + html_table(("", "passed", "failed"), map(_counts, rows))
        for title, rows in (("Checks", checks), ("Scenarios", scenarios))
        if rows
    )


def _counts(row: tuple[str, int, int]) -> tuple[Cell, ...]:
    name, passed, failed = row
    return name, passed, ("bad" if failed else "", str(failed))


def _metrics(metrics: list[MetricRow]) -> str:
    if not metrics:
        return ""
    rows = ((m.name, m.kind, own_value(m)) for m in metrics)
    return f"<h2>Numbers of the scenario's own</h2>{html_table((), rows)}"


def _facts(document: LoadResult) -> str:
    pairs = [
        ("target", document.target),
        ("version", document.target_version),
        ("command", " ".join(document.command)),
    ]
    pairs += [(key, _value(value)) for key, value in document.plan.items() if key != "target"]
    pairs += [(key, str(value)) for key, value in document.machine.items()]
    pairs.append(("chapiteau", document.version))
    inner = "".join(
        f"<dt>{escape(str(key))}</dt><dd>{escape(value)}</dd>" for key, value in pairs if value
    )
    return f"<h2>What was run</h2><dl>{inner}</dl>"


def _value(value: Any) -> str:
    if isinstance(value, list):
        return "; ".join(str(item) for item in value)
    return str(value)


def _raw(document: LoadResult) -> str:
    """The document itself, small enough for the page: without the histograms of each second."""
    small = msgspec.to_builtins(document)
    for left_out in (small, *small["rows"]):
        left_out.pop("batches", None)
    del small["histogram"]
    text = json.dumps(small, separators=(",", ":"), ensure_ascii=False)
    link = ""
    if len(text) <= _MOST_RAW:
        data = base64.b64encode(text.encode()).decode()
        link = (
            f'<p><a download="result.json" href="data:application/json;base64,{data}">'
            "Save it as a file</a></p>"
        )
    return (
        f"<details><summary>The result as JSON</summary>{link}<pre>"
        f"{escape(text[:_MOST_RAW])}</pre></details>"
    )
