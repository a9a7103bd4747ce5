"""Counting in one process: cheap while requests fly, put in order once a second.

A request costs two appends to lists of whole microseconds; the lists become histograms in
`flush`, which returns a frame for the parent. Seconds are counted from the run's start and mean
the *intended* moment of a request, not the moment it ended.
"""

import base64
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Final, Protocol

from chapiteau.core.histogram import Histogram
from chapiteau.load.stats.frames import EndpointFrame, Frame, MetricKind, MetricValue

__all__ = [
    "OTHER_ENDPOINTS",
    "EndpointCounter",
    "EndpointStats",
    "Recorder",
    "decode_histogram",
    "encode_histogram",
]

OTHER_ENDPOINTS: Final = "(other)"  # where requests are counted once there are too many names
_SAMPLE: Final = 4_000  # characters of a traceback or a body kept as a sample


# Of one row: latencies by second, service times (both as Histogram.to_bytes), statuses, bytes.
CounterValues = tuple[dict[int, bytes], bytes, dict[int, int], int]


class EndpointCounter(Protocol):
    """Counts answers in machine words, for an engine that can."""

    def flush(self) -> CounterValues | None:
        """What came since the last time; None when nothing did."""
        ...


class EndpointStats:
    """Requests of one name."""

    __slots__ = (
        "bad", "codes", "cut", "failures", "latency", "meter", "name", "received", "service",
        "statuses", "tags",
    )  # fmt: skip

    def __init__(self, name: str, tags: tuple[str, ...] = ()) -> None:
        self.name = name
        self.tags = tags
        self.meter: EndpointCounter | None = None  # counts of the compiled engine
        self.latency: defaultdict[int, list[int]] = defaultdict(list)
        self.service: list[int] = []
        self.statuses: defaultdict[int, int] = defaultdict(int)
        self.codes: list[int] = []  # a status of each answer, where they are not counted at once
        self.bad: defaultdict[int, int] = defaultdict(int)
        self.failures: defaultdict[str, int] = defaultdict(int)
        self.received = 0
        self.cut = 0  # ended by us before an answer came

    def add_received(self, size: int) -> None:
        """Bytes of an answer came that is not counted as a whole."""
        self.received += size

    def count_answer(self, second: int, latency: int, service: int, status: int, size: int) -> None:
        """An answer to a request that was meant to go out in this second; times in microseconds."""
        self.latency[second].append(latency)
        self.service.append(service)
        self.codes.append(status)
        self.received += size

    def count_cut(self) -> None:
        """A request was ended by us before its answer came."""
        self.cut += 1

    def flush(self) -> EndpointFrame | None:
        """What came since the last time; None when nothing did."""
        metered = None if self.meter is None else self.meter.flush()
        if not self.latency and not self.failures and not self.bad and metered is None:
            return None
        listed, self.latency = self.latency, defaultdict(list)
        bad, self.bad = self.bad, defaultdict(int)
        values, self.service = self.service, []
        seconds = {second: _histogram(values) for second, values in listed.items()}
        service = _histogram(values)
        for status, count in Counter(self.codes).items():
            self.statuses[status] += count
        self.codes.clear()
        if metered is not None:
            self._add(metered, seconds, service)
        counted = {second: (found, bad.pop(second, 0)) for second, found in seconds.items()}
        # Refused after its second was reported: a scenario that looked long at the answer.
        counted |= {second: (Histogram(), count) for second, count in bad.items() if count}
        frame = EndpointFrame(
            tags=self.tags,
            seconds=counted,
            service=service,
            statuses={str(status): count for status, count in self.statuses.items()},
            failures=dict(self.failures),
            received=self.received,
            cut=self.cut,
        )
        self.statuses.clear()
        self.failures.clear()
        self.received = self.cut = 0
        return frame

    def _add(
        self, metered: CounterValues, seconds: dict[int, Histogram], service: Histogram
    ) -> None:
        latencies, served, statuses, received = metered
        for second, data in latencies.items():
            found = Histogram.from_bytes(data)
            if second in seconds:
                found.merge(seconds[second])
            seconds[second] = found
        service.merge(Histogram.from_bytes(served))
        for status, count in statuses.items():
            self.statuses[status] += count
        self.received += received


class Recorder:
    """All that one process counts."""

    def __init__(self, most_names: int = 200) -> None:
        self.zero = 0.0  # the clock's reading at second 0
        self.lag: list[int] = []  # how late sessions or requests went out, in microseconds
        self.started = 0
        self.ended = 0
        self.dropped = 0
        self.retried = 0
        self.stopping = False  # the test is being ended early: what is cut off is no error
        self._most = most_names
        self._rows: dict[str, EndpointStats] = {}
        # By scenario: went well, did not.
        self.iterations: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
        self.checks: dict[str, list[int]] = {}
        self._crashes: Counter[str] = Counter()
        self._samples: dict[str, str] = {}
        self._sampled: set[str] = set()  # one sample of each is enough
        self._metrics: dict[str, MetricValue] = {}
        self._trends: defaultdict[str, list[int]] = defaultdict(list)

    def row(self, name: str, tags: tuple[str, ...] = ()) -> EndpointStats:
        """The row of a name; the one for all others once there are too many."""
        row = self._rows.get(name)
        if row is None:
            if len(self._rows) >= self._most and name != OTHER_ENDPOINTS:
                return self.row(OTHER_ENDPOINTS)
            row = self._rows[name] = EndpointStats(name, tags)
        return row

    def check(self, label: str, *, good: bool) -> None:
        """A check passed or not."""
        pair = self.checks.get(label)
        if pair is None:
            pair = self.checks[label] = [0, 0]
        pair[not good] += 1

    def crash(self, what: str, sample: str) -> None:
        """A scenario raised; `what` groups, one `sample` of each group is kept."""
        if len(self._crashes) >= self._most and what not in self._crashes:
            what = OTHER_ENDPOINTS
        self._crashes[what] += 1
        self.sample(what, sample[-_SAMPLE:])

    def sample(self, what: str, text: str) -> None:
        """Keep one example of a failure."""
        if what not in self._sampled and len(self._sampled) < 2 * self._most:
            self._sampled.add(what)
            self._samples[what] = text[:_SAMPLE]

    def metric(self, kind: MetricKind, name: str, value: float) -> None:
        """A counter adds up, a gauge keeps the latest, a trend keeps the distribution."""
        known = self._metrics.get(name)
        if known is None:
            if len(self._metrics) >= self._most:
                return
            known = self._metrics[name] = MetricValue(kind)
        if kind == "trend":
            self._trends[name].append(round(value * 1000))
        else:
            known.record(value)

    def drop(self) -> None:
        """A session was due, and nobody could take it."""
        self.dropped += 1

    def unbegin(self) -> None:
        """The session that has begun last counts as never begun."""
        self.started -= 1

    def end_early(self) -> None:
        """The test is being ended: what is cut off from now on is no error."""
        self.stopping = True

    def fixture_failed(self, when: str) -> None:
        """A user's set-up or tear-down failed; no session did."""
        self.iterations[f"{when} of a user"][1] += 1
        self.ended -= 1

    def restart(self, zero: float) -> None:
        """Begin another run: forget all, count seconds from `zero`."""
        # Rows stay the same objects, since prepared requests hold them.
        for row in self._rows.values():
            row.flush()
        self.iterations.clear()
        self.checks.clear()
        self._crashes.clear()
        self._samples.clear()
        self._sampled.clear()
        self._metrics.clear()
        self._trends.clear()
        self.lag.clear()
        self.started = self.ended = self.dropped = self.retried = 0
        self.stopping = False
        self.zero = zero

    def flush(self) -> Frame:
        """What came since the last flush; the counts begin anew."""
        rows = {name: part for name, row in self._rows.items() if (part := row.flush())}
        lag = self.lag[:]
        self.lag.clear()  # the same list for ever: every request path holds it
        frame = Frame(
            rows=rows,
            lag=_histogram(lag),
            # One lag for each session that has begun, one of a pair for each that has ended.
            started=self.started + len(lag),
            ended=self.ended + sum(map(sum, self.iterations.values())),
            dropped=self.dropped,
            retried=self.retried,
            iterations=dict(self.iterations),
            checks=dict(self.checks),
            crashes=dict(self._crashes),
            samples=self._samples,
            metrics={
                name: MetricValue(metric.kind, metric.value, _histogram(self._trends[name]))
                for name, metric in self._metrics.items()
            },
        )
        self.iterations.clear()
        self.checks.clear()
        self._crashes.clear()
        self._samples = {}
        self._trends.clear()
        for metric in self._metrics.values():
            metric.restart()
        self.started = self.ended = self.dropped = self.retried = 0
        return frame


def _histogram(values: Iterable[int]) -> Histogram:
    """Counted by value first: at a high rate most of them come many times."""
    made = Histogram()
    made.record_counts(Counter(values))
    return made


def encode_histogram(histogram: Histogram) -> str:
    """A histogram for JSON; "" when it is empty."""
    return base64.b64encode(histogram.to_bytes()).decode() if histogram.count else ""


def decode_histogram(text: str) -> Histogram:
    """The histogram that `encode_histogram` wrote."""
    return Histogram.from_bytes(base64.b64decode(text)) if text else Histogram()
