"""The state of a supervisor as OpenMetrics text, for Prometheus and its kin."""

from collections.abc import Iterator
from typing import Final

from chapiteau.io.openmetrics import CONTENT_TYPE, Family, Sample, format_openmetrics
from chapiteau.run.api.status import ProcessStatus, ServiceStatus, SupervisorStatus

__all__ = ["CONTENT_TYPE", "metrics_text"]

_STATES: Final = (
    "stopped waiting starting running reloading stopping backoff failed completed".split()
)


def metrics_text(status: SupervisorStatus) -> str:
    """All families; ends with # EOF."""
    return format_openmetrics(_families(status))


def _families(status: SupervisorStatus) -> Iterator[Family]:
    yield Family(
        "chapiteau_supervisor",
        "info",
        "",
        "The running supervisor.",
        [Sample({"version": status.version, "project": status.project, "node": status.node}, 1)],
    )
    yield Family(
        "chapiteau_supervisor_brain_restarts",
        "counter",
        "",
        "How often the brain was started again.",
        [Sample({}, status.brain_restarts)],
    )
    yield from _service_families(status.services)
    yield from _process_families(status.services)
    yield from _socket_families(status)


def _service_families(services: tuple[ServiceStatus, ...]) -> Iterator[Family]:
    yield Family(
        "chapiteau_service_state",
        "stateset",
        "",
        "The state of a service.",
        [
            Sample({"service": s.name, "chapiteau_service_state": state}, float(s.state == state))
            for s in services
            for state in _STATES
        ],
    )
    for key, text in (("wanted", "that should run"), ("ready", "that are ready")):
        yield Family(
            f"chapiteau_service_processes_{key}",
            "gauge",
            "",
            f"Processes of a service {text}.",
            [Sample({"service": s.name}, getattr(s, key)) for s in services],
        )
    yield Family(
        "chapiteau_service_restarts",
        "counter",
        "",
        "Processes of a service that were started again.",
        [Sample({"service": s.name}, s.restarts) for s in services],
    )
    yield Family(
        "chapiteau_service_log_dropped_bytes",
        "counter",
        "bytes",
        "Output of a service that could not be kept, since the brain began.",
        [Sample({"service": s.name}, s.dropped_bytes) for s in services],
    )


def _process_families(services: tuple[ServiceStatus, ...]) -> Iterator[Family]:
    alive = [(s.name, p) for s in services for p in s.processes if p.pid]
    gauges = (
        ("cpu_ratio", "ratio", "CPU use of a process and its children, in cores.", _cores),
        ("resident_memory_bytes", "bytes", "Memory of it and its children.", _rss),
        ("threads", "", "Threads.", lambda p: p.threads),
        ("open_fds", "", "Open descriptors.", lambda p: p.fds),
        ("start_time_seconds", "seconds", "When it was started.", lambda p: p.started_at),
    )
    for key, unit, text, value in gauges:
        yield Family(
            f"chapiteau_process_{key}",
            "gauge",
            unit,
            text,
            [Sample({"service": n, "process": str(p.number)}, value(p)) for n, p in alive],
        )


def _cores(process: ProcessStatus) -> float:
    return process.cpu_percent / 100


def _rss(process: ProcessStatus) -> float:
    return process.rss_bytes


def _socket_families(status: SupervisorStatus) -> Iterator[Family]:
    for key, text in (
        ("queued", "Connections that wait to be accepted."),
        ("connections", "Connections that are open."),
        ("backlog", "How many may wait."),
    ):
        yield Family(
            f"chapiteau_socket_{key}",
            "gauge",
            "",
            text,
            [Sample({"socket": s.name}, getattr(s, key)) for s in status.sockets],
        )
