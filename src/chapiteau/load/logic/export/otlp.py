"""OpenTelemetry's metrics over HTTP, as JSON (https://opentelemetry.io/docs/specs/otlp/#otlphttp)."""

import json
from collections.abc import Sequence
from typing import Any

from chapiteau.load.logic.export.metrics import Labels, Metric

__all__ = ["otlp_body"]


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
