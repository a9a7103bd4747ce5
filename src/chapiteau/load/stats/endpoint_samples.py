"""What is kept of the requests of one name beside their sums: short times in a row, the slowest."""

import math
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Final

from chapiteau.core.histogram import Histogram

__all__ = ["LatencyBatches", "SlowRequest", "add_slowest", "keep_slowest", "latency_bins"]

_MOST: Final = 40  # batches of a name: what comparing needs, and little memory
_SLOWEST: Final = 10
_BINS: Final = 12  # in each factor of ten, as in the report's histogram

SlowRequest = tuple[int, int]  # microseconds, second in which the request was due


class LatencyBatches:
    """Latencies by time, in at most so many parts of the same length; any order makes the same.

    `step` is the length in seconds: it doubles when there are too many parts.
    """

    __slots__ = ("_newest", "_open", "_packed", "step")

    def __init__(self) -> None:
        self.step = 1
        self._newest = 0
        self._packed: dict[int, bytes] = {}
        self._open: dict[int, Histogram] = {}  # what may still grow; the others are packed

    def add(self, second: int, latency: Histogram) -> None:
        """Requests that were due in this second."""
        if not latency.count:
            return
        while second // self.step >= _MOST:
            self._double()
        number = second // self.step
        if number > self._newest:
            self._newest = number
            for old in [one for one in self._open if one < number - 1]:
                self._packed[old] = self._open.pop(old).to_bytes()
        if number not in self._open:
            self._open[number] = self._unpacked(number)
            self._packed.pop(number, None)
        self._open[number].merge(latency)

    def parts(self) -> Iterator[tuple[int, Histogram]]:
        """(second in which it begins, latencies) of each that has any, in order."""
        for number in sorted(self._packed.keys() | self._open.keys()):
            found = self._open.get(number)
            yield number * self.step, self._unpacked(number) if found is None else found

    def join(self, later: "LatencyBatches", offset: int) -> None:
        """Add those of a later piece of load."""
        for second, latency in later.parts():
            self.add(second + offset, latency)

    def _unpacked(self, number: int) -> Histogram:
        data = self._packed.get(number, b"")
        return Histogram.from_bytes(data) if data else Histogram()

    def _double(self) -> None:
        parts = list(self.parts())
        self.step, self._newest = 2 * self.step, 0
        self._packed, self._open = {}, {}
        for second, latency in parts:
            self.add(second, latency)


def add_slowest(known: list[SlowRequest], second: int, latency: Histogram) -> list[SlowRequest]:
    """The slowest requests, the slowest first, of those known and of a second's.

    To a histogram's precision, except for the slowest of all.
    """
    if len(known) >= _SLOWEST and latency.high < known[-1][0]:
        return known
    found: list[SlowRequest] = []
    for middle, count in reversed(list(latency.buckets())[-_SLOWEST:]):
        found += [(min(round(middle), latency.high), second)] * min(count, _SLOWEST)
    if found:
        found[0] = (latency.high, second)
    return keep_slowest([*known, *found])


def keep_slowest(found: Iterable[SlowRequest]) -> list[SlowRequest]:
    """The first ten of them."""
    return sorted(found, key=lambda one: (-one[0], one[1]))[:_SLOWEST]


@cache  # a running test asks for the same few thousand values each second
def _bin(middle: float) -> int:
    return math.floor(math.log10(max(middle, 1.0)) * _BINS)


def latency_bins(latency: Histogram) -> list[tuple[float, int]]:
    """How many took how long: (seconds at which a bin begins, count), on a logarithmic axis."""
    bins: dict[int, int] = {}
    for middle, count in latency.buckets():
        number = _bin(middle)
        bins[number] = bins.get(number, 0) + count
    span = range(min(bins), max(bins) + 1) if bins else ()
    return [(float(f"{10 ** (n / _BINS) / 1e6:.4g}"), bins.get(n, 0)) for n in span]
