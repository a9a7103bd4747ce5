"""Where requests are counted."""

import os
import threading
from bisect import bisect_left
from typing import Any, Final, Protocol

from pyramid.httpexceptions import HTTPException
from pyramid.response import Response

from chapiteau.core.clock import Clock
from chapiteau.io.openmetrics import CONTENT_TYPE, format_labels
from chapiteau.service.declare.service import Service
from chapiteau.service.pipeline.dispatch import ServicePlan
from chapiteau.service.pipeline.event_streams import STREAMS_KEY, EventStreams
from chapiteau.service.protocol.headers import Environ
from chapiteau.service.protocol.problem import ProblemError

__all__ = [
    "BOUNDS",
    "CELLS",
    "MemoryMetrics",
    "MeteredPlan",
    "MetricKey",
    "MetricSums",
    "Metrics",
    "MetricsStore",
    "metrics_service",
]

# Upper bounds in seconds; fixed, so that every process and every version counts the same way.
BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
CELLS: Final = len(BOUNDS) + 2  # one bucket more than bounds, then the seconds

MetricKey = tuple[str, str, int]  # service, method, status
MetricSums = dict[MetricKey, list[float]]  # CELLS numbers for each


class MetricsStore(Protocol):
    """Counts requests, for one process or for several."""

    def add(self, key: MetricKey, seconds: float) -> None:
        """Count one request."""
        ...

    def sums(self) -> MetricSums:
        """Everything that was counted."""
        ...


class MemoryMetrics:
    """For one process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._cells: MetricSums = {}

    def add(self, key: MetricKey, seconds: float) -> None:
        """See Tally."""
        with self._lock:
            cells = self._cells.get(key)
            if cells is None:
                cells = self._cells[key] = [0.0] * CELLS
            cells[bisect_left(BOUNDS, seconds)] += 1
            cells[-1] += seconds

    def sums(self) -> MetricSums:
        """See Tally."""
        with self._lock:
            return {key: list(cells) for key, cells in self._cells.items()}


# Counts and times of requests per operation, as OpenMetrics 1.0 text.


class Metrics:
    """What one process has counted, or all that share a tally.

    The label sets are bounded by what is declared: names of services, their methods, and a
    status from 100 to 599. Nothing that a client sends becomes a label.
    """

    def __init__(self, clock: Clock, tally: MetricsStore | None = None) -> None:
        self._tally: MetricsStore = MemoryMetrics() if tally is None else tally
        self._alone = tally is None
        self._paths: dict[str, str] = {}
        self.now = clock.now

    def know(self, service: str, path: str) -> None:
        """Where it is found, as its document says; "" for a name with several paths."""
        self._paths[service] = path if self._paths.get(service, path) == path else ""

    def observe(self, service: str, method: str, status: int, seconds: float) -> None:
        """Count one request."""
        self._tally.add((service, method, status if 100 <= status <= 599 else 500), seconds)

    def text(self, streams: EventStreams | None = None) -> str:
        """The exposition, in an order that doesn't depend on chance; `streams` of this process."""
        name = "chapiteau_request_duration_seconds"
        lines = [
            f"# TYPE {name} histogram",
            f"# UNIT {name} seconds",
            f"# HELP {name} Time until the answer began, per operation and status.",
        ]
        # Alone, a process says who it is: a scraper that meets another one must not mix them up.
        process = {"process": str(os.getpid())} if self._alone else {}
        for (service, method, status), (*buckets, seconds) in sorted(self._tally.sums().items()):
            path = self._paths.get(service, "")
            where = {"path": path} if path else {}
            labels = {"service": service, **where, "method": method, "status": str(status)}
            labels |= process
            total = 0
            for bound, count in zip((*map(str, BOUNDS), "+Inf"), buckets, strict=True):
                total += int(count)
                lines.append(f"{name}_bucket{format_labels({**labels, 'le': bound})} {total}")
            lines.append(f"{name}_count{format_labels(labels)} {total}")
            lines.append(f"{name}_sum{format_labels(labels)} {seconds:.9f}")
        if streams is not None:
            lines += streams.lines(str(os.getpid()))
        return "\n".join([*lines, "# EOF", ""])


class MeteredPlan(ServicePlan):
    """A service's plan that counts what it answers."""

    metrics: Metrics

    def run(self, environ: Environ, request: Any, captures: list[str]) -> Any:
        """As ServicePlan."""
        metrics = self.metrics
        status, started = 500, metrics.now()
        try:
            made = super().run(environ, request, captures)
            status = int(str(made.status)[:3])
        except (ProblemError, HTTPException) as exc:
            status = exc.status if isinstance(exc, ProblemError) else exc.code
            raise
        finally:
            # A method that is not declared is the client's word: it must not become a label.
            method = environ["REQUEST_METHOD"]
            known = method if method in self.methods else "other"
            metrics.observe(self.service.name, known, status, metrics.now() - started)
        return made


def metrics_service(path: str, metrics: Metrics) -> Service:
    """The service that a scraper asks."""
    service = Service("metrics", path, description="Figures for a scraper.")

    def scrape(request: Any) -> Response:
        """Counts and times of requests as OpenMetrics text."""
        text = metrics.text(request.environ.get(STREAMS_KEY))
        return Response(body=text.encode(), headerlist=[("Content-Type", CONTENT_TYPE)])

    service.add("GET", scrape, hidden=True, unknown_query="ignore")
    return service
