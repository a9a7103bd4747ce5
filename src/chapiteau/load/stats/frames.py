"""What a load process, or a whole machine, has counted in a second: one typed frame.

Frames travel as bytes and merge exactly, in any order: those of a machine's processes become one,
and the coordinator adds up one from each machine.
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeVar

import msgspec

from chapiteau.core.histogram import Histogram

__all__ = [
    "Counts",
    "EndpointFrame",
    "Frame",
    "MetricKind",
    "MetricValue",
    "add_counts",
    "decode_frame",
    "encode_frame",
]

Key = TypeVar("Key", int, str)
MetricKind = Literal["counter", "gauge", "trend"]


@dataclass(slots=True)
class MetricValue:
    """A metric of the scenario's own: a counter adds up, a gauge keeps the latest value, a trend
    keeps the distribution in `values` (thousandths)."""

    kind: MetricKind
    value: float = 0.0
    values: Histogram = field(default_factory=Histogram)

    def record(self, value: float) -> None:
        """A counter adds up, a gauge keeps the latest."""
        self.value = value + (self.value if self.kind == "counter" else 0.0)

    def restart(self) -> None:
        """Counters begin anew; gauges stay."""
        if self.kind == "counter":
            self.value = 0.0

    def merge(self, other: "MetricValue") -> None:
        """Add what another process has counted."""
        if self.kind == "trend":
            self.values.merge(other.values)
        else:
            self.record(other.value)


@dataclass(kw_only=True)
class Counts:
    """All that is counted of the load itself. Pairs are [passed, failed]."""

    lag: Histogram = field(default_factory=Histogram)  # how late sessions went out
    unread: Histogram = field(default_factory=Histogram)  # how long answers lay unread, a sample
    started: int = 0
    ended: int = 0
    dropped: int = 0
    retried: int = 0
    cut: int = 0
    users: int = 0
    workers: int = 0  # load processes that have ended their part
    iterations: dict[str, list[int]] = field(default_factory=dict)
    checks: dict[str, list[int]] = field(default_factory=dict)
    crashes: dict[str, int] = field(default_factory=dict)
    samples: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, MetricValue] = field(default_factory=dict)
    running: dict[int, int] = field(default_factory=dict)  # second → sessions under way at its end
    cpu: dict[int, list[float]] = field(default_factory=dict)  # second → CPU seconds by process
    looks: int = 0  # how often the loops of load processes were looked at
    blocked: dict[str, int] = field(default_factory=dict)  # place → looks that found it at work
    blocked_ms: dict[str, int] = field(default_factory=dict)  # place → longest stall there
    used_up: str = ""  # which data ended the load

    def merge(self, other: "Counts") -> None:
        """Add what another process has counted."""
        self.lag.merge(other.lag)
        self.unread.merge(other.unread)
        for name in ("started", "ended", "dropped", "retried", "cut", "workers", "looks"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.users = max(self.users, other.users)
        self.used_up = self.used_up or other.used_up
        for mine, theirs in ((self.iterations, other.iterations), (self.checks, other.checks)):
            for label, (passed, failed) in theirs.items():
                known = mine.get(label, (0, 0))
                mine[label] = [known[0] + passed, known[1] + failed]
        add_counts(self.crashes, other.crashes)
        add_counts(self.blocked, other.blocked)
        add_counts(self.running, other.running)
        for place, millis in other.blocked_ms.items():
            self.blocked_ms[place] = max(self.blocked_ms.get(place, 0), millis)
        for what, text in other.samples.items():
            self.samples.setdefault(what, text)
        for name, metric in other.metrics.items():
            self.metrics.setdefault(name, MetricValue(metric.kind)).merge(metric)
        for second, seconds in other.cpu.items():
            self.cpu[second] = [*self.cpu.get(second, ()), *seconds]


@dataclass(slots=True, kw_only=True)
class EndpointFrame:
    """Requests of one name. `seconds`: when due → latencies, and how many failed."""

    tags: tuple[str, ...] = ()
    seconds: dict[int, tuple[Histogram, int]] = field(default_factory=dict)
    service: Histogram = field(default_factory=Histogram)
    statuses: dict[str, int] = field(default_factory=dict)
    failures: dict[str, int] = field(default_factory=dict)
    received: int = 0
    cut: int = 0  # ended by us before an answer came

    def merge(self, other: "EndpointFrame") -> None:
        """Add what another process has counted."""
        self.tags = self.tags or other.tags
        for second, (latency, failed) in other.seconds.items():
            mine, known = self.seconds.get(second, (Histogram(), 0))
            mine.merge(latency)
            self.seconds[second] = mine, known + failed
        self.service.merge(other.service)
        add_counts(self.statuses, other.statuses)
        add_counts(self.failures, other.failures)
        self.received += other.received
        self.cut += other.cut


@dataclass(kw_only=True)
class Frame(Counts):
    """What came since the last frame, with the requests by name."""

    rows: dict[str, EndpointFrame] = field(default_factory=dict)

    def add(self, frame: "Frame") -> None:
        """Add another process's frame."""
        self.merge(frame)
        for name, row in frame.rows.items():
            self.rows.setdefault(name, EndpointFrame()).merge(row)


def add_counts(into: dict[Key, int], more: Mapping[Key, int]) -> None:
    """Add numbers up by their keys."""
    for key, count in more.items():
        into[key] = into.get(key, 0) + count


def encode_frame(frame: Frame) -> bytes:
    """A frame for a pipe."""
    try:
        data = _encoder.encode(frame)
    except UnicodeEncodeError:  # text of a scenario's own may have lone surrogates
        plain = msgspec.to_builtins(frame, enc_hook=_packed, builtin_types=(bytes,))
        data = _encoder.encode(_replaced(plain))
    return zlib.compress(data, 1)


def decode_frame(data: bytes) -> Frame:
    """The frame that `encode_frame` wrote. Raises ValueError when it is none."""
    try:
        return _decoder.decode(zlib.decompress(data))
    except (zlib.error, ValueError) as exc:
        raise ValueError(str(exc)) from None


def _replaced(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_replaced(key): _replaced(item) for key, item in value.items()}
    return [_replaced(item) for item in value] if isinstance(value, list | tuple) else value


def _packed(value: Any) -> bytes:
    return value.to_bytes() if value.count else b""


def _unpacked(_kind: type[Any], data: Any) -> Histogram:
    return Histogram.from_bytes(data) if data else Histogram()


_encoder: Final = msgspec.msgpack.Encoder(enc_hook=_packed)
_decoder: Final = msgspec.msgpack.Decoder(Frame, dec_hook=_unpacked)
