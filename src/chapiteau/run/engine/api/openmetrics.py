"""The state of a supervisor as OpenMetrics text, for Prometheus and its kin.

Format: https://prometheus.io/docs/specs/om/open_metrics_spec/ (version 1.0.0).
"""

from collections.abc import Iterator
from typing import Final

from chapiteau.run.logic.status import ProcessStatus, ServiceStatus, SupervisorStatus

__all__ = ["CONTENT_TYPE", "openmetrics"]

CONTENT_TYPE: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"
_STATES: Final = (
    "stopped waiting starting running reloading stopping backoff failed completed".split()
)

_Sample = tuple[str, dict[str, str], float]  # suffix, labels, value


def openmetrics(status: SupervisorStatus) -> str:
    """All families, each with its type, unit and help; ends with # EOF."""
    lines: list[str] = []
    for name, kind, unit, text, samples in _families(status):
        lines.append(f"# TYPE {name} {kind}")
        if unit:
            lines.append(f"# UNIT {name} {unit}")
        lines.append(f"# HELP {name} {text}")
        lines += [f"{name}{suffix}{_labels(labels)} {value:g}" for suffix, labels, value in samples]
    return "\n".join([*lines, "# EOF", ""])


_Family = tuple[str, str, str, str, list[_Sample]]


def _families(status: SupervisorStatus) -> Iterator[_Family]:
    yield (
        "chapiteau_supervisor",
        "info",
        "",
        "The running supervisor.",
        [("_info", {"version": status.version, "project": status.project, "node": status.node}, 1)],
    )
    yield (
        "chapiteau_supervisor_brain_restarts",
        "counter",
        "",
        "How often the brain was started again.",
        [("_total", {}, status.brain_restarts)],
    )
    yield from _service_families(status.services)
    yield from _process_families(status.services)
    yield from _socket_families(status)


def _service_families(services: tuple[ServiceStatus, ...]) -> Iterator[_Family]:
    yield (
        "chapiteau_service_state",
        "stateset",
        "",
        "The state of a service.",
        [
            ("", {"service": s.name, "chapiteau_service_state": state}, float(s.state == state))
            for s in services
            for state in _STATES
        ],
    )
    for key, text in (("wanted", "that should run"), ("ready", "that are ready")):
        yield (
            f"chapiteau_service_processes_{key}",
            "gauge",
            "",
            f"Processes of a service {text}.",
            [("", {"service": s.name}, getattr(s, key)) for s in services],
        )
    yield (
        "chapiteau_service_restarts",
        "counter",
        "",
        "Processes of a service that were started again.",
        [("_total", {"service": s.name}, s.restarts) for s in services],
    )
    yield (
        "chapiteau_service_log_dropped_bytes",
        "counter",
        "bytes",
        "Output of a service that could not be kept, since the brain began.",
        [("_total", {"service": s.name}, s.dropped_bytes) for s in services],
    )


def _process_families(services: tuple[ServiceStatus, ...]) -> Iterator[_Family]:
    alive = [(s.name, p) for s in services for p in s.processes if p.pid]
    gauges = (
        ("cpu_ratio", "ratio", "CPU use of a process and its children, in cores.", _cores),
        ("resident_memory_bytes", "bytes", "Memory of it and its children.", _rss),
        ("threads", "", "Threads.", lambda p: p.threads),
        ("open_fds", "", "Open descriptors.", lambda p: p.fds),
        ("start_time_seconds", "seconds", "When it was started.", lambda p: p.started_at),
    )
    for key, unit, text, value in gauges:
        yield (
            f"chapiteau_process_{key}",
            "gauge",
            unit,
            text,
            [("", {"service": n, "process": str(p.number)}, value(p)) for n, p in alive],
        )


def _cores(process: ProcessStatus) -> float:
    return process.cpu_percent / 100


def _rss(process: ProcessStatus) -> float:
    return process.rss_bytes


def _socket_families(status: SupervisorStatus) -> Iterator[_Family]:
    for key, text in (
        ("queued", "Connections that wait to be accepted."),
        ("connections", "Connections that are open."),
        ("backlog", "How many may wait."),
    ):
        yield (
            f"chapiteau_socket_{key}",
            "gauge",
            "",
            text,
            [("", {"socket": s.name}, getattr(s, key)) for s in status.sockets],
        )


def _labels(labels: dict[str, str]) -> str:
    if not labels:
        return ""
    pairs = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())
    return f"{{{pairs}}}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
