"""What is told of a running test every second, in no particular system's form."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from chapiteau.core.histogram import Histogram
from chapiteau.load.stats.totals import Totals

__all__ = [
    "Labels",
    "Metric",
    "collect_metrics",
    "otlp_body",
    "statsd_packets",
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


# OpenTelemetry's metrics over HTTP, as JSON (https://opentelemetry.io/docs/specs/otlp/#otlphttp).


def otlp_body(metrics: Sequence[Metric], common: Labels, started: int, now: int) -> bytes:
    """An ExportMetricsServiceRequest. Times in nanoseconds since 1970; counters are cumulative."""
    grouped: dict[tuple[str, str], list[Metric]] = {}
    for metric in metrics:
        grouped.setdefault((metric.name, metric.kind), []).append(metric)
    told = [_metric(name, kind, group, started, now) for (name, kind), group in grouped.items()]
    resource = {"attributes": _attributes((("service.name", "chapiteau-load"), *common))}
    scope = {"scope": {"name": "chapiteau.load"}, "metrics": told}
    return json.dumps(
        {"resourceMetrics": [{"resource": resource, "scopeMetrics": [scope]}]}
    ).encode()


def _metric(name: str, kind: str, group: list[Metric], started: int, now: int) -> dict[str, Any]:
    points = [
        {
            "attributes": _attributes(metric.labels),
            "startTimeUnixNano": str(started),
            "timeUnixNano": str(now),
            "asDouble": metric.value,
        }
        for metric in group
    ]
    unit = "s" if name.endswith("_seconds") else "1"
    made: dict[str, Any] = {"name": f"chapiteau.load.{name.removesuffix('_total')}", "unit": unit}
    if kind == "counter":
        # 2: AGGREGATION_TEMPORALITY_CUMULATIVE
        made["sum"] = {"dataPoints": points, "aggregationTemporality": 2, "isMonotonic": True}
    else:
        made["gauge"] = {"dataPoints": points}
    return made


def _attributes(labels: Labels) -> list[dict[str, Any]]:
    return [{"key": key, "value": {"stringValue": value}} for key, value in labels]


# Lines of StatsD (https://github.com/statsd/statsd/blob/master/docs/metric_types.md).

_LARGEST: Final = 1400  # bytes that fit a packet on any network
_NOT_NAME: Final = re.compile(r"[^\w.-]+")


def statsd_packets(
    metrics: Sequence[Metric], before: Mapping[tuple[str, Labels], float], common: Labels,
    *, tags: bool,
) -> Iterator[bytes]:  # fmt: skip
    """Packets of lines. Counters are sent as what came since `before`, as StatsD wants them.

    Without `tags`, labels become part of the name; with them, they are DogStatsD's.
    """
    packet = b""
    for metric in metrics:
        line = _line(metric, before, common, tags=tags)
        if packet and len(packet) + len(line) + 1 > _LARGEST:
            yield packet
            packet = b""
        packet = packet + b"\n" + line if packet else line
    if packet:
        yield packet


def _line(
    metric: Metric, before: Mapping[tuple[str, Labels], float], common: Labels, *, tags: bool
) -> bytes:
    value, sign = metric.value, "g"
    if metric.kind == "counter":
        known = before.get((metric.name, metric.labels), 0.0)
        # A capacity's next step counts from 0 again.
        value, sign = metric.value - (known if known <= metric.value else 0.0), "c"
    name = f"chapiteau.load.{metric.name}"
    if tags:
        pairs = ",".join(f"{k}:{_tag(v)}" for k, v in (*common, *metric.labels))
        return f"{name}:{value:.10g}|{sign}|#{pairs}".encode()
    for _, label in metric.labels:
        name += "." + _NOT_NAME.sub("_", label.replace(".", "_")).strip("_")
    return f"{name}:{value:.10g}|{sign}".encode()


def _tag(text: str) -> str:
    return re.sub(r"[,|#\s]", "_", text)
