"""Files of /proc that are read again and again: kept open, half the price of opening each time.

A file of /proc/PID belongs to that very process: after its end reading fails, also when another
process has the pid by then.
"""

import os
import resource
from collections.abc import Collection

__all__ = ["ProcFiles"]


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
