"""Latency histogram: bounded memory, three significant digits, exact merge.

Log-linear buckets as in HdrHistogram (G. Tene, http://hdrhistogram.org): values below `SUB` are
exact, and above it each power of two has `SUB / 2` equal buckets, so that the middle of a bucket
is nearer than 0.1 % to every value in it.
Values are integer microseconds.
"""

import itertools
import math
import struct
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

__all__ = ["Histogram"]

_BITS: Final = 10
SUB: Final = 1 << _BITS  # error of a bucket's middle: below 1/SUB
_TOP: Final = 1 << 42  # about 50 days in microseconds; longer values are counted as this
_PAIR: Final = struct.Struct("<IQ")


class Histogram:
    """Counts of values in microseconds; `merge` is exact, commutative and associative."""

    __slots__ = ("_counts", "count", "high", "low", "total")

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self.count = 0
        self.total = 0
        self.low = _TOP
        self.high = 0

    def record(self, micros: int, times: int = 1) -> None:
        """Count a value `times` times; negative ones count as 0, huge ones as the top."""
        if times < 1:
            return
        value = 0 if micros < 0 else min(micros, _TOP)
        index = _index(value)
        self._counts[index] = self._counts.get(index, 0) + times
        self.count += times
        self.total += value * times
        self.low = min(self.low, value)
        self.high = max(self.high, value)

    def record_counts(self, counts: Mapping[int, int]) -> None:
        """Count many values at once: value → how often. Much cheaper than `record` for each."""
        mine = self._counts
        for value, times in counts.items():
            if value < 0 or value > _TOP:
                self.record(value, times)
                continue
            index = value
            if value >= SUB:
                shift = value.bit_length() - _BITS
                index = (shift << (_BITS - 1)) + (value >> shift)
            mine[index] = mine.get(index, 0) + times
            self.count += times
            self.total += value * times
        if counts:
            self.low = min(self.low, max(0, min(counts)))
            self.high = max(self.high, min(_TOP, max(counts)))

    def merge(self, other: "Histogram") -> None:
        """Add all of another's counts to this one."""
        mine = self._counts
        for index, times in other._counts.items():  # noqa: SLF001 — one of us
            mine[index] = mine.get(index, 0) + times
        self.count += other.count
        self.total += other.total
        self.low = min(self.low, other.low)
        self.high = max(self.high, other.high)

    @property
    def mean(self) -> float:
        """The mean in microseconds; NaN when empty."""
        return self.total / self.count if self.count else math.nan

    def quantile(self, share: float) -> float:
        """The value in microseconds below or at which `share` (0..1) of all lie; NaN when empty."""
        if not self.count:
            return math.nan
        rank = max(1, math.ceil(share * self.count - 1e-9))
        if rank >= self.count:
            return float(self.high)
        order = sorted(self._counts)
        reached = itertools.accumulate(self._counts[index] for index in order)
        index = next(i for i, seen in zip(order, reached, strict=True) if seen >= rank)
        return float(min(self.high, max(self.low, _middle(index))))

    def above(self, micros: int) -> int:
        """How many values lie above this one (to the bucket's precision)."""
        if micros < 0:
            return self.count
        edge = _index(min(micros, _TOP))
        return sum(times for index, times in self._counts.items() if index > edge)

    def buckets(self) -> Iterator[tuple[float, int]]:
        """(middle in microseconds, count) of each non-empty bucket, rising."""
        for index in sorted(self._counts):
            yield _middle(index), self._counts[index]

    def to_bytes(self) -> bytes:
        """A compact form for files and wires; `from_bytes` reads it."""
        head = struct.pack("<QQQ", self.total, self.low, self.high)
        return head + b"".join(_PAIR.pack(i, c) for i, c in sorted(self._counts.items()))

    @classmethod
    def from_bytes(cls, data: bytes) -> "Histogram":
        """The histogram that `to_bytes` wrote. Raises ValueError when it is none."""
        if len(data) < 24 or (len(data) - 24) % _PAIR.size:
            raise ValueError("not a histogram")
        made = cls()
        made.total, made.low, made.high = struct.unpack_from("<QQQ", data)
        for index, times in _PAIR.iter_unpack(data[24:]):
            made._counts[index] = times
            made.count += times
        edges = sorted(made._counts)
        if len(edges) * _PAIR.size != len(data) - 24 or (
            edges and (edges[0] != _index(made.low) or edges[-1] != _index(made.high))
        ):
            raise ValueError("not a histogram: its buckets contradict its head")
        return made

    @classmethod
    def of(cls, values: Iterable[int]) -> "Histogram":
        """A histogram of these values in microseconds."""
        made = cls()
        for value in values:
            made.record(value)
        return made

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Histogram) and self.to_bytes() == other.to_bytes()

    __hash__ = None  # type: ignore[assignment]  # it changes: nothing may hold it by hash

    def __repr__(self) -> str:
        if not self.count:
            return "<Histogram empty>"
        return f"<Histogram n={self.count} p50={self.quantile(0.5):.0f}us max={self.high}us>"


def _index(value: int) -> int:
    """Bucket number: exact below SUB, then SUB/2 buckets for each further power of two."""
    if value < SUB:
        return value
    shift = value.bit_length() - _BITS
    return (shift << (_BITS - 1)) + (value >> shift)


def _middle(index: int) -> float:
    """The middle of a bucket; the inverse of `_index`."""
    if index < SUB:
        return float(index)
    shift = (index >> (_BITS - 1)) - 1
    base = index - (shift << (_BITS - 1))
    low = base << shift
    return low + ((1 << shift) - 1) / 2
