"""What processes use: CPU, memory, threads, descriptors, I/O, over each process's whole tree.

Read from /proc by hand, since this runs once a second for every process: under 10 µs a process
where a general library takes 50 to 150.
"""

import contextlib
import os
import resource
from collections.abc import Collection
from pathlib import Path
from typing import Final, NamedTuple

from chapiteau.core.clock import Clock
from chapiteau.run.system.process_tree import children_of

__all__ = ["Meter", "ProcFiles", "Usage", "fds_of", "host_usage"]


# Files of /proc that are read again and again: kept open, half the price of opening each time.
#
# A file of /proc/PID belongs to that very process: after its end reading fails, also when another
# process has the pid by then.


class ProcFiles:
    """`read` gives a file's bytes. Nothing stays open unless `keep`."""

    def __init__(self, *, keep: bool = False) -> None:
        self._kept: dict[tuple[int, str], int] = {}
        # Descriptors are there for pipes first: a quarter of them is ours at the most.
        self._most = resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 4 if keep else 0

    def read(self, pid: int, name: str) -> bytes:
        """The file's content; empty when the process has gone, or may not be looked at."""
        handle = self._kept.get((pid, name), -1)
        try:
            if handle >= 0:
                return os.pread(handle, 4096, 0)
            handle = os.open(f"/proc/{pid}/{name}", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return b""
        kept = len(self._kept) < self._most
        if kept:
            self._kept[pid, name] = handle
        try:
            return os.pread(handle, 4096, 0)
        except OSError:
            return b""
        finally:
            if not kept:
                os.close(handle)

    def forget(self, alive: Collection[int]) -> None:
        """Close those of processes that are not in `alive`."""
        for pid, name in [key for key in self._kept if key[0] not in alive]:
            os.close(self._kept.pop((pid, name)))

    def close(self) -> None:
        """Close all."""
        self.forget(())


_TICK: Final = os.sysconf("SC_CLK_TCK")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


class Usage(NamedTuple):
    """One look at a process and all below it. A tuple: it is made for every process each second."""

    cpu_seconds: float = 0.0
    rss_bytes: int = 0
    threads: int = 0
    cpu_percent: float = 0.0  # of one core, since the look before
    halted: bool = False  # by SIGSTOP or a debugger


class Meter:
    """Remembers each process's last look, to tell its CPU share since then.

    With `keep`, for looks at a rhythm, the files of the processes stay open until `close`.
    """

    def __init__(self, clock: Clock, *, keep: bool = False) -> None:
        self._clock = clock
        self._before: dict[int, tuple[float, float]] = {}  # pid → (time, cpu seconds)
        self._files = ProcFiles(keep=keep)
        self._parsed: dict[int, tuple[bytes, _Stat]] = {}  # what most processes say is no news

    def look(self, pid: int, age: float, *, alone: bool = False) -> Usage:
        """What the process and its descendants (not when `alone`) use.

        `age` in seconds serves the first look.
        """
        own, reaped, rss, threads, halted = self._stat(pid)
        cpu = own if alone else own + reaped
        waiting = [] if alone else self._children(pid)
        while waiting:
            child = waiting.pop()
            more = self._stat(child)
            cpu, rss, threads = cpu + more[0] + more[1], rss + more[2], threads + more[3]
            waiting += self._children(child)
        now = self._clock.now()
        then, used = self._before.get(pid, (now - max(age, 0.001), 0.0))
        passed = now - then
        share = 100 * max(0.0, cpu - used) / passed if passed > 0.05 else 0.0
        if passed > 0.05:
            self._before[pid] = (now, cpu)
        return Usage(cpu, rss, threads, round(share, 1), halted)

    def forget(self, alive: set[int]) -> None:
        """Drop what is known of processes that are not in `alive`."""
        for pid in self._before.keys() - alive:
            del self._before[pid]
        for pid in self._parsed.keys() - alive:
            del self._parsed[pid]
        self._files.forget(alive)

    def close(self) -> None:
        """Keep no file open; the next look opens them again."""
        self._files.close()
        self._parsed.clear()

    def _stat(self, pid: int) -> "_Stat":
        said = self._files.read(pid, "stat")
        before = self._parsed.get(pid)
        if before is not None and before[0] == said:
            return before[1]
        found = _parse(said)
        self._parsed[pid] = (said, found)
        return found

    def _children(self, pid: int) -> list[int]:
        """Of the main thread only where it has none; of all threads otherwise."""
        first = self._files.read(pid, f"task/{pid}/children")
        return children_of(pid) if first else []


# CPU seconds of its own and of children that it has reaped, RSS in bytes, threads, halted
_Stat = tuple[float, float, int, int, bool]


def _parse(said: bytes) -> _Stat:
    """From /proc/PID/stat (proc(5)); its second word may hold anything, blanks too."""
    words = said.rpartition(b")")[2].split(None, 22)
    if len(words) < 22:
        return 0.0, 0.0, 0, 0, False
    own, reaped = int(words[11]) + int(words[12]), int(words[13]) + int(words[14])
    halted = words[0] in (b"T", b"t")
    return own / _TICK, reaped / _TICK, int(words[21]) * _PAGE, int(words[17]), halted


def fds_of(pid: int) -> int:
    """Open descriptors; 0 when it can't be seen."""
    with contextlib.suppress(OSError):
        # Linux 6.2 says it as the folder's size; before that it was 0, and they must be counted.
        folder = f"/proc/{pid}/fd"
        return os.stat(folder).st_size or sum(1 for _ in os.scandir(folder))  # noqa: PTH116 — often
    return 0


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
