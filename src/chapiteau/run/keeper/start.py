"""How the keeper starts a process: by the compiled `_birth` where there is one, or posix_spawn.

Either way the process is in its cgroup before its first instruction, so that nothing it starts can
escape.
"""

import contextlib
import errno
import fcntl
import os
import resource
import struct
import termios
from collections.abc import Callable
from typing import Any, Final

from .syscalls import CLONE3_UNSUPPORTED, close_all, dup_high, spawn, start_time, ticks, write_to

__all__ = [
    "FORCE_PLAIN",
    "ProcessStarter",
    "argv_on_terminal",
    "compiled_birth",
    "open_input",
    "open_terminal",
]

Message = dict[str, Any]
Moves = list[tuple[int, int]]  # (our descriptor, the child's)
STAGES: Final = ("birth", "descriptors", "cwd", "exec")  # `enum stage` of _birth.c
STAGED_FD: Final = 70  # above all targets: `MOST_MOVES` of _birth.c
EXHAUSTED: Final = (errno.EAGAIN, errno.ENOMEM)
SHORT_SLICE: Final = 100_000  # nanoseconds: the shortest time slice that the kernel gives
FORCE_PLAIN: Final = os.environ.get("CHAPITEAU_KEEPER") == "plain"


def compiled_birth() -> Callable[..., tuple[int, int, int]] | None:
    """`birth`, where it was built for this Python and is wanted."""
    if FORCE_PLAIN:
        return None
    with contextlib.suppress(ImportError):
        from ._birth import birth

        return birth
    return None


class ProcessStarter:
    """`start` gives a process; when it raises OSError, `stage` says where.

    `limit` is RLIMIT_NOFILE as the keeper found it, which its children get. `hold` is a descriptor
    that each child has until its exec: a brain that reads its end knows that whoever was started
    is there.
    """

    def __init__(self) -> None:
        self.limit = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.stage, self.hold = "", -1
        self.birth = compiled_birth()
        self._clock_agrees = False  # whether our clock tells when a child began

    def shorten_slices(self, *, on: bool = True) -> None:
        """Ask the scheduler for short time slices, which come sooner (Linux 6.12).

        After each start the keeper wakes where the new process runs, and would wait for its turn
        several times as long as it then works. `_birth` resets this in the child.
        """
        if self.birth is not None:
            from ._birth import take_turns

            take_turns(SHORT_SLICE if on else 0)

    def prepare(self) -> None:
        """Set up this process as a keeper."""
        self.raise_own_limit()
        self.shorten_slices()

    def raise_own_limit(self) -> None:
        """The keeper holds everybody's pipes and needs many descriptors; its children don't."""
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (self.limit[1], self.limit[1]))

    def start_brain(self, argv: list[str], env: dict[str, str], moves: Moves) -> int:
        """Start a program that is no service, with ordinary time slices. Raises OSError."""
        self.shorten_slices(on=False)
        try:
            return spawn(argv, env, moves)
        finally:
            self.shorten_slices()

    def start(self, message: Message, moves: Moves) -> tuple[int, int]:
        """The pid and start time of a new process. Raises OSError."""
        before = ticks()
        pid = self._by_birth(message, moves) if self.birth is not None else 0
        return (pid := pid or self._by_spawn(message, moves)), self._started_at(pid, before)

    def _by_birth(self, message: Message, moves: Moves) -> int:
        """0 when this kernel, or a filter of the container, does not let us."""
        assert self.birth is not None  # noqa: S101 — for the type checker
        group, umask = message.get("cgroup", ""), message.get("umask")
        self.stage = "cgroup"
        folder = os.open(group, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC) if group else -1
        try:
            pid, number, stage = self.birth(
                message["argv"], message["env"], moves, message.get("cwd", "/"),
                -1 if umask is None else umask, self._limit_of(message), folder, self.hold,
            )  # fmt: skip
        finally:
            if folder >= 0:
                os.close(folder)
        self.stage = STAGES[stage]
        if pid:
            return pid
        if self.stage == "birth":
            if number in CLONE3_UNSUPPORTED:
                self.shorten_slices(on=False)
                self.birth = None
                return 0
            self.stage = "cgroup" if group and number not in EXHAUSTED else "exec"
        raise OSError(number, os.strerror(number))

    def _by_spawn(self, message: Message, moves: Moves) -> int:
        """Take on folder, umask, limit and cgroup, let the child inherit them, and return.

        The keeper has one thread, so nobody sees it there.
        """
        group, umask = message.get("cgroup", ""), message.get("umask")
        before = os.umask(umask) if umask is not None else None
        staged: Moves = []
        try:
            # glibc refuses descriptors beyond the limit that the child gets: give it low ones.
            for fd, target in moves:
                staged.append((fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, STAGED_FD), target))
            self.stage = "cwd"
            os.chdir(message.get("cwd", "/"))
            _set_limit(self._limit_of(message))
            if group:
                self.stage = "cgroup"
                write_to(f"{group}/cgroup.procs", "0")
            self.stage = "exec"
            return spawn(message["argv"], message["env"], staged)
        finally:
            close_all(fd for fd, _ in staged)
            _set_limit((self.limit[1], self.limit[1]))
            os.chdir("/")
            if before is not None:
                os.umask(before)
            if group:
                with contextlib.suppress(OSError, KeyError):
                    write_to(f"{message['home_cgroup']}/cgroup.procs", "0")

    def _started_at(self, pid: int, before: int) -> int:
        """Its start time, when the tick before it was `before`.

        The kernel tells it only once the child has closed what it inherited (a thousand pipes of
        others); by the clock we know it at once, if the two have agreed once.
        """
        if self._clock_agrees and before == ticks():
            return before
        start = start_time(pid)
        self._clock_agrees = self._clock_agrees or start == before
        return start

    def _limit_of(self, message: Message) -> tuple[int, int]:
        soft, hard = self.limit
        return min(message.get("nofile") or soft, hard), hard


def _set_limit(limit: tuple[int, int]) -> None:
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, limit)


# ── standard input that is more than /dev/null ──────────────────────────────────────────────────
TIOCSPTLCK: Final = 0x40045431  # unlocks the other side (ioctl_tty(2))
TIOCGPTN: Final = 0x80045430  # its number
ROWS_COLUMNS: Final = (24, 80)
# The shell leads a session without a terminal, so the first one that it opens becomes its own.
ON_TERMINAL: Final = 'exec "$@" <>"$0" >&0 2>&1'


def open_input() -> tuple[int, int]:
    """(our end, the process's end) of a pipe. Ours does not block, the other does."""
    reader, writer = os.pipe2(os.O_CLOEXEC)
    try:
        os.set_blocking(writer, False)
        return dup_high(writer), dup_high(reader)
    finally:
        os.close(reader)
        os.close(writer)


def open_terminal(owner: tuple[int, int] | None) -> tuple[int, str]:
    """(our end, path of the other, which belongs to the process's user). Raises OSError.

    We never open the other end: after its first close, reading ours would report a hang-up.
    """
    master = os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        fcntl.ioctl(master, TIOCSPTLCK, struct.pack("i", 0))
        number = struct.unpack("i", fcntl.ioctl(master, TIOCGPTN, struct.pack("i", 0)))[0]
        fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", *ROWS_COLUMNS, 0, 0))
        path = f"/dev/pts/{number}"
        if owner is not None:
            os.chown(path, *owner)
        os.set_blocking(master, False)
        return dup_high(master), path
    finally:
        os.close(master)


def argv_on_terminal(path: str, argv: list[Any]) -> list[Any]:
    """The command line that starts a program with this terminal as its own."""
    return ["/bin/sh", "-c", ON_TERMINAL, path, *argv]
