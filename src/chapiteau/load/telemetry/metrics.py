"""What is told of a running test every second, in no particular system's form."""

import json
import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from chapiteau.core.histogram import Histogram
from chapiteau.load.stats.totals import Totals

__all__ = [
    "Labels",
    "Metric",
    "collect_metrics",
    "influx_lines",
    "otlp_body",
    "snappy",
    "statsd_packets",
    "write_request",
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


# InfluxDB's line protocol
# (https://docs.influxdata.com/influxdb/v2/reference/syntax/line-protocol/).


def influx_lines(metrics: Sequence[Metric], common: Labels, nanoseconds: int) -> bytes:
    """One line for each set of labels, with a field for each of its numbers."""
    grouped: dict[Labels, list[Metric]] = {}
    for metric in metrics:
        grouped.setdefault(metric.labels, []).append(metric)
    lines = []
    for labels, group in grouped.items():
        tags = "".join(f",{_key(k)}={_key(v)}" for k, v in (*common, *labels) if v)
        fields = ",".join(f"{_key(m.name)}={m.value!r}" for m in group)
        lines.append(f"chapiteau_load{tags} {fields} {nanoseconds}")
    return "\n".join(lines).encode()


def _key(text: str) -> str:
    """Commas, equal signs and spaces stand behind a backslash; a line's end can't be said."""
    text = " ".join(text.splitlines()) or "_"
    for sign in ("\\", ",", "=", " "):
        text = text.replace(sign, "\\" + sign)
    return text


# Prometheus remote write 1.0 (https://prometheus.io/docs/specs/prw/remote_write_spec/).
#
# A WriteRequest is three nested messages of strings and numbers, so that it is written here in
# Protocol Buffers' wire format (https://protobuf.dev/programming-guides/encoding/); and it is
# packed as Snappy's block format allows it without compressing: a length, and literals (0046).


def write_request(metrics: Sequence[Metric], common: Labels, milliseconds: int) -> bytes:
    """The message, unpacked: repeated TimeSeries timeseries = 1."""
    return b"".join(_field(1, _series(metric, common, milliseconds)) for metric in metrics)


def _series(metric: Metric, common: Labels, milliseconds: int) -> bytes:
    """repeated Label labels = 1, sorted by name; repeated Sample samples = 2."""
    labels = {**dict(common), **dict(metric.labels), "__name__": f"chapiteau_load_{metric.name}"}
    written = b"".join(
        _field(1, _field(1, name.encode()) + _field(2, value.encode("utf-8", "replace")))
        for name, value in sorted(labels.items())
    )
    # Sample: double value = 1 (fixed, 8 bytes), int64 timestamp = 2 (varint).
    sample = b"\x09" + struct.pack("<d", metric.value) + b"\x10" + _varint(milliseconds)
    return written + _field(2, sample)


def _field(number: int, value: bytes) -> bytes:
    """A field of the wire type 2: its length, then its bytes."""
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def snappy(data: bytes) -> bytes:
    """A Snappy block of literals (https://github.com/google/snappy, format_description.txt)."""
    out = bytearray(_varint(len(data)))
    for start in range(0, len(data), 1 << 16):
        part = data[start : start + (1 << 16)]
        if len(part) <= 60:
            out += bytes([(len(part) - 1) << 2]) + part
        else:
            # 61: the literal's length less one follows in two bytes.
            out += bytes([61 << 2]) + struct.pack("<H", len(part) - 1) + part
    return bytes(out)
