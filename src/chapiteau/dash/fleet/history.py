"""The last minutes of every process's CPU and memory, and of every service's requests.

Kept as it comes, one pair of columns per second: taking a message costs two copies in C, however
many processes it has. Rows are put together only when somebody looks.
"""

from array import array
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isnan, nan
from typing import Final, NotRequired, TypedDict, cast

from chapiteau.dash.fleet.node import NodeStats

__all__ = ["History", "HostCurves", "HostHistory", "ProcessCurves", "ProcessLine"]

Line = list[float | None]  # a value for each step; a gap is None


class ProcessLine(TypedDict):
    """One process, or a whole service: a value a second from `time` on; rss in bytes."""

    time: int
    cpu: Line
    rss: Line


class ProcessCurves(TypedDict):
    """The processes of a service; each column has a line for each of `ids`."""

    time: int
    step: int
    ids: list[str]
    cpu: list[Line]
    rss: list[Line]
    requests: NotRequired[dict[str, Line]]  # rate, p99, errors


class HostCurves(TypedDict):
    """A server itself, in percent; `step` is in seconds."""

    time: int
    step: int
    cpu: Line
    mem: Line


# What a statistics message tells of each process and of each service, and the digits kept.
_OF_PROCESSES: Final = (("cpu", 1), ("rss", 0))
_OF_SERVICES: Final = (("rate", 2), ("p99", 5), ("errors", 2))


@dataclass(frozen=True, slots=True)
class _Second:
    tick: int
    place: dict[str, int]  # process → its place in the columns; shared while names stay the same
    # Of _OF_PROCESSES. 4-byte floats: 10,000 processes × 600 seconds × 2 are 48 MB.
    columns: "tuple[array[float], ...]"
    requests: "array[float] | None" = None  # three numbers for each service that counts them
    counted: dict[str, int] | None = None  # service → its place among the threes


class History:
    """Seconds of wall time, the oldest dropped; process ids are like "web/1"."""

    def __init__(self, points: int) -> None:
        self._points = points
        self._seconds: deque[_Second] = deque(maxlen=max(1, points))
        self._names: Sequence[str] = ()
        self._place: dict[str, int] = {}
        self._counted: dict[str, int] = {}

    def add(self, message: NodeStats, ids: Sequence[str]) -> None:
        """Keep one columnar statistics message; a second one in the same second is not needed."""
        tick = int(message["time"])
        if not self._points or tick <= self._last():
            return
        if ids is not self._names:
            self._names, self._place = ids, {name: at for at, name in enumerate(ids)}
        columns = tuple(array("f", column) for column in (message["cpu"], message["rss"]))
        requests = message.get("requests")
        if requests:
            figures, counted = self._requests(requests)
            self._seconds.append(_Second(tick, self._place, columns, figures, counted))
        else:
            self._seconds.append(_Second(tick, self._place, columns))

    def _requests(
        self, requests: Mapping[str, Sequence[float | None]]
    ) -> tuple["array[float]", dict[str, int]]:
        if requests.keys() != self._counted.keys():
            self._counted = {name: at for at, name in enumerate(requests)}
        figures = array("f", bytes(12 * len(requests)))
        for name, at in self._counted.items():
            rate, p99, errors = requests[name][:3]
            figures[3 * at] = rate or 0.0
            figures[3 * at + 1] = nan if p99 is None else p99
            figures[3 * at + 2] = errors or 0.0
        return figures, self._counted

    def requests(self, service: str, seconds: int) -> dict[str, Line]:
        """Requests a second, p99 in seconds and 5xx a second of a service; gaps are None.

        {"rate": […], "p99": […], "errors": […]} on the axis of `read`; {} when it counts none.
        """
        ticks = self._ticks(seconds)
        found: dict[str, Line] = {}
        for second in self._window(ticks):
            place = (second.counted or {}).get(service)
            if place is None or second.requests is None:
                continue
            for at, (key, digits) in enumerate(_OF_SERVICES):
                line = found.setdefault(key, [None] * len(ticks))
                value = second.requests[3 * place + at]
                line[second.tick - ticks.start] = None if isnan(value) else round(value, digits)
        return found

    def read(self, service: str, seconds: int) -> ProcessCurves:
        """Columns for the processes of one service ("" for all); gaps are None.

        {"time": first, "step": 1, "ids": […], "cpu": [[…], …], "rss": [[…], …]}; rss in bytes.
        """
        ticks = self._ticks(seconds)
        rows: dict[str, tuple[list[float | None], ...]] = {}
        for second in self._window(ticks):
            at = second.tick - ticks.start
            for name, place in second.place.items():
                if service and name.rpartition("/")[0] != service:
                    continue
                if name not in rows:
                    rows[name] = tuple([None] * len(ticks) for _ in _OF_PROCESSES)
                for row, column, (_, digits) in zip(
                    rows[name], second.columns, _OF_PROCESSES, strict=True
                ):
                    row[at] = _rounded(column[place], digits)
        ids = sorted(rows)
        found = {key: [rows[name][n] for name in ids] for n, (key, _) in enumerate(_OF_PROCESSES)}
        return cast("ProcessCurves", {"time": ticks.start, "step": 1, "ids": ids, **found})

    def line(self, service: str, process: int, seconds: int) -> ProcessLine:
        """One process in the last seconds, or with 0 the sum of all of a service; gaps are None.

        {"time": first, "cpu": […], "rss": […]}: what a small line in a table needs, at its price.
        """
        ticks = self._ticks(seconds)
        rows: tuple[list[float | None], ...] = tuple([None] * len(ticks) for _ in _OF_PROCESSES)
        known: dict[int, list[int]] = {}  # names stay the same for many seconds
        for second in self._window(ticks):
            places = known.get(id(second.place))
            if places is None:
                places = known[id(second.place)] = _places(second.place, service, process)
            if places:
                at = second.tick - ticks.start
                for row, column, (_, digits) in zip(
                    rows, second.columns, _OF_PROCESSES, strict=True
                ):
                    row[at] = _rounded(sum(column[place] for place in places), digits)
        found = {key: row for (key, _), row in zip(_OF_PROCESSES, rows, strict=True)}
        return cast("ProcessLine", {"time": ticks.start, **found})

    def _ticks(self, seconds: int) -> range:
        last = self._last()
        return range(last - min(seconds, self._points) + 1, last + 1) if last else range(0)

    def _window(self, ticks: range) -> Iterator[_Second]:
        for second in reversed(self._seconds):
            if second.tick < ticks.start:
                return
            yield second

    def _last(self) -> int:
        return self._seconds[-1].tick if self._seconds else 0


def _rounded(value: float, digits: int) -> float:
    return round(value, digits) if digits else float(int(value))


def _places(place: Mapping[str, int], service: str, process: int) -> list[int]:
    if process:
        found = place.get(f"{service}/{process}")
        return [] if found is None else [found]
    return [at for name, at in place.items() if name.rpartition("/")[0] == service]


# A server's own past: CPU and memory, each second for a while, each minute for a day.
#
# Small on purpose, since every page asks for the last minute of every server at once: 100 servers
# are 20 kB then.

_SECONDS: Final = 600
_MINUTES: Final = 1440


class HostHistory:
    """Seconds of wall time, the oldest dropped; values are percent."""

    def __init__(self) -> None:
        self._seconds: deque[tuple[int, float, float]] = deque(maxlen=_SECONDS)
        self._minutes: deque[tuple[int, float, float]] = deque(maxlen=_MINUTES)
        self._minute: list[tuple[float, float]] = []  # of the minute that is not over
        self._now = 0

    def add(self, message: NodeStats) -> None:
        """Keep one statistics message; without the host's numbers it is left out."""
        host, tick = message.get("host"), int(message["time"])
        if not host or (self._seconds and tick <= self._seconds[-1][0]):
            return
        total = host.get("mem_total") or 0
        cpu = float(host.get("cpu") or 0.0)
        memory = 100.0 * (host.get("mem_used") or 0) / total if total else 0.0
        self._seconds.append((tick, cpu, memory))
        if self._minute and tick // 60 != self._now:
            self._minutes.append((self._now, *self._mean()))
            self._minute.clear()
        self._now = tick // 60
        self._minute.append((cpu, memory))

    def spark(self, seconds: int) -> list[int]:
        """CPU of the last seconds, oldest first, whole percents; shorter when it knows less."""
        if not self._seconds:
            return []
        last = self._seconds[-1][0]
        found = [
            (tick, cpu) for tick, cpu, _ in list(self._seconds)[-seconds:] if tick > last - seconds
        ]
        line: list[int] = []
        for tick, cpu in found:
            at = tick - found[0][0]
            line += [line[-1]] * (at - len(line)) if line else []
            line.append(round(cpu))
        return line[-seconds:]

    def read(self, seconds: int) -> HostCurves:
        """{"time": first, "step": 1 or 60, "cpu": [...], "mem": [...]}; gaps are None.

        Up to ten minutes each second, beyond that each minute.
        """
        kept, step = (self._seconds, 1) if seconds <= _SECONDS else (self._whole_minutes(), 60)
        if not kept:
            return {"time": 0, "step": step, "cpu": [], "mem": []}
        last = kept[-1][0]
        first = max(kept[0][0], last - max(1, seconds // step) + 1)
        cpu: list[float | None] = [None] * (last - first + 1)
        mem: list[float | None] = [None] * (last - first + 1)
        for tick, used, memory in kept:
            if tick >= first:
                cpu[tick - first], mem[tick - first] = round(used, 1), round(memory, 1)
        return {"time": first * step, "step": step, "cpu": cpu, "mem": mem}

    def _whole_minutes(self) -> "deque[tuple[int, float, float]]":
        if not self._minute:
            return self._minutes
        return deque([*self._minutes, (self._now, *self._mean())])

    def _mean(self) -> tuple[float, float]:
        count = len(self._minute)
        return sum(c for c, _ in self._minute) / count, sum(m for _, m in self._minute) / count
