"""What there is to tell of a machine's counts, piece by piece.

Each piece is a part of a Totals that can go over the line alone, in any order: whoever has added
them all up has the same Totals.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from chapiteau.core.histogram import Histogram
from chapiteau.load.cluster.count_encoding import Reader, Writer
from chapiteau.load.stats.endpoint_samples import keep_slowest
from chapiteau.load.stats.totals import EndpointTotals, SecondStats, Totals

__all__ = ["Item", "add_item", "rows_of", "urgent_of"]

_SUMS: Final = ("started", "ended", "dropped", "retried", "cut", "looks", "workers")
_PAIRS: Final = ("iterations", "checks")
_COUNTS: Final = ("crashes", "blocked", "blocked_ms")
_HISTOGRAMS: Final = ("lag", "unread")
_OF_NAMES: Final = ("latency", "service")
_METRICS: Final = ("counter", "gauge", "trend")
_MILLION: Final = 1e6
# What goes first of two names alike: counts are small, service times matter at the end only, and
# the slowest ones are the fewer, the longer they have waited.
_WEIGHTS: Final = {"counts": 8.0, "latency": 1.0, "service": 1 / 8}
_SUM, _NOW, _SERIES, _TIMES, _PAIR, _COUNT, _SAMPLE, _ROW, _NAMED, _SLOWEST, _METRIC = range(11)


@dataclass(frozen=True, slots=True)
class Item:
    """A piece: how it is written, and how it leaves what waits."""

    write: Callable[[Writer], None]
    drop: Callable[[], object]


def urgent_of(waiting: Totals) -> Iterator[Item]:
    """What judging needs at once: sums, and the seconds of all requests and of what is watched."""
    if any(getattr(waiting, name) for name in (*_SUMS, "users", "used_up")):
        yield Item(partial(_write_sums, waiting), partial(_drop_sums, waiting))
    for second in list(waiting.cpu):
        yield Item(partial(_write_now, waiting, second), partial(_drop_now, waiting, second))
    for key, seconds in waiting.series.items():
        for second in sorted(seconds, reverse=True):
            write = partial(_write_second, key, second, seconds[second])
            yield Item(write, partial(seconds.pop, second))
    if waiting.lag.count:
        yield _times(waiting, 0)
    yield from _small(waiting)


def rows_of(waiting: Totals) -> Iterator[Item]:
    """All the rest: a sample of a failure, then the names of which most waits."""
    samples = [_sample(waiting, what) for what in waiting.samples]
    yield from samples[:1]
    yield from _ranked(waiting)
    yield from samples[1:]
    if waiting.unread.count:
        yield _times(waiting, 1)


def add_item(reader: Reader, totals: Totals) -> None:
    """Read one piece, and add it. Raises ValueError when it is none."""
    kind = reader.number()
    if not 0 <= kind < len(_READ):
        raise ValueError("no such piece")
    _READ[kind](reader, totals)


def _small(waiting: Totals) -> Iterator[Item]:
    for place, name in enumerate(_PAIRS):
        pairs = getattr(waiting, name)
        for label, pair in list(pairs.items()):
            yield Item(partial(_write_pair, place, label, pair), partial(pairs.pop, label))
    for place, name in enumerate(_COUNTS):
        counts = getattr(waiting, name)
        for what, count in list(counts.items()):
            yield Item(partial(_write_count, place, what, count), partial(counts.pop, what))


def _ranked(waiting: Totals) -> Iterator[Item]:
    """Names by the requests that wait, so that each has its turn."""
    found: list[tuple[float, int, Item]] = []

    def rank(weight: float, write: Callable[[Writer], None], drop: Callable[[], object]) -> None:
        found.append((-weight, len(found), Item(write, drop)))

    for row in waiting.rows.values():
        if row.statuses or row.failures or row.pace or row.bad or row.received or row.cut:
            weight = max(1, row.count) * _WEIGHTS["counts"]
            rank(weight, partial(_write_row, row), partial(_drop_row, row))
        for place, of in enumerate(_OF_NAMES):
            times: Histogram = getattr(row, of)
            if times.count:
                write = partial(_write_named, row, place)
                rank(times.count * _WEIGHTS[of], write, partial(setattr, row, of, Histogram()))
        if row.slowest:
            weight = max(1, row.service.count) * _WEIGHTS["service"]
            rank(weight, partial(_write_slowest, row), partial(setattr, row, "slowest", []))
    for name, metric in waiting.metrics.items():
        weight = metric["values"].count if metric["kind"] == "trend" else 1
        rank(weight, partial(_write_metric, name, metric), partial(waiting.metrics.pop, name))
    return (item for _, _, item in sorted(found, key=lambda one: one[:2]))


# ── each kind: written, dropped, read ─────────────────────────────────────────────────────────
def _write_sums(waiting: Totals, writer: Writer) -> None:
    writer.number(_SUM)
    for name in (*_SUMS, "users"):
        writer.number(getattr(waiting, name))
    writer.text(waiting.used_up)


def _drop_sums(waiting: Totals) -> None:
    for name in (*_SUMS, "users"):
        setattr(waiting, name, 0)
    waiting.used_up = ""


def _add_sums(reader: Reader, totals: Totals) -> None:
    for name in _SUMS:
        setattr(totals, name, getattr(totals, name) + reader.number())
    totals.users = max(totals.users, reader.number())
    used_up = reader.text()
    totals.used_up = totals.used_up or used_up


def _write_now(waiting: Totals, second: int, writer: Writer) -> None:
    for number in (_NOW, second, waiting.running[second], len(waiting.cpu[second])):
        writer.number(number)
    for seconds in waiting.cpu[second]:
        writer.number(round(seconds * _MILLION))


def _drop_now(waiting: Totals, second: int) -> None:
    del waiting.running[second], waiting.cpu[second]


def _add_now(reader: Reader, totals: Totals) -> None:
    second, running, processes = (reader.number() for _ in range(3))
    totals.running[second] = totals.running.get(second, 0) + running
    parts = totals.cpu.setdefault(second, [])
    parts.extend(reader.number() / _MILLION for _ in range(processes))


def _write_second(key: str, second: int, part: SecondStats, writer: Writer) -> None:
    writer.number(_SERIES)
    writer.text(key)
    writer.number(second)
    writer.number(part.bad)
    writer.histogram(part.latency)


def _add_second(reader: Reader, totals: Totals) -> None:
    key, second, bad = reader.text(), reader.number(), reader.number()
    part = SecondStats(reader.histogram(), bad)
    totals.series.setdefault(key, {}).setdefault(second, SecondStats()).merge(part)
    if not key:
        totals.every.merge(part)


def _times(waiting: Totals, place: int) -> Item:
    name = _HISTOGRAMS[place]

    def write(writer: Writer) -> None:
        writer.number(_TIMES)
        writer.number(place)
        writer.histogram(getattr(waiting, name))

    return Item(write, partial(setattr, waiting, name, Histogram()))


def _add_times(reader: Reader, totals: Totals) -> None:
    name = _named(_HISTOGRAMS, reader)
    getattr(totals, name).merge(reader.histogram())


def _write_pair(place: int, label: str, pair: list[int], writer: Writer) -> None:
    writer.number(_PAIR)
    writer.number(place)
    writer.text(label)
    writer.number(pair[0])
    writer.number(pair[1])


def _add_pair(reader: Reader, totals: Totals) -> None:
    name = _named(_PAIRS, reader)
    pair = getattr(totals, name).setdefault(reader.text(), [0, 0])
    pair[0] += reader.number()
    pair[1] += reader.number()


def _write_count(place: int, what: str, count: int, writer: Writer) -> None:
    writer.number(_COUNT)
    writer.number(place)
    writer.text(what)
    writer.number(count)


def _add_count(reader: Reader, totals: Totals) -> None:
    name = _named(_COUNTS, reader)
    what, count, counts = reader.text(), reader.number(), getattr(totals, name)
    known = counts.get(what, 0)
    counts[what] = max(known, count) if name == "blocked_ms" else known + count


def _sample(waiting: Totals, what: str) -> Item:
    def write(writer: Writer) -> None:
        writer.number(_SAMPLE)
        writer.text(what)
        writer.once(waiting.samples[what])

    return Item(write, partial(waiting.samples.pop, what))


def _add_sample(reader: Reader, totals: Totals) -> None:
    what, text = reader.text(), reader.once()
    totals.samples.setdefault(what, text)


def _write_row(row: EndpointTotals, writer: Writer) -> None:
    writer.number(_ROW)
    writer.text(row.name)
    writer.number(len(row.tags))
    for tag in row.tags:
        writer.text(tag)
    for number in (row.bad, row.received, row.cut):
        writer.number(number)
    writer.counts(row.statuses)
    writer.counts(row.failures)
    writer.number(len(row.pace))
    for second, count in row.pace.items():
        writer.number(second)
        writer.number(count)


def _drop_row(row: EndpointTotals) -> None:
    row.count = row.bad = row.received = row.cut = 0
    row.statuses, row.failures, row.pace = {}, {}, {}


def _add_row(reader: Reader, totals: Totals) -> None:
    name = reader.text()
    tags = tuple(reader.text() for _ in range(reader.number()))
    row = totals.rows.get(name)
    if row is None or not row.tags:
        row = totals.rows[name] = row or EndpointTotals(name)
        row.tags = tags
    row.bad += reader.number()
    row.received += reader.number()
    row.cut += reader.number()
    for counts in (row.statuses, row.failures):
        for key, count in reader.counts().items():
            counts[key] = counts.get(key, 0) + count
    for _ in range(reader.number()):
        second, count = reader.number(), reader.number()
        row.pace[second] = row.pace.get(second, 0) + count
        row.count += count


def _write_slowest(row: EndpointTotals, writer: Writer) -> None:
    writer.number(_SLOWEST)
    writer.text(row.name)
    writer.number(len(row.slowest))
    for micros, second in row.slowest:
        writer.number(micros)
        writer.number(second)


def _add_slowest(reader: Reader, totals: Totals) -> None:
    name = reader.text()
    found = [(reader.number(), reader.number()) for _ in range(reader.number())]
    row = totals.rows.setdefault(name, EndpointTotals(name))
    row.slowest = keep_slowest([*row.slowest, *found])


def _write_named(row: EndpointTotals, place: int, writer: Writer) -> None:
    writer.number(_NAMED)
    writer.number(place)
    writer.text(row.name)
    writer.histogram(getattr(row, _OF_NAMES[place]))


def _add_named(reader: Reader, totals: Totals) -> None:
    of, name = _named(_OF_NAMES, reader), reader.text()
    row, times = totals.rows.setdefault(name, EndpointTotals(name)), reader.histogram()
    getattr(row, of).merge(times)
    if of == "latency":  # their seconds don't come along: about now, which is what batches need
        row.batches.add(max(totals.series[""], default=0), times)


def _write_metric(name: str, metric: dict[str, Any], writer: Writer) -> None:
    kind = _METRICS.index(metric["kind"])
    writer.number(_METRIC)
    writer.number(kind)
    writer.text(name)
    if metric["kind"] == "trend":
        writer.histogram(metric["values"])
    else:
        writer.real(metric["value"])


def _add_metric(reader: Reader, totals: Totals) -> None:
    kind, name = _named(_METRICS, reader), reader.text()
    if kind == "trend":
        totals.add_metric(name, {"kind": kind, "values": reader.histogram()})
    else:
        totals.add_metric(name, {"kind": kind, "value": reader.real()})


def _named(names: tuple[str, ...], reader: Reader) -> str:
    place = reader.number()
    if not 0 <= place < len(names):
        raise ValueError("no such count")
    return names[place]


# In the order of the numbers at the top.
_READ: Final = (
    _add_sums, _add_now, _add_second, _add_times, _add_pair, _add_count, _add_sample, _add_row,
    _add_named, _add_slowest, _add_metric,
)  # fmt: skip
