"""The result document (format chapiteau-load/1): everything that a report shows, as JSON.

docs/reference/load-result.md describes it; renderers only format. Times are seconds.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from chapiteau.core.histogram import Histogram
from chapiteau.load.report.redaction import redact_text
from chapiteau.load.stats.frames import MetricValue
from chapiteau.load.stats.recorder import OTHER_ENDPOINTS, encode_histogram
from chapiteau.load.stats.totals import EndpointTotals, SecondStats, Totals
from chapiteau.load.verdict.objectives import Finding

__all__ = [
    "FORMAT",
    "Facts",
    "document",
    "failures_of",
    "latency_figures",
    "point_at",
    "soundness",
    "timeline",
]

FORMAT: Final = "chapiteau-load/1"
_QUANTILES: Final = (("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99), ("p999", 0.999))
_MOST_POINTS: Final = 600
_MOST_FAILURES: Final = 50
_MOST_PARTED: Final = 30  # names whose times are kept by time, too
_UNREAD: Final = 0.001  # seconds that an answer may wait for being read (p99)
_LARGE: Final = 0.1  # share of the latency from which that waiting is told of
_LATE: Final = 0.005  # seconds of send lag (p99) from which the generator counts as late


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known about a test beside its counts."""

    kind: str
    name: str
    target: str
    started: float  # seconds since 1970
    seconds: float  # measured length
    plan: dict[str, Any]
    command: Sequence[str] = ()
    machine: dict[str, Any] | None = None
    version: str = ""


def document(
    facts: Facts, totals: Totals, verdict: dict[str, Any], findings: Sequence[Finding] = ()
) -> dict[str, Any]:
    """The document of a run. `verdict` has word, line and exit_code."""
    seconds = max(facts.seconds, 1e-9)
    return {
        "format": FORMAT,
        "kind": facts.kind,
        "name": facts.name,
        "target": facts.target,
        "started": facts.started,
        "seconds": facts.seconds,
        "version": facts.version,
        "command": list(facts.command),
        "machine": facts.machine or {},
        "plan": facts.plan,
        "verdict": {**verdict, "findings": [finding.to_dict() for finding in findings]},
        "soundness": soundness(totals, seconds),
        "totals": _totals(totals, seconds),
        "rows": [
            _row(row, seconds) | (_parts(row) if place < _MOST_PARTED else {})
            for place, row in enumerate(_largest_first(totals))
        ],
        "failures": failures_of(totals),
        "checks": [
            {"label": label, "passed": good, "failed": bad}
            for label, (good, bad) in sorted(totals.checks.items())
        ],
        "scenarios": [
            {"name": name, "passed": good, "failed": bad}
            for name, (good, bad) in sorted(totals.iterations.items())
        ],
        "metrics": [_metric(name, metric) for name, metric in sorted(totals.metrics.items())],
        "timeline": timeline(totals),
        "curve": _curve(totals.whole().latency),
        "histogram": encode_histogram(totals.whole().latency),
        "batches": _batches(totals),
    }


def latency_figures(histogram: Histogram) -> dict[str, float | None]:
    """Percentiles, mean and maximum in seconds; None without data."""
    if not histogram.count:
        return dict.fromkeys([*(name for name, _ in _QUANTILES), "mean", "max"])
    figures: dict[str, float | None] = {
        name: round(histogram.quantile(share) / 1e6, 7) for name, share in _QUANTILES
    }
    return {**figures, "mean": round(histogram.mean / 1e6, 7), "max": histogram.high / 1e6}


def _totals(totals: Totals, seconds: float) -> dict[str, Any]:
    whole = totals.whole()
    service = Histogram()
    for row in totals.rows.values():
        service.merge(row.service)
    return {
        "requests": totals.requests,
        "rate": round(totals.requests / seconds, 3),
        "bad": totals.bad,
        "errors": totals.bad / totals.requests if totals.requests else 0.0,
        "received": sum(row.received for row in totals.rows.values()),
        "sessions": totals.started,
        "users": totals.users,
        **latency_figures(whole.latency),
        "service": latency_figures(service),
    }


def _largest_first(totals: Totals) -> list[EndpointTotals]:
    return sorted(totals.rows.values(), key=lambda row: (-row.count, row.name))


def _row(row: EndpointTotals, seconds: float) -> dict[str, Any]:
    return {
        "name": row.name,
        "tags": list(row.tags),
        "requests": row.count,
        "rate": round(row.count / seconds, 3),
        "bad": row.bad,
        "errors": row.bad / row.count if row.count else 0.0,
        "received": row.received,
        **latency_figures(row.latency),
        "service": latency_figures(row.service),
        "statuses": dict(sorted(row.statuses.items())),
        "failures": dict(sorted(row.failures.items())),
        "slowest": [[second, micros / 1e6] for micros, second in row.slowest],
        "pace": _thinned([row.pace.get(s, 0) for s in range(max(row.pace, default=-1) + 1)], 60),
    }


def _parts(row: EndpointTotals) -> dict[str, Any]:
    """What comparing one name needs, and its histogram is made of."""
    parts = [encode_histogram(latency) for _, latency in row.batches.parts()]
    return {"batches": {"seconds": row.batches.step, "parts": parts}}


def _thinned(values: list[int], most: int) -> list[float]:
    """At most so many points, each the mean of its part."""
    step = max(1, math.ceil(len(values) / most))
    parts = [values[i : i + step] for i in range(0, len(values), step)]
    return [round(sum(part) / len(part), 2) for part in parts]


def failures_of(totals: Totals) -> list[dict[str, Any]]:
    """Everything that went wrong, most frequent first, with one sample each."""
    found: list[dict[str, Any]] = []
    for row in totals.rows.values():
        # A good status may be a bad answer, too: another one was expected.
        statuses = {s: n if int(s) >= 400 else min(n, row.bad) for s, n in row.statuses.items()}
        kinds = {**row.failures, **statuses}
        for kind, count in kinds.items():
            what = f"{row.name}: {kind}"
            # A status that the request expected is no failure, and has no sample.
            if kind in row.failures or what in totals.samples:
                found.append(_failure(what, count, totals))
    for what, count in totals.crashes.items():
        found.append(_failure(what, count, totals))
    found.sort(key=lambda f: (-f["count"], f["what"]))
    return found[:_MOST_FAILURES]


def _failure(what: str, count: int, totals: Totals) -> dict[str, Any]:
    sample = redact_text(totals.samples.get(what, ""))
    return {"what": redact_text(what), "count": count, "sample": sample}


def _metric(name: str, metric: MetricValue) -> dict[str, Any]:
    if metric.kind != "trend":
        return {"name": name, "kind": metric.kind, "value": metric.value}
    values = metric.values
    figures = {key: values.quantile(share) / 1000 for key, share in _QUANTILES}
    return {"name": name, "kind": "trend", "count": values.count, "mean": values.mean / 1000} | (
        figures if values.count else {}
    )


def soundness(totals: Totals, seconds: float) -> dict[str, Any]:
    """Whether the generator kept its promises: only then do the figures tell of the service."""
    lag99 = totals.lag.quantile(0.99) / 1e6 if totals.lag.count else 0.0
    unread99 = totals.unread.quantile(0.99) / 1e6 if totals.unread.count else 0.0
    busiest = [max(parts) for parts in totals.cpu.values()]
    # A process that a scenario has held up tells of many seconds at once.
    peak = min(1.0, max(busiest, default=0.0))
    limited = (
        bool(totals.own_failures or totals.held_up)
        or lag99 > _LATE
        or (peak > 0.97 and totals.dropped > 0)
    )
    return {
        "sound": not limited,
        "notes": _notes(totals, lag99, unread99, peak),
        "lag_p50": totals.lag.quantile(0.5) / 1e6 if totals.lag.count else None,
        "lag_p99": lag99 if totals.lag.count else None,
        "lag_max": totals.lag.high / 1e6 if totals.lag.count else None,
        "late": _late(totals) if totals.lag.count else None,
        "unread_p50": totals.unread.quantile(0.5) / 1e6 if totals.unread.count else None,
        "unread_p99": unread99 if totals.unread.count else None,
        "dropped": totals.dropped,
        "cut": totals.cut,
        "retried": totals.retried,
        "cpu_peak": round(peak, 4),
        "cpu_seconds": round(sum(sum(parts) for parts in totals.cpu.values()), 3),
        "processes": max((len(parts) for parts in totals.cpu.values()), default=totals.workers),
    }


def _late(totals: Totals) -> float:
    """The share of the sessions that began too late."""
    return totals.lag.above(round(_LATE * 1e6)) / totals.lag.count


def _notes(totals: Totals, lag99: float, unread99: float, peak: float) -> list[str]:
    """What to know before one believes the figures."""
    notes = []
    if lag99 > _LATE:
        notes.append(
            f"sessions began up to {lag99 * 1000:.0f} ms late (p99): the generator was too slow"
        )
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
        notes.append(f"{name} was lost, and its share of the load with it: {why}")
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


def timeline(totals: Totals) -> list[dict[str, Any]]:
    """Points over time; a long run has one for several seconds each."""
    series = totals.series[""]
    if not series:
        return []
    last = max(series) + 1
    step = max(1, math.ceil(last / _MOST_POINTS))
    return [point_at(totals, start, step) for start in range(0, last, step)]


def point_at(totals: Totals, start: int, step: int = 1) -> dict[str, Any]:
    """What happened in the seconds start … start + step - 1."""
    part = totals.whole("", start, start + step)
    running = [totals.running[s] for s in range(start, start + step) if s in totals.running]
    return {
        "t": start,
        "rate": part.count / step,
        "bad": part.bad / step,
        "running": running[-1] if running else None,
        **latency_figures(part.latency),
    }


def _curve(histogram: Histogram) -> list[list[float]]:
    """(share, seconds) along the percentile curve, denser towards the end."""
    if not histogram.count:
        return []
    shares = [0.0]
    left = 1.0
    while left * histogram.count > 0.5 and len(shares) < 120:
        left *= 0.85
        shares.append(1 - left)
    points = [[round(s, 7), histogram.quantile(s) / 1e6] for s in shares]
    return [*points, [1.0, histogram.high / 1e6]]


def _batches(totals: Totals) -> dict[str, Any]:
    """Histograms of short times in a row: what comparing two runs needs."""
    series = totals.series[""]
    last = max(series, default=-1) + 1
    step = max(1, math.ceil(last / 120))
    parts = [totals.whole("", start, start + step) for start in range(0, last, step)]
    return {"seconds": step, "parts": [_batch(part) for part in parts]}


def _batch(part: SecondStats) -> list[Any]:
    return [encode_histogram(part.latency), part.bad]
