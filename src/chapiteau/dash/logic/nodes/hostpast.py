"""A server's own past: CPU and memory, each second for a while, each minute for a day.

Small on purpose, since every page asks for the last minute of every server at once: 100 servers
are 20 kB then.
"""

from collections import deque
from collections.abc import Mapping
from typing import Any, Final

__all__ = ["HostPast"]

_SECONDS: Final = 600
_MINUTES: Final = 1440


class HostPast:
    """Seconds of wall time, the oldest dropped; values are percent."""

    def __init__(self) -> None:
        self._seconds: deque[tuple[int, float, float]] = deque(maxlen=_SECONDS)
        self._minutes: deque[tuple[int, float, float]] = deque(maxlen=_MINUTES)
        self._minute: list[tuple[float, float]] = []  # of the minute that is not over
        self._now = 0

    def add(self, message: Mapping[str, Any]) -> None:
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

    def read(self, seconds: int) -> dict[str, Any]:
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
