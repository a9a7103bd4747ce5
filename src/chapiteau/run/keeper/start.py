"""How the keeper starts a process: by the compiled `_birth` where that can be had, or plainly.

The plain way (plain.py) is imported when it is needed: the keeper stays small.
"""

import contextlib
import errno
import fcntl
import os
import resource
import struct
import termios
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from .syscalls import CLONE3_UNSUPPORTED, dup_high, spawn, start_time, ticks

if TYPE_CHECKING:
    from .plain_start import PlainStarter

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
NO_ROOM: Final = (errno.EAGAIN, errno.ENOMEM)  # there, as at an exec, the machine is full
SHORT: Final = 100_000  # nanoseconds: the shortest turns that the kernel gives
FORCE_PLAIN: Final = os.environ.get("CHAPITEAU_KEEPER") == "plain"


def compiled_birth() -> Callable[..., tuple[int, int, int]] | None:
    """`birth`, where it was built, is for this Python and is wanted."""
    if FORCE_PLAIN:
        return None
    with contextlib.suppress(ImportError):
        from ._birth import birth

        return birth
    return None


class ProcessStarter:
    """`start` gives a process; when that raises OSError, `stage` tells where.

    `limit` is RLIMIT_NOFILE as we found it: what our children get. `hold` is a descriptor that
    each has until its exec: a brain that sees it end knows that whoever was started is there.
    """

    def __init__(self) -> None:
        self.limit = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.stage, self.hold = "", -1
        self.birth = compiled_birth()
        self._plain: PlainStarter | None = None
        self._clock = False  # whether it tells when a child began

    @property
    def plain(self) -> "PlainStarter":
        """The way without compiled code."""
        if self._plain is None:
            from .plain_start import PlainStarter

            self._plain = PlainStarter()
        return self._plain

    def facts(self) -> Message:
        """What a brain wants to know of this."""
        spare = self._plain.spare.group if self._plain is not None else ""
        return {"nofile": self.limit[0], "spare": spare, "quick": self.birth is not None}

    def hurry(self, *, on: bool = True) -> None:
        """Ask the scheduler for short turns, which come sooner (Linux 6.12, sched_setattr(2)).

        After each start the keeper wakes where the new process runs: else it waits for its turn
        there, several times as long as it then works. Children have the usual turns; what is
        started in another way must be so while this is off.
        """
        if self.birth is not None:
            from ._birth import take_turns

            take_turns(SHORT if on else 0)

    def get_ready(self) -> None:
        """Be a keeper: nothing else in this process wants other limits, or longer turns."""
        self.raise_own_limit()
        self.hurry()

    def as_usual(self, argv: list[str], env: dict[str, str], moves: Moves) -> int:
        """Start a program that is no service: a brain. Raises OSError."""
        self.hurry(on=False)
        try:
            return spawn(argv, env, moves)
        finally:
            self.hurry()

    def start(self, message: Message, moves: Moves) -> tuple[int, int]:
        """The pid and the start of a new process. Raises OSError.

        It is in its cgroup before its first instruction, so that nothing it ever starts can escape.
        """
        groups = message.get("cgroups", ())
        if self.birth is None or len(groups) > 1:
            return self._plainly(message, moves)
        self.stage = "cgroup"
        folder = os.open(groups[0], os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC) if groups else -1
        umask = message.get("umask")
        cwd, umask = message.get("cwd", "/"), -1 if umask is None else umask
        now = ticks()
        try:
            pid, number, stage = self.birth(
                message["argv"], message["env"], moves,
                cwd, umask, self._limit(message), folder, self.hold,
            )  # fmt: skip
        finally:
            if folder >= 0:
                os.close(folder)
        self.stage = STAGES[stage]
        if pid:
            return pid, self._began(pid, now)
        if self.stage == "birth":
            if number in CLONE3_UNSUPPORTED:
                self.hurry(on=False)
                self.birth = None  # this kernel, or a rule of the container, does not let us
                return self._plainly(message, moves)
            self.stage = "cgroup" if groups and number not in NO_ROOM else "exec"
        raise OSError(number, os.strerror(number))

    def _plainly(self, message: Message, moves: Moves) -> tuple[int, int]:
        now = ticks()
        try:
            pid, start = self.plain.start(message, moves, self._limit(message))
        except OSError:
            self.stage = self.plain.stage
            raise
        return pid, start or self._began(pid, now)

    def _began(self, pid: int, before: int) -> int:
        """Its start, when the tick before it was `before`.

        The kernel tells it only when the child has closed what it inherited (a thousand pipes of
        others): by the clock we know it at once, where that has agreed once, and but for a tick
        that turned meanwhile.
        """
        if self._clock and before == ticks():
            return before
        start = start_time(pid)
        self._clock = self._clock or start == before
        return start

    def prepare(self, group: str) -> None:
        """Let a process wait in this folder for its start, or none in ""."""
        self.plain.spare.prepare(group)

    def foresee(self) -> None:
        """Many starts come soon."""
        if self.birth is None:
            self.plain.foresee()

    def ended(self, pid: int) -> None:
        """Whoever waited for a start may be the one that has ended."""
        if self._plain is not None and pid == self._plain.spare.pid:
            self._plain.spare.dismiss()

    def _limit(self, message: Message) -> tuple[int, int]:
        soft, hard = self.limit
        return min(message.get("nofile") or soft, hard), hard

    def raise_own_limit(self) -> None:
        """The keeper holds the pipes of everybody: it needs many descriptors; they don't."""
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (self.limit[1], self.limit[1]))


# Standard input that is more than nothing: a pipe that somebody may write to, or a terminal.

TIOCSPTLCK: Final = 0x40045431  # unlocks the slave's side (ioctl_tty(2))
TIOCGPTN: Final = 0x80045430  # its number
ROWS_COLUMNS: Final = (24, 80)
# The shell leads a session that has no terminal, so the first one that it opens becomes it.
ON_TERMINAL: Final = 'exec "$@" <>"$0" >&0 2>&1'


def open_input() -> tuple[int, int]:
    """(our end, the process's end). Ours does not block, the other does."""
    reader, writer = os.pipe2(os.O_CLOEXEC)
    try:
        os.set_blocking(writer, False)
        return dup_high(writer), dup_high(reader)
    finally:
        os.close(reader)
        os.close(writer)


def open_terminal(owner: tuple[int, int] | None) -> tuple[int, str]:
    """(our end, path of the other). It belongs to the process's user. Raises OSError.

    We never open the other end: from the first close on, reading ours would say "hung up".
    """
    plain = os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        fcntl.ioctl(plain, TIOCSPTLCK, struct.pack("i", 0))
        number = struct.unpack("i", fcntl.ioctl(plain, TIOCGPTN, struct.pack("i", 0)))[0]
        fcntl.ioctl(plain, termios.TIOCSWINSZ, struct.pack("HHHH", *ROWS_COLUMNS, 0, 0))
        path = f"/dev/pts/{number}"
        if owner is not None:
            os.chown(path, *owner)
        os.set_blocking(plain, False)
        return dup_high(plain), path
    finally:
        os.close(plain)


def argv_on_terminal(path: str, argv: list[Any]) -> list[Any]:
    """The words that start a program with this terminal as its own."""
    return ["/bin/sh", "-c", ON_TERMINAL, path, *argv]
