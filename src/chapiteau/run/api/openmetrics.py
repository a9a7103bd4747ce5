"""The state of a supervisor as OpenMetrics text, for Prometheus and its kin."""

from collections.abc import Callable, Iterator
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
    about = {"version": status.version, "project": status.project, "node": status.node}
    yield _family("supervisor", "info", "The running supervisor.", [Sample(about, 1)])
    yield _family(
        "supervisor_brain_restarts",
        "counter",
        "How often the brain was restarted.",
        [Sample({}, status.brain_restarts)],
    )
    yield from _service_families(status.services)
    yield from _process_families(status.services)
    for key, text in (
        ("queued", "Connections waiting to be accepted."),
        ("connections", "Open connections."),
        ("backlog", "How many connections may wait."),
    ):
        samples = [Sample({"socket": s.name}, getattr(s, key)) for s in status.sockets]
        yield _family(f"socket_{key}", "gauge", text, samples)


def _family(name: str, kind: str, text: str, samples: list[Sample], unit: str = "") -> Family:
    return Family(f"chapiteau_{name}", kind, unit, text, samples)


def _service_families(services: tuple[ServiceStatus, ...]) -> Iterator[Family]:
    states = [
        Sample({"service": s.name, "chapiteau_service_state": state}, float(s.state == state))
        for s in services
        for state in _STATES
    ]
    yield _family("service_state", "stateset", "The state of a service.", states)
    for name, kind, unit, text, field in (
        ("processes_wanted", "gauge", "", "Processes of a service that should run.", "wanted"),
        ("processes_ready", "gauge", "", "Processes of a service that are ready.", "ready"),
        ("restarts", "counter", "", "Restarts of a service's processes.", "restarts"),
        (
            "log_dropped_bytes",
            "counter",
            "bytes",
            "Output of a service that could not be kept, since the brain started.",
            "dropped_bytes",
        ),
    ):
        samples = [Sample({"service": s.name}, getattr(s, field)) for s in services]
        yield _family(f"service_{name}", kind, text, samples, unit)


def _process_families(services: tuple[ServiceStatus, ...]) -> Iterator[Family]:
    alive = [(s.name, p) for s in services for p in s.processes if p.pid]
    for key, unit, text, value in _PROCESS_GAUGES:
        samples = [Sample({"service": n, "process": str(p.number)}, value(p)) for n, p in alive]
        yield _family(f"process_{key}", "gauge", text, samples, unit)


_PROCESS_GAUGES: Final[tuple[tuple[str, str, str, Callable[[ProcessStatus], float]], ...]] = (
    (
        "cpu_ratio",
        "ratio",
        "CPU use of a process and its children, in cores.",
        lambda p: p.cpu_percent / 100,
    ),
    (
        "resident_memory_bytes",
        "bytes",
        "Memory of a process and its children.",
        lambda p: p.rss_bytes,
    ),
    ("threads", "", "Threads.", lambda p: p.threads),
    ("open_fds", "", "Open descriptors.", lambda p: p.fds),
    ("start_time_seconds", "seconds", "Start time.", lambda p: p.started_at),
)
