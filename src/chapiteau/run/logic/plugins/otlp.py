"""Lines of output as OTLP/HTTP with JSON.

Sources: https://opentelemetry.io/docs/specs/otlp/ (JSON Protobuf Encoding: ids in hex, 64-bit
numbers as text) and https://opentelemetry.io/docs/specs/otel/logs/data-model/ (severity numbers).
"""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from chapiteau.run.logic.lines.level import level_of
from chapiteau.run.logic.messages import LogLine

__all__ = ["export_request"]

_SEVERITY: Final = {
    "trace": 1, "debug": 5, "info": 9, "notice": 10, "warning": 13, "warn": 13, "error": 17,
    "err": 17, "critical": 21, "fatal": 21, "panic": 24, "emerg": 24,
}  # fmt: skip
_TRACE: Final = re.compile(r"[0-9a-f]{32}")
_SPAN: Final = re.compile(r"[0-9a-f]{16}")


def export_request(
    lines: Iterable[LogLine], facts: Mapping[str, str], version: str
) -> dict[str, Any]:
    """An ExportLogsServiceRequest; `facts` are attributes of every resource.

    A line that is a JSON object gives its trace_id and span_id to the record.
    """
    resources: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for line in lines:
        resources.setdefault((line.service, line.process), []).append(_record(line))
    scope = {"name": "chapiteau", "version": version}
    return {
        "resourceLogs": [
            {
                "resource": {"attributes": _attributes(_resource(facts, service, process))},
                "scopeLogs": [{"scope": scope, "logRecords": records}],
            }
            for (service, process), records in resources.items()
        ]
    }


def _resource(facts: Mapping[str, str], service: str, process: int) -> dict[str, str]:
    instance = f"{facts.get('host.name', '')}/{service}.{process}"
    return {**facts, "service.name": service, "service.instance.id": instance}


def _attributes(facts: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{"key": key, "value": {"stringValue": value}} for key, value in facts.items()]


def _record(line: LogLine) -> dict[str, Any]:
    level = level_of(line.text)
    nanoseconds = str(int(line.time * 1e6) * 1000)
    record: dict[str, Any] = {
        "timeUnixNano": nanoseconds,
        "observedTimeUnixNano": nanoseconds,
        "body": {"stringValue": line.text},
        "attributes": _attributes({"log.iostream": line.stream}),
    }
    if level:
        record |= {"severityNumber": _SEVERITY[level], "severityText": level.upper()}
    return record | _ids(line.text)


def _ids(text: str) -> dict[str, str]:
    """The ids of the trace that a line of JSON belongs to."""
    if not text.startswith("{"):
        return {}
    try:
        own = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    trace, span = str(own.get("trace_id", "")).lower(), str(own.get("span_id", "")).lower()
    found = {"traceId": trace} if _TRACE.fullmatch(trace) else {}
    return found | ({"spanId": span} if _SPAN.fullmatch(span) else {})
