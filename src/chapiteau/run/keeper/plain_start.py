"""Starting a process in plain Python: where `_birth` was not compiled, or is not allowed.

One that waits for this (spare.py) is used, or the process is born into its cgroup (clone.py), or,
in a row of starts and on old kernels, we go into the cgroup and it inherits that.
"""

import contextlib
import os
import resource
import time
from typing import Any, Final

from .clone import CloneUnsupportedError, spawn_into
from .prefork import PreforkedProcess
from .syscalls import spawn, write_to

__all__ = ["PlainStarter"]

Message = dict[str, Any]
Moves = list[tuple[int, int]]  # (our descriptor, the child's)
Limit = tuple[int, int]  # soft and hard RLIMIT_NOFILE
ROW: Final = 3  # so many starts, each within ROW_GAP seconds of the one before, are a row
ROW_GAP: Final = 0.01
ROW_COMES: Final = 0.2  # seconds within which one that was foreseen begins


class PlainStarter:
    """`start` gives a process; when that raises OSError, `stage` tells where."""

    def __init__(self) -> None:
        self.stage = ""
        self.spare = PreforkedProcess()
        self._clone = True  # until the kernel says that it can't
        self._away = False  # whether we are in a child's cgroup just now
        self._row, self._last = 0, 0.0  # starts in a row, and when the last one was done
        self._foreseen = 0.0  # until when a row may begin

    def start(self, message: Message, moves: Moves, limit: Limit) -> tuple[int, int]:
        """Its pid, and its start, 0 when that is not known yet. Raises OSError."""
        try:
            if pid := self._by_spare(message, moves, limit):
                return pid, self.spare.born
            return self._inside(message, moves, limit), 0
        finally:
            self._last = time.monotonic()

    def _by_spare(self, message: Message, moves: Moves, limit: Limit) -> int:
        """Let the one that waits in this cgroup become it; 0 when none does."""
        if not self.spare.group or self.spare.group not in message.get("cgroups", ()):
            return 0
        try:
            return self.spare.start(message, moves, limit)
        except OSError:
            self.stage = self.spare.stage
            raise

    def _inside(self, message: Message, moves: Moves, limit: Limit) -> int:
        """Start it in its folder, umask and limits: we take them on, it inherits, we return.

        With one thread nobody sees us there.
        """
        groups, umask = message.get("cgroups", ()), message.get("umask")
        before = os.umask(umask) if umask is not None else None
        try:
            self.stage = "cwd"
            os.chdir(message.get("cwd", "/"))
            _set_limit(limit)
            self.stage = "exec"
            argv, env = message["argv"], message["env"]
            if groups and self._clone and not self._better_moved(message):
                return self._born(groups[0], argv, env, moves)
            return self._moved(groups, argv, env, moves)
        finally:
            _set_limit((limit[1], limit[1]))
            os.chdir("/")
            if before is not None:
                os.umask(before)
            for home in message.get("home_cgroups", ()) if self._away else ():
                with contextlib.suppress(OSError):
                    write_to(f"{home}/cgroup.procs", "0")
            self._away = False

    def foresee(self) -> None:
        """Many starts come soon: already the first of them belongs to a row."""
        self._foreseen = time.monotonic() + ROW_COMES

    def _better_moved(self, message: Message) -> bool:
        """Whether to go into the cgroup ourselves and start from there.

        The first such move waits some 5 ms for the kernel, those that follow at once take 10 µs,
        and the start then copies no memory: in a row that is three times as fast as a clone.
        Never where a limit would count us in.
        """
        now = time.monotonic()
        soon = now - self._last < ROW_GAP
        self._row = self._row + 1 if soon else ROW if now < self._foreseen else 0
        return self._row >= ROW and not message.get("limited")

    def _born(self, group: str, argv: list[str], env: dict[str, str], moves: Moves) -> int:
        """In its cgroup from the first instruction on; on old kernels by way of us being there."""
        with contextlib.suppress(CloneUnsupportedError):
            return spawn_into(group, argv, env, moves)
        self._clone = False
        return self._moved([group], argv, env, moves)

    def _moved(self, groups: list[str], argv: list[str], env: dict[str, str], moves: Moves) -> int:
        """We go into the cgroup, the child inherits it, we return."""
        self.stage = "cgroup" if groups else "exec"
        for group in groups:
            write_to(f"{group}/cgroup.procs", "0")
            self._away = True
        self.stage = "exec"
        return spawn(argv, env, moves)


def _set_limit(limit: Limit) -> None:
    """Our own limit of open files, which a child inherits."""
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, limit)
