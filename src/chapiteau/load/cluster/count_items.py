"""The parts of a machine's counts that travel to the coordinator: typed, and in any order.

Each part is a piece of a Totals; whoever has added them all up has the same Totals.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Final, Literal, TypeVar, get_args

import msgspec

from chapiteau.core.histogram import Histogram
from chapiteau.load.stats.endpoint_samples import keep_slowest
from chapiteau.load.stats.totals import EndpointTotals, SecondStats, Totals

__all__ = ["Item", "Part", "decode_parts", "endpoint_parts", "urgent_parts"]

_Key = TypeVar("_Key")
_PairsName = Literal["iterations", "checks"]
_CountsName = Literal["crashes", "blocked", "blocked_ms"]
_TimesName = Literal["lag", "unread"]
_LatencyName = Literal["latency", "service"]
_SUMS: Final = ("started", "ended", "dropped", "retried", "cut", "looks", "workers")
# Which part of two endpoints alike goes first: counts are small, service times matter at the end.
_WEIGHTS: Final = {"counts": 8.0, "latency": 1.0, "service": 1 / 8}


class _Sums(msgspec.Struct, array_like=True, tag=0):
    sums: list[int]  # in the order of _SUMS
    users: int
    used_up: str

    def add(self, totals: Totals) -> None:
        for name, value in zip(_SUMS, self.sums, strict=True):
            setattr(totals, name, getattr(totals, name) + value)
        totals.users = max(totals.users, self.users)
        totals.used_up = totals.used_up or self.used_up


class _Now(msgspec.Struct, array_like=True, tag=1):
    second: int
    running: int
    cpu: list[float]

    def add(self, totals: Totals) -> None:
        totals.running[self.second] = totals.running.get(self.second, 0) + self.running
        totals.cpu.setdefault(self.second, []).extend(self.cpu)


class _Second(msgspec.Struct, array_like=True, tag=2):
    key: str
    second: int
    bad: int
    latency: bytes

    def add(self, totals: Totals) -> None:
        part = SecondStats(_histogram(self.latency), self.bad)
        totals.series.setdefault(self.key, {}).setdefault(self.second, SecondStats()).merge(part)
        if not self.key:
            totals.every.merge(part)


class _Times(msgspec.Struct, array_like=True, tag=3):
    name: _TimesName
    times: bytes

    def add(self, totals: Totals) -> None:
        getattr(totals, self.name).merge(_histogram(self.times))


class _Pair(msgspec.Struct, array_like=True, tag=4):
    name: _PairsName
    label: str
    good: int
    bad: int

    def add(self, totals: Totals) -> None:
        pair = getattr(totals, self.name).setdefault(self.label, [0, 0])
        pair[0] += self.good
        pair[1] += self.bad


class _Count(msgspec.Struct, array_like=True, tag=5):
    name: _CountsName
    what: str
    count: int

    def add(self, totals: Totals) -> None:
        counts = getattr(totals, self.name)
        known = counts.get(self.what, 0)
        is_peak = self.name == "blocked_ms"
        counts[self.what] = max(known, self.count) if is_peak else known + self.count


class _Sample(msgspec.Struct, array_like=True, tag=6):
    what: str
    text: str

    def add(self, totals: Totals) -> None:
        totals.samples.setdefault(self.what, self.text)


class _Endpoint(msgspec.Struct, array_like=True, tag=7):
    name: str
    tags: tuple[str, ...]
    bad: int
    received: int
    cut: int
    statuses: dict[str, int]
    failures: dict[str, int]
    pace: dict[int, int]

    def add(self, totals: Totals) -> None:
        row = totals.rows.setdefault(self.name, EndpointTotals(self.name))
        row.tags = row.tags or self.tags
        row.bad += self.bad
        row.received += self.received
        row.cut += self.cut
        row.count += sum(self.pace.values())
        _add_counts(row.statuses, self.statuses)
        _add_counts(row.failures, self.failures)
        _add_counts(row.pace, self.pace)


class _Latency(msgspec.Struct, array_like=True, tag=8):
    name: str
    kind: _LatencyName
    times: bytes

    def add(self, totals: Totals) -> None:
        row, found = (
            totals.rows.setdefault(self.name, EndpointTotals(self.name)),
            _histogram(self.times),
        )
        getattr(row, self.kind).merge(found)
        if self.kind == "latency":  # their seconds don't come along: about now, as batches need it
            row.batches.add(max(totals.series[""], default=0), found)


class _Slowest(msgspec.Struct, array_like=True, tag=9):
    name: str
    slowest: list[tuple[int, int]]

    def add(self, totals: Totals) -> None:
        row = totals.rows.setdefault(self.name, EndpointTotals(self.name))
        row.slowest = keep_slowest([*row.slowest, *self.slowest])


class _Metric(msgspec.Struct, array_like=True, tag=10):
    name: str
    kind: Literal["counter", "gauge", "trend"]
    value: float
    values: bytes

    def add(self, totals: Totals) -> None:
        more = {"values": _histogram(self.values)} if self.kind == "trend" else {}
        totals.add_metric(self.name, {"kind": self.kind, "value": self.value, **more})


Part = (
    _Sums | _Now | _Second | _Times | _Pair | _Count | _Sample | _Endpoint | _Latency | _Slowest
    | _Metric
)  # fmt: skip
Item = tuple[Part, Callable[[], object]]  # a part, and how it leaves the counts that wait
_decoder: Final = msgspec.msgpack.Decoder(list[Part])


def decode_parts(data: bytes) -> list[Part]:
    """The parts of a packet. Raises ValueError when it is none."""
    try:
        return _decoder.decode(data)
    except msgspec.MsgspecError as exc:
        raise ValueError(str(exc)) from None


def urgent_parts(waiting: Totals) -> Iterator[Item]:
    """What judging needs at once: sums, and the seconds of all requests and of what is watched."""
    sums = [getattr(waiting, name) for name in _SUMS]
    if any(sums) or waiting.users or waiting.used_up:
        yield _Sums(sums, waiting.users, _text(waiting.used_up)), partial(_drop_sums, waiting)
    for second, cpu in list(waiting.cpu.items()):
        yield _Now(second, waiting.running[second], cpu), partial(_drop_now, waiting, second)
    for key, seconds in waiting.series.items():
        for second in sorted(seconds, reverse=True):
            found = seconds[second]
            part = _Second(_text(key), second, found.bad, found.latency.packed())
            yield part, partial(seconds.pop, second)
    if waiting.lag.count:
        yield _Times("lag", waiting.lag.packed()), partial(setattr, waiting, "lag", Histogram())
    for pairs_name in get_args(_PairsName):
        pairs = getattr(waiting, pairs_name)
        for label, (good, bad) in list(pairs.items()):
            yield _Pair(pairs_name, _text(label), good, bad), partial(pairs.pop, label)
    for counts_name in get_args(_CountsName):
        counts = getattr(waiting, counts_name)
        for what, count in list(counts.items()):
            yield _Count(counts_name, _text(what), count), partial(counts.pop, what)


def endpoint_parts(waiting: Totals) -> Iterator[Item]:
    """All the rest: a sample of a failure, then the endpoints of which most waits."""
    samples: list[Item] = [
        (_Sample(_text(what), _text(text)), partial(waiting.samples.pop, what))
        for what, text in waiting.samples.items()
    ]
    yield from samples[:1]
    ranked = [(weight, item) for row in waiting.rows.values() for weight, item in _parts_of(row)]
    for name, metric in waiting.metrics.items():
        values = metric["values"] if metric["kind"] == "trend" else Histogram()
        part = _Metric(_text(name), metric["kind"], metric.get("value", 0.0), values.packed())
        ranked.append((max(1.0, values.count), (part, partial(waiting.metrics.pop, name))))
    ranked.sort(key=lambda one: -one[0])
    yield from (item for _, item in ranked)
    yield from samples[1:]
    if waiting.unread.count:
        drop = partial(setattr, waiting, "unread", Histogram())
        yield _Times("unread", waiting.unread.packed()), drop


def _parts_of(row: EndpointTotals) -> Iterator[tuple[float, Item]]:
    """An endpoint's parts, each with its weight: those of which most waits go first."""
    name = _text(row.name)
    if row.statuses or row.failures or row.pace or row.bad or row.received or row.cut:
        failures = {_text(kind): count for kind, count in row.failures.items()}
        tags = tuple(map(_text, row.tags))
        part = _Endpoint(
            name, tags, row.bad, row.received, row.cut, row.statuses, failures, row.pace
        )
        yield max(1, row.count) * _WEIGHTS["counts"], (part, partial(_drop_endpoint, row))
    for kind in get_args(_LatencyName):
        times: Histogram = getattr(row, kind)
        if times.count:
            drop = partial(setattr, row, kind, Histogram())
            yield times.count * _WEIGHTS[kind], (_Latency(name, kind, times.packed()), drop)
    if row.slowest:
        weight = max(1, row.service.count) * _WEIGHTS["service"]
        yield weight, (_Slowest(name, row.slowest), partial(setattr, row, "slowest", []))


def _drop_sums(waiting: Totals) -> None:
    for name in (*_SUMS, "users"):
        setattr(waiting, name, 0)
    waiting.used_up = ""


def _drop_now(waiting: Totals, second: int) -> None:
    del waiting.running[second], waiting.cpu[second]


def _drop_endpoint(row: EndpointTotals) -> None:
    row.count = row.bad = row.received = row.cut = 0
    row.statuses, row.failures, row.pace = {}, {}, {}


def _add_counts(known: dict[_Key, int], more: dict[_Key, int]) -> None:
    for key, count in more.items():
        known[key] = known.get(key, 0) + count


def _histogram(data: bytes) -> Histogram:
    try:
        return Histogram.unpacked(data)[0]
    except IndexError:
        raise ValueError("a histogram is cut off") from None


def _text(text: str) -> str:
    """A text as UTF-8 can carry it: without lone surrogates."""
    return text.encode("utf-8", "replace").decode()
