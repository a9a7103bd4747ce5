"""The frames of all processes added up: totals for the report, seconds for the statistics.

`add` may get the frames of any number of workers in any order; nothing is averaged, histograms
are merged exactly.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from chapiteau.core.histogram import Histogram
from chapiteau.load.stats.endpoint_samples import (
    LatencyBatches,
    SlowRequest,
    add_slowest,
    keep_slowest,
)
from chapiteau.load.stats.frames import Counts, EndpointFrame, Frame, add_counts

__all__ = ["EndpointTotals", "SecondStats", "Totals"]

_BUSY: Final = 0.2  # share of looks that find a place at work from which it is in the way
_LATE: Final = 5_000  # microseconds of send lag (p99)
_HELD_UP: Final = 0.05  # share of the time from which a scenario's own code spoils the figures
_LATELY: Final = 310  # seconds that may still get answers, or be looked at while the test runs


class SecondStats:
    """Requests that were meant to go out within one second, or within a longer time.

    `pack` makes a twentieth of it: a long run has thousands, and looks at old ones at its end only.
    """

    __slots__ = ("_latency", "_packed", "bad")

    def __init__(self, latency: Histogram | None = None, bad: int = 0) -> None:
        self._latency = Histogram() if latency is None else latency
        self._packed = b""
        self.bad = bad

    @property
    def latency(self) -> Histogram:
        """All latencies; of a packed one a copy."""
        return Histogram.from_bytes(self._packed) if self._packed else self._latency

    @property
    def count(self) -> int:
        """How many there were."""
        return self.latency.count

    def merge(self, other: "SecondStats") -> None:
        """Add another one's."""
        self._latency, self._packed = self.latency, b""
        self._latency.merge(other.latency)
        self.bad += other.bad

    def pack(self) -> None:
        """Take as little memory as can be."""
        if not self._packed and self._latency.count:
            self._packed, self._latency = self._latency.to_bytes(), Histogram()


@dataclass(slots=True)
class EndpointTotals:
    """All requests of one name."""

    name: str
    tags: tuple[str, ...] = ()
    count: int = 0  # requests that ended, well or not
    latency: Histogram = field(default_factory=Histogram)
    service: Histogram = field(default_factory=Histogram)
    statuses: dict[str, int] = field(default_factory=dict)
    failures: dict[str, int] = field(default_factory=dict)
    bad: int = 0
    received: int = 0
    cut: int = 0  # ended by us before an answer came
    pace: dict[int, int] = field(default_factory=dict)  # second → requests
    batches: LatencyBatches = field(default_factory=LatencyBatches)
    slowest: list[SlowRequest] = field(default_factory=list)

    def add(self, frame: EndpointFrame) -> None:
        """What one worker, or one machine, has counted."""
        for second, (latency, bad) in frame.seconds.items():
            self.count += latency.count
            self.latency.merge(latency)
            self.bad += bad
            self.pace[second] = self.pace.get(second, 0) + latency.count
            self.batches.add(second, latency)
            self.slowest = add_slowest(self.slowest, second, latency)
        self.service.merge(frame.service)
        self._add_sums(frame)

    def join(self, later: "EndpointTotals", offset: int) -> None:
        """Add a later piece of load, whose second 0 is this one's second `offset`."""
        self.count += later.count
        self.latency.merge(later.latency)
        self.bad += later.bad
        add_counts(self.pace, {at + offset: count for at, count in later.pace.items()})
        self.batches.join(later.batches, offset)
        slowest = [(micros, second + offset) for micros, second in later.slowest]
        self.slowest = keep_slowest([*self.slowest, *slowest])
        self.service.merge(later.service)
        self._add_sums(later)

    def _add_sums(self, more: "EndpointFrame | EndpointTotals") -> None:
        add_counts(self.statuses, more.statuses)
        add_counts(self.failures, more.failures)
        self.received += more.received
        self.cut += more.cut

    @property
    def answered(self) -> int:
        """Requests to which an answer came, good or bad."""
        return self.count - self.cut - sum(self.failures.values())


class Totals(Counts):
    """What a whole run, or one step of a search, has brought."""

    def __init__(self, watched: Iterable[str] = ()) -> None:
        super().__init__()
        self.rows: dict[str, EndpointTotals] = {}
        self.series: dict[str, dict[int, SecondStats]] = {"": {}, **{name: {} for name in watched}}
        self.every = SecondStats()  # all requests
        self.lost: dict[str, str] = {}  # machine that put load on and is gone → why
        self._packed = 0  # seconds before this one are

    # ── counting ──────────────────────────────────────────────────────────────────────────────
    def add(self, frame: Frame) -> None:
        """One frame of one worker, or of one machine."""
        self.merge(frame)
        for name, row in frame.rows.items():
            self._add_row(name, row)
        self._pack()

    def _pack(self) -> None:
        old = max(self.series[""], default=0) - _LATELY
        for second in range(self._packed, old):
            for seconds in self.series.values():
                if second in seconds:
                    seconds[second].pack()
        self._packed = max(self._packed, old)

    def _add_row(self, name: str, frame: EndpointFrame) -> None:
        row = self.rows.setdefault(name, EndpointTotals(name, frame.tags))
        row.add(frame)
        for second, (latency, bad) in frame.seconds.items():
            found = SecondStats(latency, bad)
            self.every.merge(found)
            for key in self.series:
                if key in {"", name} or key in row.tags:
                    self.series[key].setdefault(second, SecondStats()).merge(found)

    def join(self, later: "Totals", offset: int) -> None:
        """Add a later piece of load, whose second 0 is this one's second `offset`."""
        for name, row in later.rows.items():
            self.rows.setdefault(name, EndpointTotals(name, row.tags)).join(row, offset)
        self.every.merge(later.every)
        for key, seconds in later.series.items():
            for second, part in seconds.items():
                self.series[key].setdefault(second + offset, SecondStats()).merge(part)
        running = self.running | {at + offset: count for at, count in later.running.items()}
        cpu = self.cpu | {at + offset: parts for at, parts in later.cpu.items()}
        workers = max(self.workers, later.workers)
        self.merge(later)
        self.running, self.cpu, self.workers = running, cpu, workers

    def note_lost(self, lost: Mapping[str, str]) -> None:
        """Machines that are gone, and why."""
        self.lost = dict(lost)

    # ── reading ───────────────────────────────────────────────────────────────────────────────
    def whole(self, key: str = "", first: int = 0, last: int | None = None) -> SecondStats:
        """All requests of a name, tag or ("") everything, of the seconds first … last - 1."""
        made, series = SecondStats(), self.series[key]
        for second in series if last is None else range(first, last):
            if second >= first and (found := series.get(second)) is not None:
                made.merge(found)
        return made

    def only_second(self, second: int, watched: Iterable[str]) -> "Totals | None":
        """The requests of one second, beside all else as it is; None when one name had none."""
        made = Totals(watched)
        for key, series in made.series.items():
            if second not in self.series[key]:
                return None
            series[second] = self.series[key][second]
        made.rows.update(self.rows)
        made.checks.update(self.checks)
        made.iterations.update(self.iterations)
        return made

    @property
    def latency(self) -> Histogram:
        """Of all requests: as quick in an hour as in a second."""
        return self.every.latency

    @property
    def requests(self) -> int:
        """Requests that ended, well or not."""
        return self.every.count

    @property
    def bad(self) -> int:
        """Requests without an answer, or with one that was not expected."""
        return self.every.bad

    def answered(self, key: str = "") -> int:
        """Requests of a name, tag or ("") all, to which an answer came."""
        rows = self.rows.values()
        return sum(row.answered for row in rows if key in {"", row.name} or key in row.tags)

    @property
    def blocking(self) -> str:
        """What in a scenario held a loop, and so all other sessions, up; "" when nothing did."""
        place = max(self.blocked_ms, key=lambda one: self.blocked_ms[one], default="")
        if place:
            return f"{place}, for {self.blocked_ms[place]} ms at a time"
        place = max(self.blocked, key=lambda one: self.blocked[one], default="")
        share = self.blocked.get(place, 0) / max(1, self.looks)
        late = self.lag.count and self.lag.quantile(0.99) > _LATE
        return f"{place}, for {share:.0%} of the time" if late and share > _BUSY else ""

    @property
    def held_up(self) -> str:
        """The same when it took so much of the time that the figures tell of the scenario."""
        share = sum(self.blocked.values()) / self.looks if self.looks else 0.0
        return self.blocking if share > _HELD_UP else ""

    @property
    def own_failures(self) -> int:
        """Requests that failed because the generator ran out of something."""
        return sum(
            count
            for row in self.rows.values()
            for kind, count in row.failures.items()
            if kind.startswith("generator")
        )
