"""What processes use: CPU, memory, threads, descriptors, I/O, over each process's whole tree.

Read from /proc by hand, since this runs once a second for every process: about 10 µs a process
where a general library takes 50 to 150.
"""

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from chapiteau.core.clock import Clock
from chapiteau.run.engine.machine.strays import children_of

__all__ = ["Meter", "Usage", "fds_of", "host_usage", "io_of"]

_TICK: Final = os.sysconf("SC_CLK_TCK")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Usage:
    """One look at a process and all below it."""

    cpu_seconds: float = 0.0
    rss_bytes: int = 0
    threads: int = 0
    cpu_percent: float = 0.0  # of one core, since the look before


class Meter:
    """Remembers each process's last look, to tell its CPU share since then."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._before: dict[int, tuple[float, float]] = {}  # pid → (time, cpu seconds)

    def look(self, pid: int, age: float, *, alone: bool = False) -> Usage:
        """What the process and its descendants (not when `alone`) use.

        `age` in seconds serves the first look.
        """
        cpu, rss, threads = _stat(pid, with_reaped=not alone)
        waiting = [] if alone else _children(pid)
        while waiting:
            child = waiting.pop()
            more = _stat(child)
            cpu, rss, threads = cpu + more[0], rss + more[1], threads + more[2]
            waiting += _children(child)
        now = self._clock.now()
        then, used = self._before.get(pid, (now - max(age, 0.001), 0.0))
        passed = now - then
        share = 100 * max(0.0, cpu - used) / passed if passed > 0.05 else 0.0
        if passed > 0.05:
            self._before[pid] = (now, cpu)
        return Usage(cpu, rss, threads, round(share, 1))

    def forget(self, alive: set[int]) -> None:
        """Drop what is known of processes that are not in `alive`."""
        for pid in self._before.keys() - alive:
            del self._before[pid]


def _stat(pid: int, *, with_reaped: bool = True) -> tuple[float, int, int]:
    """(CPU seconds, RSS in bytes, threads) from /proc/PID/stat (proc(5))."""
    try:
        handle = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return 0.0, 0, 0
    try:
        words = os.read(handle, 1024).rpartition(b")")[2].split()
    except OSError:
        return 0.0, 0, 0
    finally:
        os.close(handle)
    ticks = int(words[11]) + int(words[12])
    if with_reaped:
        ticks += int(words[13]) + int(words[14])
    return ticks / _TICK, int(words[21]) * _PAGE, int(words[17])


def _children(pid: int) -> list[int]:
    """Children of the main thread only where there is one; of all threads otherwise."""
    try:
        handle = os.open(f"/proc/{pid}/task/{pid}/children", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return []
    try:
        first = [int(word) for word in os.read(handle, 65536).split()]
    except OSError:
        return []
    finally:
        os.close(handle)
    return children_of(pid) if first else first


def fds_of(pid: int) -> int:
    """Open descriptors; 0 when it can't be seen."""
    with contextlib.suppress(OSError):
        return sum(1 for _ in os.scandir(f"/proc/{pid}/fd"))
    return 0


def io_of(pid: int) -> tuple[int, int]:
    """(bytes read, bytes written) from disk; zeros when it can't be seen."""
    read = written = 0
    with contextlib.suppress(OSError, ValueError):
        for line in Path(f"/proc/{pid}/io").read_text().splitlines():
            name, _, value = line.partition(":")
            if name == "read_bytes":
                read = int(value)
            elif name == "write_bytes":
                written = int(value)
    return read, written


class _Host:
    before: tuple[int, int] = (0, 0)


def host_usage() -> dict[str, float]:
    """The machine: CPU % since the last call, memory in bytes, load of the last minute."""
    facts: dict[str, float] = {"cpu": 0.0, "mem_used": 0, "mem_total": 0, "load1": 0.0}
    with contextlib.suppress(OSError, ValueError, IndexError):
        words = [int(w) for w in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
        total, idle = sum(words), words[3] + words[4]
        passed, rest = total - _Host.before[0], idle - _Host.before[1]
        _Host.before = (total, idle)
        facts["cpu"] = round(100 * (1 - rest / passed), 1) if passed > 0 else 0.0
        memory = dict(
            line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines()[:8]
        )
        facts["mem_total"] = int(memory["MemTotal"].split()[0]) * 1024
        available = int(memory["MemAvailable"].split()[0]) * 1024
        facts["mem_used"] = facts["mem_total"] - available
        facts["load1"] = os.getloadavg()[0]
    return facts
