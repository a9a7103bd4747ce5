"""What is told of a running test every second, in no particular system's form."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from chapiteau.core.histogram import Histogram
from chapiteau.io.telemetry import DataPoint, MetricPoints, encode_metrics, otlp_attributes
from chapiteau.load.stats.totals import Totals

__all__ = [
    "Labels",
    "Metric",
    "collect_metrics",
    "otlp_body",
    "statsd_lines",
]

Labels = tuple[tuple[str, str], ...]
_QUANTILES = ("0.5", "0.9", "0.95", "0.99")


@dataclass(frozen=True, slots=True)
class Metric:
    """One number. Names are words joined by `_`; a counter's value counts from the run's start."""

    name: str
    value: float
    kind: Literal["gauge", "counter"] = "gauge"
    labels: Labels = ()


def collect_metrics(totals: Totals, second: int) -> list[Metric]:
    """The numbers of one second, and what has been counted so far. Times in seconds."""
    part = totals.whole("", second, second + 1)
    made = [
        Metric("requests_per_second", float(part.count)),
        Metric("errors_per_second", float(part.bad)),
        Metric("sessions_running", float(totals.running.get(second, 0))),
        *_times("latency_seconds", part.latency),
        *_times("send_lag_seconds", totals.lag),
        Metric("sessions_dropped_total", float(totals.dropped), "counter"),
    ]
    for name, row in sorted(totals.rows.items()):
        labels = (("request", name),)
        made.append(Metric("requests_total", float(row.count), "counter", labels))
        made.append(Metric("errors_total", float(row.bad), "counter", labels))
    return made


def _times(name: str, histogram: Histogram) -> list[Metric]:
    if not histogram.count:
        return []
    return [
        Metric(name, histogram.quantile(float(share)) / 1e6, labels=(("quantile", share),))
        for share in _QUANTILES
    ]


def otlp_body(metrics: Sequence[Metric], common: Labels, started: int, now: int) -> bytes:
    """As OpenTelemetry wants them. Times in nanoseconds since 1970; counters are cumulative."""
    grouped: dict[tuple[str, str], list[DataPoint]] = {}
    for metric in metrics:
        point = DataPoint(
            attributes=otlp_attributes(dict(metric.labels)),
            start_time_unix_nano=str(started),
            time_unix_nano=str(now),
            as_double=metric.value,
        )
        grouped.setdefault((metric.name, metric.kind), []).append(point)
    found = [
        MetricPoints.of(
            f"chapiteau.load.{name.removesuffix('_total')}",
            "s" if name.endswith("_seconds") else "1",
            points,
            counts=kind == "counter",
        )
        for (name, kind), points in grouped.items()
    ]
    resource = {"service.name": "chapiteau-load", **dict(common)}
    return encode_metrics(resource, "chapiteau.load", found)


_NOT_NAME: Final = re.compile(r"[^\w.-]+")


def statsd_lines(
    metrics: Sequence[Metric], before: Mapping[tuple[str, Labels], float], common: Labels,
    *, tags: bool,
) -> list[str]:  # fmt: skip
    """Counters are what came since `before`, as StatsD wants them.

    Without `tags`, labels become part of the name; with them, they are DogStatsD's.
    """
    return [_line(metric, before, common, tags=tags) for metric in metrics]


def _line(
    metric: Metric, before: Mapping[tuple[str, Labels], float], common: Labels, *, tags: bool
) -> str:
    value, sign = metric.value, "g"
    if metric.kind == "counter":
        known = before.get((metric.name, metric.labels), 0.0)
        # A capacity's next step counts from 0 again.
        value, sign = metric.value - (known if known <= metric.value else 0.0), "c"
    name = f"chapiteau.load.{metric.name}"
    if tags:
        pairs = ",".join(f"{k}:{_tag(v)}" for k, v in (*common, *metric.labels))
        return f"{name}:{value:.10g}|{sign}|#{pairs}"
    for _, label in metric.labels:
        name += "." + _NOT_NAME.sub("_", label.replace(".", "_")).strip("_")
    return f"{name}:{value:.10g}|{sign}"


def _tag(text: str) -> str:
    return re.sub(r"[,|#\s]", "_", text)
