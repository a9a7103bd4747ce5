"""The frames of all processes added up: totals for the report, seconds for the statistics.

`add` may get the frames of any number of workers in any order; nothing is averaged, histograms
are merged exactly.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from chapiteau.core.histogram import Histogram
from chapiteau.load.stats.endpoint_samples import (
    LatencyBatches,
    SlowRequest,
    add_slowest,
    keep_slowest,
)
from chapiteau.load.stats.recorder import Frame, decode_histogram

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
    count: int = 0  # requests that ended, well or not; from other machines before their times
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

    @property
    def answered(self) -> int:
        """Requests to which an answer came, good or bad."""
        return self.count - self.cut - sum(self.failures.values())


class Totals:
    """What a whole run, or one step of a search, has brought."""

    def __init__(self, watched: Iterable[str] = ()) -> None:
        self.rows: dict[str, EndpointTotals] = {}
        self.series: dict[str, dict[int, SecondStats]] = {"": {}, **{name: {} for name in watched}}
        self.every = (
            SecondStats()
        )  # all requests: rows from other machines may come later than these
        self.lag = Histogram()
        self.unread = Histogram()  # how long answers had come before they were read, a sample
        self.started = self.ended = self.dropped = self.retried = self.cut = 0
        self.iterations: dict[str, list[int]] = {}
        self.checks: dict[str, list[int]] = {}
        self.crashes: dict[str, int] = {}
        self.samples: dict[str, str] = {}
        self.metrics: dict[str, dict[str, Any]] = {}
        self.running: dict[int, int] = {}  # second → sessions on their way at its end
        self.cpu: dict[int, list[float]] = {}  # second → CPU seconds of each worker
        self.looks = 0  # how often the loops of load processes were looked at
        self.blocked: dict[str, int] = {}  # place in a scenario → looks that found it at work
        self.blocked_ms: dict[str, int] = {}  # place → how long a loop stood still there, at most
        self.users = 0
        self.workers = 0  # load processes that have ended their part
        self._packed = 0  # seconds before this one are
        self.lost: dict[str, str] = {}  # machine that put load on and is gone → why
        self.used_up = ""  # which data ended the load

    # ── counting ──────────────────────────────────────────────────────────────────────────────
    def add(self, frame: Frame) -> None:
        """One frame of one worker."""
        for name, row in frame["rows"].items():
            self._row(name, row)
        self.lag.merge(decode_histogram(frame["lag"]))
        self.unread.merge(decode_histogram(frame.get("unread", "")))
        for key in ("started", "ended", "dropped", "retried"):
            setattr(self, key, getattr(self, key) + frame[key])
        self.cut += frame.get("cut", 0)
        self.looks += frame.get("looks", 0)
        _add_counts(self.blocked, frame.get("blocked", {}))
        _keep_largest(self.blocked_ms, frame.get("blocked_ms", {}))
        self.used_up = self.used_up or frame.get("used_up", "")
        _add_pairs(self.iterations, frame["iterations"])
        _add_pairs(self.checks, frame["checks"])
        for what, count in frame["crashes"].items():
            self.crashes[what] = self.crashes.get(what, 0) + count
        for what, text in frame["samples"].items():
            self.samples.setdefault(what, text)
        for name, metric in frame["metrics"].items():
            trend = metric["kind"] == "trend"
            values = {"values": decode_histogram(metric["values"])} if trend else {}
            self.add_metric(name, {**metric, **values})
        if "second" in frame:
            second = frame["second"]
            self.running[second] = self.running.get(second, 0) + frame.get("running", 0)
            # A whole machine's frame has the CPU seconds of each of its processes.
            self.cpu.setdefault(second, []).extend(frame.get("cpus") or [frame["cpu"]])
        elif "cpu" in frame:
            self.workers += len(
                frame.get("cpus") or [frame["cpu"]]
            )  # each says once that it is over
        self.users = max(self.users, frame.get("users", 0))
        self._pack()

    def _pack(self) -> None:
        old = max(self.series[""], default=0) - _LATELY
        for second in range(self._packed, old):
            for seconds in self.series.values():
                if second in seconds:
                    seconds[second].pack()
        self._packed = max(self._packed, old)

    def _row(self, name: str, frame: Frame) -> None:
        row = self.rows.get(name)
        if row is None:
            row = self.rows[name] = EndpointTotals(name, tuple(frame.get("tags", ())))
        for text, (latency, bad) in frame["seconds"].items():
            second, found = int(text), SecondStats(decode_histogram(latency), bad)
            row.count += found.count
            row.latency.merge(found.latency)
            row.bad += bad
            row.pace[second] = row.pace.get(second, 0) + found.count
            row.batches.add(second, found.latency)
            row.slowest = add_slowest(row.slowest, second, found.latency)
            self.every.merge(found)
            for key in self.series:
                if key in {"", name} or key in row.tags:
                    self.series[key].setdefault(second, SecondStats()).merge(found)
        row.service.merge(decode_histogram(frame["service"]))
        _add_counts(row.statuses, frame["statuses"])
        _add_counts(row.failures, frame["failures"])
        row.received += frame["received"]
        row.cut += frame.get("cut", 0)

    def add_metric(self, name: str, metric: dict[str, Any]) -> None:
        """One that a scenario counts itself; `values` of a trend are a Histogram."""
        known = self.metrics.setdefault(name, {**metric, "values": Histogram(), "value": 0.0})
        if metric["kind"] == "trend":
            known["values"].merge(metric["values"])
        else:
            known["value"] = metric["value"] + (
                known["value"] if metric["kind"] == "counter" else 0.0
            )

    def join(self, later: "Totals", offset: int) -> None:
        """Add a later piece of load, whose second 0 is this one's second `offset`."""
        for name, row in later.rows.items():
            mine = self.rows.setdefault(name, EndpointTotals(name, row.tags))
            mine.count += row.count
            mine.latency.merge(row.latency)
            mine.service.merge(row.service)
            mine.batches.join(row.batches, offset)
            later_ones = [(micros, second + offset) for micros, second in row.slowest]
            mine.slowest = keep_slowest([*mine.slowest, *later_ones])
            _add_counts(mine.statuses, row.statuses)
            _add_counts(mine.failures, row.failures)
            mine.bad += row.bad
            mine.received += row.received
            mine.cut += row.cut
            for second, count in row.pace.items():
                mine.pace[second + offset] = mine.pace.get(second + offset, 0) + count
        self.every.merge(later.every)
        for key, seconds in later.series.items():
            for second, part in seconds.items():
                self.series[key].setdefault(second + offset, SecondStats()).merge(part)
        self.lag.merge(later.lag)
        self.unread.merge(later.unread)
        for name in ("started", "ended", "dropped", "retried", "cut"):
            setattr(self, name, getattr(self, name) + getattr(later, name))
        _add_pairs(self.iterations, later.iterations)
        _add_pairs(self.checks, later.checks)
        _add_counts(self.crashes, later.crashes)
        self.looks += later.looks
        _add_counts(self.blocked, later.blocked)
        _keep_largest(self.blocked_ms, later.blocked_ms)
        self.samples = {**later.samples, **self.samples}
        for name, metric in later.metrics.items():
            self.add_metric(name, metric)
        self.running |= {second + offset: count for second, count in later.running.items()}
        self.cpu |= {second + offset: parts for second, parts in later.cpu.items()}
        self.users = max(self.users, later.users)
        self.workers = max(self.workers, later.workers)
        self.used_up = self.used_up or later.used_up

    # ── reading ───────────────────────────────────────────────────────────────────────────────
    def whole(self, key: str = "", first: int = 0, last: int | None = None) -> SecondStats:
        """All requests of a name, tag or ("") everything, of the seconds first … last - 1."""
        made, series = SecondStats(), self.series[key]
        for second in series if last is None else range(first, last):
            if second >= first and (found := series.get(second)) is not None:
                made.merge(found)
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


def _add_counts(into: dict[str, int], counts: dict[str, int]) -> None:
    for key, count in counts.items():
        into[key] = into.get(key, 0) + count


def _keep_largest(into: dict[str, int], values: dict[str, int]) -> None:
    for key, value in values.items():
        into[key] = max(into.get(key, 0), value)


def _add_pairs(into: dict[str, list[int]], pairs: dict[str, list[int]]) -> None:
    for key, (good, bad) in pairs.items():
        have = into.setdefault(key, [0, 0])
        have[0] += good
        have[1] += bad
