"""How the keeper starts a process: the quickest of the ways that can be had here.

With the compiled `_birth` every start is quick. Without it, in plain Python, one that waits for
this (spare.py) is used, or the process is born into its cgroup (clone.py), or, in a row of starts
and on old kernels, we go into the cgroup and it inherits that.
"""

import contextlib
import os
import resource
import time
from collections.abc import Callable
from typing import Any, Final

from .calls import spawn, start_of, ticks, write_to
from .clone import NOT_HERE, NotHereError, spawn_into
from .spare import Spare

__all__ = ["ROW", "Starting"]

Message = dict[str, Any]
Moves = list[tuple[int, int]]  # (our descriptor, the child's)
ROW: Final = 3  # so many starts, each within ROW_GAP seconds of the one before, are a row
ROW_GAP: Final = 0.01
ROW_COMES: Final = 0.2  # seconds within which one that was foreseen begins
STAGES: Final = ("descriptors", "cwd", "exec")  # `enum stage` of _birth.c
PLAIN: Final = os.environ.get("CHAPITEAU_KEEPER") == "plain"


def compiled() -> Callable[..., tuple[int, int, int]] | None:
    """`birth`, where it was built, is for this Python and is wanted."""
    if PLAIN:
        return None
    with contextlib.suppress(ImportError):
        from ._birth import birth

        return birth
    return None


class Starting:
    """`start` gives a process; when that raises OSError, `stage` tells where.

    `limit` is RLIMIT_NOFILE as we found it: what our children get.
    """

    def __init__(self) -> None:
        self.limit = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.stage = ""
        self.spare = Spare()
        self.birth = compiled()
        self._clone = True  # until the kernel says that it can't
        self._clock = False  # whether it tells when a child began
        self._away = False  # whether we are in a child's cgroup just now
        self._row, self._last = 0, 0.0  # starts in a row, and when the last one was done
        self._foreseen = 0.0  # until when a row may begin

    def facts(self) -> Message:
        """What a brain wants to know of this."""
        spare, quick = self.spare.group, self.birth is not None
        return {"nofile": self.limit[0], "spare": spare, "quick": quick}

    def start(self, message: Message, moves: Moves) -> tuple[int, int]:
        """The pid and the start of a new process. Raises OSError.

        It is in its cgroup before its first instruction, so that nothing it ever starts can escape.
        """
        pid, start = self._by_spare(message, moves)
        if not pid:
            pid, start = self._by_birth(message, moves)
        if not pid:
            pid, start = self._inside(message, moves)
        return pid, start

    def _by_birth(self, message: Message, moves: Moves) -> tuple[int, int]:
        """(0, 0) when this kernel, or a rule of the container, does not let us."""
        groups = message.get("cgroups", ())
        if self.birth is None or not self._clone or len(groups) > 1:
            return 0, 0
        self.stage = "cgroup"
        folder = os.open(groups[0], os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC) if groups else -1
        umask = message.get("umask")
        cwd, umask = message.get("cwd", "/"), -1 if umask is None else umask
        now = ticks()
        try:
            pid, number, stage = self.birth(
                message["argv"], message["env"], moves, cwd, umask, self._limit(message), folder
            )
        finally:
            if folder >= 0:
                os.close(folder)
        self.stage = STAGES[stage]
        if pid:
            return pid, self._began(pid, now)
        if number in NOT_HERE and self.stage == "descriptors":
            self._clone = False
            return 0, 0
        raise OSError(number, os.strerror(number))

    def _by_spare(self, message: Message, moves: Moves) -> tuple[int, int]:
        """Let the one that waits in this cgroup become it; (0, 0) when none does."""
        if not self.spare.group or self.spare.group not in message.get("cgroups", ()):
            return 0, 0
        try:
            return self.spare.start(message, moves, self._limit(message)), self.spare.born
        except OSError:
            self.stage = self.spare.stage
            raise
        finally:
            self._last = time.monotonic()

    def _inside(self, message: Message, moves: Moves) -> tuple[int, int]:
        """Start it in its folder, umask and limits: we take them on, it inherits, we return.

        With one thread nobody sees us there.
        """
        groups, umask = message.get("cgroups", ()), message.get("umask")
        before = os.umask(umask) if umask is not None else None
        try:
            self.stage = "cwd"
            os.chdir(message.get("cwd", "/"))
            self._set_soft_limit(self._limit(message)[0])
            self.stage = "exec"
            argv, env = message["argv"], message["env"]
            now = ticks()
            if groups and self._clone and not self._better_moved(message):
                pid = self._born(groups[0], argv, env, moves)
            else:
                pid = self._moved(groups, argv, env, moves)
            return pid, self._began(pid, now)
        finally:
            self._last = time.monotonic()
            self.raise_own_limit()
            os.chdir("/")
            if before is not None:
                os.umask(before)
            for home in message.get("home_cgroups", ()) if self._away else ():
                with contextlib.suppress(OSError):
                    write_to(f"{home}/cgroup.procs", "0")
            self._away = False

    def _began(self, pid: int, before: int) -> int:
        """Its start, when the tick before it was `before`.

        The kernel tells it only when the child has closed what it inherited (a thousand pipes of
        others): by the clock we know it at once, where that has agreed once, and but for a tick
        that turned meanwhile.
        """
        if self._clock and before == ticks():
            return before
        start = start_of(pid)
        self._clock = self._clock or start == before
        return start

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
        with contextlib.suppress(NotHereError):
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

    def _limit(self, message: Message) -> tuple[int, int]:
        soft, hard = self.limit
        return min(message.get("nofile") or soft, hard), hard

    def _set_soft_limit(self, soft: int) -> None:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, self.limit[1]))

    def raise_own_limit(self) -> None:
        """The keeper holds the pipes of everybody: it needs many descriptors; they don't."""
        self._set_soft_limit(self.limit[1])
