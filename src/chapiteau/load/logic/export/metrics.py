"""What is told of a running test every second, in no particular system's form."""

from dataclasses import dataclass
from typing import Literal

from chapiteau.core.histogram import Histogram
from chapiteau.load.logic.totals import Totals

__all__ = ["Labels", "Metric", "metrics_of"]

Labels = tuple[tuple[str, str], ...]
_QUANTILES = ("0.5", "0.9", "0.95", "0.99")


@dataclass(frozen=True, slots=True)
class Metric:
    """One number. Names are words joined by `_`; a counter's value counts from the run's start."""

    name: str
    value: float
    kind: Literal["gauge", "counter"] = "gauge"
    labels: Labels = ()


def metrics_of(totals: Totals, second: int) -> list[Metric]:
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
