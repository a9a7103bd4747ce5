"""The last minutes of every process's CPU and memory, in rings of fixed size."""

from array import array
from collections.abc import Mapping, Sequence
from typing import Any, Final

__all__ = ["History"]

_MISSING: Final = float("nan")


class _Ring:
    """Numbers at consecutive ticks; the oldest are overwritten."""

    __slots__ = ("cpu", "first", "rss", "size", "upto")

    def __init__(self, size: int, tick: int) -> None:
        self.size = size
        self.first = tick
        self.upto = tick  # the next tick to write
        # 4-byte floats: 10,000 processes × 600 points × 2 are 48 MB.
        self.cpu = array("f", [_MISSING]) * size
        self.rss = array("f", [_MISSING]) * size

    def put(self, tick: int, cpu: float, rss: float) -> None:
        if tick < self.upto:
            return
        for gap in range(max(self.upto, tick - self.size), tick):
            self.cpu[gap % self.size] = self.rss[gap % self.size] = _MISSING
        self.cpu[tick % self.size] = cpu
        self.rss[tick % self.size] = rss
        self.upto = tick + 1

    def read(self, ticks: range) -> tuple[list[float | None], list[float | None]]:
        low = max(self.first, self.upto - self.size)
        cpu: list[float | None] = []
        rss: list[float | None] = []
        for tick in ticks:
            here = low <= tick < self.upto
            value = self.cpu[tick % self.size] if here else _MISSING
            if value != value:
                cpu.append(None)
                rss.append(None)
            else:
                cpu.append(round(value, 1))
                rss.append(float(int(self.rss[tick % self.size])))
        return cpu, rss


class History:
    """Rings by process id ("web/1"), one point per second of wall time."""

    def __init__(self, points: int) -> None:
        self._points = points
        self._rings: dict[str, _Ring] = {}
        self._last = 0

    def add(self, message: Mapping[str, Any], ids: Sequence[str]) -> None:
        """Keep one columnar statistics message."""
        if not self._points:
            return
        tick = int(message["time"])
        self._last = max(self._last, tick)
        for name, cpu, rss in zip(ids, message["cpu"], message["rss"], strict=True):
            ring = self._rings.get(name)
            if ring is None:
                ring = self._rings[name] = _Ring(self._points, tick)
            ring.put(tick, cpu, rss)
        self._drop_old(tick)

    def _drop_old(self, tick: int) -> None:
        if tick % 60:
            return
        for name in [n for n, ring in self._rings.items() if ring.upto < tick - self._points]:
            del self._rings[name]

    def sparks(self, seconds: int) -> dict[str, list[float]]:
        """CPU of each service, its processes added up, for the last seconds; gaps are 0."""
        ticks = range(self._last - seconds + 1, self._last + 1) if self._last else range(0)
        sums: dict[str, list[float]] = {}
        for name, ring in self._rings.items():
            line = sums.setdefault(name.rpartition("/")[0], [0.0] * len(ticks))
            for at, value in enumerate(ring.read(ticks)[0]):
                line[at] += value or 0.0
        return {name: [round(v, 1) for v in line] for name, line in sums.items()}

    def read(self, service: str, seconds: int) -> dict[str, Any]:
        """Columns for the processes of one service ("" for all); gaps are None.

        {"time": first, "step": 1, "ids": […], "cpu": [[…], …], "rss": [[…], …]}; rss in bytes.
        """
        span = min(seconds, self._points)
        ticks = range(self._last - span + 1, self._last + 1) if self._last else range(0)
        ids, cpus, rsss = [], [], []
        for name, ring in sorted(self._rings.items()):
            if service and name.rpartition("/")[0] != service:
                continue
            cpu, rss = ring.read(ticks)
            if any(value is not None for value in cpu):
                ids.append(name)
                cpus.append(cpu)
                rsss.append(rss)
        return {"time": ticks.start, "step": 1, "ids": ids, "cpu": cpus, "rss": rsss}
