"""Makes the result document of a run from its counts; renderers only format."""

import math
from collections.abc import Sequence
from typing import Any, Final

from msgspec.structs import asdict, replace

from chapiteau.core.histogram import Histogram
from chapiteau.load.report.redaction import redact_text
from chapiteau.load.report.result import (
    FORMAT,
    Batches,
    EndpointBatches,
    EndpointRow,
    Facts,
    Failure,
    Figures,
    LabelCount,
    LoadResult,
    MetricRow,
    NameCount,
    Soundness,
    TimelinePoint,
    TotalsSection,
)
from chapiteau.load.stats.frames import MetricValue
from chapiteau.load.stats.recorder import OTHER_ENDPOINTS, encode_histogram
from chapiteau.load.stats.totals import EndpointTotals, Totals
from chapiteau.load.verdict.objectives import Finding, Objective
from chapiteau.load.verdict.run_verdict import Verdict
from chapiteau.load.verdict.step_guard import generator_fault

__all__ = [
    "document",
    "failures_of",
    "latency_figures",
    "point_at",
    "soundness",
    "timeline",
]

_QUANTILES: Final = (("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99), ("p999", 0.999))
_MOST_POINTS: Final = 600
_MOST_FAILURES: Final = 50
_MOST_PARTED: Final = 30  # names whose times are kept by time, too
_UNREAD: Final = 0.001  # seconds that an answer may wait for being read (p99)
_LARGE: Final = 0.1  # share of the latency from which that waiting is told of
_LATE: Final = 0.005  # seconds of send lag from which a session counts as late


def document(
    facts: Facts,
    totals: Totals,
    verdict: Verdict,
    findings: Sequence[Finding] = (),
    notes: Sequence[str] = (),
) -> LoadResult:
    """The document of a run; `notes` is what else to know before one believes the figures."""
    seconds = max(facts.seconds, 1e-9)
    rows = sorted(totals.rows.values(), key=lambda row: (-row.count, row.name))
    whole = totals.whole()
    return LoadResult(
        format=FORMAT,
        **asdict(facts),
        verdict=verdict.with_findings(findings),
        soundness=_judged_soundness(totals, notes, verdict, findings),
        totals=_totals(totals, seconds),
        rows=[_row(row, seconds, parted=i < _MOST_PARTED) for i, row in enumerate(rows)],
        failures=failures_of(totals),
        checks=[LabelCount(label, *counts) for label, counts in sorted(totals.checks.items())],
        scenarios=[NameCount(name, *counts) for name, counts in sorted(totals.iterations.items())],
        metrics=[_metric(name, metric) for name, metric in sorted(totals.metrics.items())],
        timeline=timeline(totals),
        curve=_curve(whole.latency),
        histogram=encode_histogram(whole.latency),
        batches=_batches(totals),
    )


def _judged_soundness(
    totals: Totals, notes: Sequence[str], verdict: Verdict, findings: Sequence[Finding]
) -> Soundness:
    """Soundness that never contradicts the verdict."""
    found = soundness(totals, notes, [finding.objective for finding in findings])
    limited = verdict.word == "generator-limited"
    if limited and found.sound and not found.notes:
        found = replace(found, notes=[verdict.line])
    return replace(found, sound=found.sound and not limited)


def latency_figures(histogram: Histogram) -> dict[str, Any]:
    """The fields of Figures."""
    if not histogram.count:
        return dict.fromkeys(Figures.__struct_fields__)
    figures: dict[str, float | None] = {
        name: round(histogram.quantile(share) / 1e6, 7) for name, share in _QUANTILES
    }
    return {**figures, "mean": round(histogram.mean / 1e6, 7), "max": histogram.high / 1e6}


def _totals(totals: Totals, seconds: float) -> TotalsSection:
    service = Histogram()
    for row in totals.rows.values():
        service.merge(row.service)
    return TotalsSection(
        requests=totals.requests,
        rate=round(totals.requests / seconds, 3),
        bad=totals.bad,
        errors=totals.bad / totals.requests if totals.requests else 0.0,
        received=sum(row.received for row in totals.rows.values()),
        sessions=totals.started,
        users=totals.users,
        **latency_figures(totals.whole().latency),
        service=Figures(**latency_figures(service)),
    )


def _row(row: EndpointTotals, seconds: float, *, parted: bool) -> EndpointRow:
    batches = None
    if parted:
        parts = [encode_histogram(latency) for _, latency in row.batches.parts()]
        batches = EndpointBatches(row.batches.step, parts)
    return EndpointRow(
        name=row.name,
        tags=list(row.tags),
        requests=row.count,
        rate=round(row.count / seconds, 3),
        bad=row.bad,
        errors=row.bad / row.count if row.count else 0.0,
        received=row.received,
        **latency_figures(row.latency),
        service=Figures(**latency_figures(row.service)),
        statuses=dict(sorted(row.statuses.items())),
        failures=dict(sorted(row.failures.items())),
        slowest=[(second, micros / 1e6) for micros, second in row.slowest],
        pace=_thinned([row.pace.get(s, 0) for s in range(max(row.pace, default=-1) + 1)], 60),
        batches=batches,
    )


def _thinned(values: list[int], most: int) -> list[float]:
    """At most `most` points, each the mean of its part."""
    step = max(1, math.ceil(len(values) / most))
    parts = [values[i : i + step] for i in range(0, len(values), step)]
    return [round(sum(part) / len(part), 2) for part in parts]


def failures_of(totals: Totals) -> list[Failure]:
    """Everything that went wrong, most frequent first, with one sample each."""
    counts = dict(totals.crashes)
    for row in totals.rows.values():
        # A good status may be a bad answer, too: another one was expected.
        statuses = {s: n if int(s) >= 400 else min(n, row.bad) for s, n in row.statuses.items()}
        for kind, count in {**row.failures, **statuses}.items():
            what = f"{row.name}: {kind}"
            # A status that the request expected is no failure, and has no sample.
            if kind in row.failures or what in totals.samples:
                counts[what] = count
    found = [
        Failure(redact_text(what), count, redact_text(totals.samples.get(what, "")))
        for what, count in counts.items()
    ]
    return sorted(found, key=lambda failure: (-failure.count, failure.what))[:_MOST_FAILURES]


def _metric(name: str, metric: MetricValue) -> MetricRow:
    if metric.kind != "trend":
        return MetricRow(name=name, kind=metric.kind, value=metric.value)
    values = metric.values
    figures = {key: values.quantile(share) / 1000 for key, share in _QUANTILES}
    return MetricRow(
        name=name,
        kind="trend",
        count=values.count,
        mean=values.mean / 1000,
        **(figures if values.count else {}),
    )


def soundness(
    totals: Totals, notes: Sequence[str] = (), objectives: Sequence[Objective] = ()
) -> Soundness:
    """Whether the generator kept its promises; `notes` come after its own."""
    lag, unread = totals.lag, totals.unread
    fault = generator_fault(totals, objectives)
    # A process that a scenario has held up tells of many seconds at once.
    peak = min(1.0, max((max(parts) for parts in totals.cpu.values()), default=0.0))
    return Soundness(
        sound=not fault,
        notes=[*_notes(totals, fault, _seconds(unread, 0.99) or 0.0, peak), *notes],
        lag_p50=_seconds(lag, 0.5),
        lag_p99=_seconds(lag, 0.99),
        lag_max=lag.high / 1e6 if lag.count else None,
        late=lag.above(round(_LATE * 1e6)) / lag.count if lag.count else None,
        unread_p50=_seconds(unread, 0.5),
        unread_p99=_seconds(unread, 0.99),
        dropped=totals.dropped,
        cut=totals.cut,
        retried=totals.retried,
        cpu_peak=round(peak, 4),
        cpu_seconds=round(sum(sum(parts) for parts in totals.cpu.values()), 3),
        processes=max((len(parts) for parts in totals.cpu.values()), default=totals.workers),
    )


def _seconds(histogram: Histogram, share: float) -> float | None:
    return histogram.quantile(share) / 1e6 if histogram.count else None


def _notes(totals: Totals, fault: str, unread99: float, peak: float) -> list[str]:
    """What to know before one believes the figures."""
    notes = []
    if "late" in fault:
        notes.append(f"{fault}: the generator was too slow")
    if totals.dropped:
        notes.append(
            f"{totals.dropped} sessions were dropped, since all allowed users were busy: "
            "raise --most-users, or lower the rate"
        )
    if peak > 0.9:
        notes.append(f"a load process used {peak * 100:.0f}% of a core: use more --processes")
    if totals.blocking:
        notes.append(
            f"the scenario held all others up: {totals.blocking}; await what waits there, or give "
            "it to asyncio.to_thread"
        )
    if totals.own_failures:
        notes.append(f"{totals.own_failures} requests failed for lack of ports or descriptors")
    if totals.used_up:
        notes.append(f"the load ended early: {totals.used_up}")
    for name, why in totals.lost.items():
        notes.append(f"{name} was lost: {why}")
    if totals.cut:
        notes.append(f"{totals.cut} sessions were cut off at the end")
    return notes + _finer_notes(totals, unread99)


def _finer_notes(totals: Totals, unread99: float) -> list[str]:
    """What blurs the figures without making them wrong."""
    notes = []
    if OTHER_ENDPOINTS in totals.rows:
        notes.append(
            f"{totals.rows[OTHER_ENDPOINTS].count} requests had too many names for rows of their "
            "own and "
            f"are counted as {OTHER_ENDPOINTS}: give them a name="
        )
    if unread99 > _UNREAD and unread99 > _LARGE * totals.latency.quantile(0.99) / 1e6:
        notes.append(
            f"answers lay up to {unread99 * 1000:.3g} ms (p99) before they were read: "
            "so much of the latency may be the generator's own queue"
        )
    return notes


def timeline(totals: Totals) -> list[TimelinePoint]:
    """Points over time; a long run has one for several seconds each."""
    series = totals.series[""]
    if not series:
        return []
    last = max(series) + 1
    step = max(1, math.ceil(last / _MOST_POINTS))
    return [point_at(totals, start, step) for start in range(0, last, step)]


def point_at(totals: Totals, start: int, step: int = 1) -> TimelinePoint:
    """What happened in the seconds start … start + step - 1."""
    part = totals.whole("", start, start + step)
    running = [totals.running[s] for s in range(start, start + step) if s in totals.running]
    return TimelinePoint(
        t=start,
        rate=part.count / step,
        bad=part.bad / step,
        running=running[-1] if running else None,
        **latency_figures(part.latency),
    )


def _curve(histogram: Histogram) -> list[tuple[float, float]]:
    """(share, seconds) along the percentile curve, denser towards the end."""
    if not histogram.count:
        return []
    shares = [0.0]
    left = 1.0
    while left * histogram.count > 0.5 and len(shares) < 120:
        left *= 0.85
        shares.append(1 - left)
    points = [(round(s, 7), histogram.quantile(s) / 1e6) for s in shares]
    return [*points, (1.0, histogram.high / 1e6)]


def _batches(totals: Totals) -> Batches:
    """Histograms of short times in a row: what comparing two runs needs."""
    last = max(totals.series[""], default=-1) + 1
    step = max(1, math.ceil(last / 120))
    parts = [totals.whole("", start, start + step) for start in range(0, last, step)]
    return Batches(step, [(encode_histogram(part.latency), part.bad) for part in parts])
