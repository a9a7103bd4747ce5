"""Counts and times of requests per operation, as OpenMetrics 1.0 text."""

import os
import threading
from bisect import bisect_left
from typing import Any, Final

from pyramid.httpexceptions import HTTPException
from pyramid.response import Response

from chapiteau.core.clock import Clock
from chapiteau.service.engine.answering.plan import ServicePlan
from chapiteau.service.engine.service import Service
from chapiteau.service.logic.problem import ProblemError

__all__ = ["MeteredPlan", "Metrics", "metrics_service"]

# Upper bounds in seconds; fixed, so that every process and every version counts the same way.
BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_MEDIA: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"


class _Series:
    """One method of one service with one status."""

    __slots__ = ("buckets", "seconds")

    def __init__(self) -> None:
        self.buckets = [0] * (len(BOUNDS) + 1)
        self.seconds = 0.0


class Metrics:
    """What one process has counted.

    The label sets are bounded by what is declared: names of services, their methods, and a
    status from 100 to 599. Nothing that a client sends becomes a label.
    """

    def __init__(self, clock: Clock) -> None:
        self._lock = threading.Lock()
        self._series: dict[tuple[str, str, int], _Series] = {}
        self.now = clock.now

    def observe(self, service: str, method: str, status: int, seconds: float) -> None:
        """Count one request."""
        key = (service, method, status if 100 <= status <= 599 else 500)
        with self._lock:
            series = self._series.get(key)
            if series is None:
                series = self._series[key] = _Series()
            series.buckets[bisect_left(BOUNDS, seconds)] += 1
            series.seconds += seconds

    def text(self) -> str:
        """The exposition, in an order that doesn't depend on chance."""
        name = "chapiteau_request_duration_seconds"
        lines = [
            f"# TYPE {name} histogram",
            f"# UNIT {name} seconds",
            f"# HELP {name} Time until the answer began, per operation and status.",
        ]
        with self._lock:
            found = sorted((k, list(s.buckets), s.seconds) for k, s in self._series.items())
        for (service, method, status), buckets, seconds in found:
            labels = (
                f'service="{_escaped(service)}",method="{method}",status="{status}"'
                f',process="{os.getpid()}"'
            )
            total = 0
            for bound, count in zip((*map(str, BOUNDS), "+Inf"), buckets, strict=True):
                total += count
                lines.append(f'{name}_bucket{{{labels},le="{bound}"}} {total}')
            lines.append(f"{name}_count{{{labels}}} {total}")
            lines.append(f"{name}_sum{{{labels}}} {seconds:.9f}")
        return "\n".join([*lines, "# EOF", ""])


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


class MeteredPlan(ServicePlan):
    """A service's plan that counts what it answers."""

    metrics: Metrics

    def run(self, environ: dict[str, Any], request: Any, captures: list[str]) -> Any:
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

    def scrape() -> Response:
        """Counts and times of requests as OpenMetrics text."""
        return Response(body=metrics.text().encode(), headerlist=[("Content-Type", _MEDIA)])

    service.add("GET", scrape, hidden=True, unknown_query="ignore")
    return service
