"""Telemetry on the wire: OpenTelemetry's OTLP/HTTP as JSON, and packets of StatsD.

Sources: https://opentelemetry.io/docs/specs/otlp/ (JSON Protobuf Encoding: ids in hex, 64-bit
numbers as text) and https://github.com/statsd/statsd (metric types).
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import msgspec

__all__ = [
    "Attribute",
    "DataPoint",
    "LogRecord",
    "MetricPoints",
    "Text",
    "encode_logs",
    "encode_metrics",
    "otlp_attributes",
    "statsd_packets",
]

_PACKET: Final = 1400  # bytes that every network carries in one piece
_CUMULATIVE: Final = 2  # AGGREGATION_TEMPORALITY_CUMULATIVE


class _Message(msgspec.Struct, rename="camel", omit_defaults=True, kw_only=True):
    pass


class Text(_Message):
    """A value that is a text."""

    string_value: str


class Attribute(_Message):
    """One attribute; all of ours are texts."""

    key: str
    value: Text


class LogRecord(_Message):
    """A line of a log. Times in nanoseconds since 1970, as text."""

    time_unix_nano: str
    observed_time_unix_nano: str
    body: Text
    attributes: list[Attribute]
    severity_number: int = 0
    severity_text: str = ""
    trace_id: str = ""
    span_id: str = ""


class DataPoint(_Message):
    """A number at a time."""

    attributes: list[Attribute]
    start_time_unix_nano: str
    time_unix_nano: str
    as_double: float


class _Points(_Message):
    data_points: list[DataPoint]
    aggregation_temporality: int = 0
    is_monotonic: bool = False


class MetricPoints(_Message):
    """The points of one metric: a gauge, or a sum that only grows."""

    name: str
    unit: str
    gauge: _Points | None = None
    sum: _Points | None = None

    @classmethod
    def of(cls, name: str, unit: str, points: list[DataPoint], *, counts: bool) -> "MetricPoints":
        """`counts`: each value is what was counted since the start."""
        if not counts:
            return cls(name=name, unit=unit, gauge=_Points(data_points=points))
        total = _Points(data_points=points, aggregation_temporality=_CUMULATIVE, is_monotonic=True)
        return cls(name=name, unit=unit, sum=total)


def otlp_attributes(facts: Mapping[str, str]) -> list[Attribute]:
    """Attributes of a resource, a record or a point."""
    return [Attribute(key=key, value=Text(string_value=text)) for key, text in facts.items()]


def encode_logs(
    resources: Iterable[tuple[Mapping[str, str], list[LogRecord]]], version: str
) -> bytes:
    """An ExportLogsServiceRequest of (attributes of a resource, its records)."""
    scope = {"name": "chapiteau", "version": version}
    groups = [
        {
            "resource": {"attributes": otlp_attributes(facts)},
            "scopeLogs": [{"scope": scope, "logRecords": records}],
        }
        for facts, records in resources
    ]
    return msgspec.json.encode({"resourceLogs": groups})


def encode_metrics(resource: Mapping[str, str], scope: str, metrics: list[MetricPoints]) -> bytes:
    """An ExportMetricsServiceRequest of one resource."""
    group = {
        "resource": {"attributes": otlp_attributes(resource)},
        "scopeMetrics": [{"scope": {"name": scope}, "metrics": metrics}],
    }
    return msgspec.json.encode({"resourceMetrics": [group]})


def statsd_packets(lines: Iterable[str]) -> Iterator[bytes]:
    """The lines in as few datagrams as will carry them."""
    packet = b""
    for line in lines:
        piece = line.encode("utf-8", "replace")
        if packet and len(packet) + 1 + len(piece) > _PACKET:
            yield packet
            packet = b""
        packet += (b"\n" if packet else b"") + piece
    if packet:
        yield packet
