"""The newest points of a run that goes on, for whoever looks at it each second."""

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import asdict, replace

from chapiteau.core.histogram import Histogram
from chapiteau.load.report.document import point_at
from chapiteau.load.report.result import EndpointRow, Failure, LoadResult, TimelinePoint
from chapiteau.load.stats.endpoint_samples import latency_bins
from chapiteau.load.stats.recorder import decode_histogram
from chapiteau.load.stats.totals import Totals

__all__ = [
    "EndpointSnapshot",
    "LivePoints",
    "busiest_endpoints",
    "live_samples",
    "stored_endpoints",
]

_MOST_ROWS: Final = 30  # what a page shows each second
_MOST_FAILURES: Final = 20
_MOST_SAMPLE: Final = 600  # letters of one


class EndpointSnapshot(Struct, kw_only=True):
    """The requests of one name so far. `bins`: the latencies' histogram, coarse enough to draw."""

    name: str
    requests: int
    bad: int
    p50: float | None
    p95: float | None
    p99: float | None
    max: float | None
    pace: list[float]
    statuses: dict[str, int]
    failures: dict[str, int]
    slowest: list[tuple[int, float]]
    bins: list[tuple[float, int]]


def busiest_endpoints(totals: Totals) -> list[EndpointSnapshot]:
    """The requests so far by name, the most frequent first."""
    busiest = sorted(totals.rows.values(), key=lambda row: (-row.count, row.name))[:_MOST_ROWS]
    return [
        EndpointSnapshot(
            name=row.name,
            requests=row.count,
            bad=row.bad,
            p50=_at(row.latency, 0.5),
            p95=_at(row.latency, 0.95),
            p99=_at(row.latency, 0.99),
            max=row.latency.high / 1e6 if row.latency.count else None,
            pace=[row.pace.get(second, 0) for second in _newest(row.pace)],
            statuses=row.statuses,
            failures=row.failures,
            slowest=[(second, micros / 1e6) for micros, second in row.slowest],
            bins=latency_bins(row.latency),
        )
        for row in busiest
    ]


def stored_endpoints(result: LoadResult) -> list[EndpointSnapshot]:
    """The same of a stored result; `bins` are empty where it has kept none."""
    return [_stored(row) for row in result.rows]


def _stored(row: EndpointRow) -> EndpointSnapshot:
    latency = Histogram()
    for text in row.batches.parts if row.batches else ():
        latency.merge(decode_histogram(text))
    kept = {name: value for name, value in asdict(row).items() if name in _SHOWN}
    return EndpointSnapshot(**kept, bins=latency_bins(latency))


_SHOWN: Final = frozenset(EndpointSnapshot.__struct_fields__)


def live_samples(failures: Sequence[Failure]) -> list[Failure]:
    """The most frequent failures, each with the beginning of its sample."""
    return [replace(one, sample=one.sample[:_MOST_SAMPLE]) for one in failures[:_MOST_FAILURES]]


def _at(latency: Histogram, share: float) -> float | None:
    return round(latency.quantile(share) / 1e6, 7) if latency.count else None


def _newest(pace: Mapping[int, int], most: int = 60) -> range:
    last = max(pace, default=-1)
    return range(max(0, last - most), last)  # the newest second is not whole yet


class LivePoints:
    """Points of the last seconds; only what has changed since the last look is made anew.

    A second's look must cost the same at a run's end as at its start: percentiles of all seconds
    each second took half of a core after half an hour.
    """

    def __init__(self, newest: int = 300) -> None:
        self._newest = newest
        self._made: dict[int, tuple[tuple[int, int, int | None], TimelinePoint]] = {}

    def points(self, totals: Totals) -> list[TimelinePoint]:
        """One for each of the newest seconds, in order; all from the same Totals."""
        series = totals.series[""]
        if not series:
            return []
        last = max(series) + 1
        first = max(0, last - self._newest)
        self._made = {s: made for s, made in self._made.items() if s >= first}
        return [self._point(totals, second) for second in range(first, last)]

    def current(self, totals: Totals, second: int) -> TimelinePoint | None:
        """The point to show when a second has passed; None before the first answer."""
        points = self.points(totals)
        if not points:
            return None
        # The newest second may still get answers; the one before it is nearly whole.
        point = next((p for p in points if p.t == second), points[-1])
        return replace(point, running=totals.running.get(second, 0))

    def _point(self, totals: Totals, second: int) -> TimelinePoint:
        part = totals.series[""].get(second)
        running = totals.running.get(second)
        state = (part.count, part.bad, running) if part is not None else (0, 0, running)
        known = self._made.get(second)
        if known is None or known[0] != state:
            known = self._made[second] = (state, point_at(totals, second))
        return known[1]
