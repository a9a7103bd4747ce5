"""System calls of the keeper, each a line or a few."""

import array
import contextlib
import errno
import fcntl
import mmap
import os
import select
import signal
import socket
import struct
import time
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final

__all__ = [
    "CLONE3_UNSUPPORTED",
    "HANDLED_SIGNALS",
    "LOW_FD",
    "MAX_FDS",
    "RESET_SIGNALS",
    "channel_pair",
    "close_all",
    "dup_high",
    "ended_for_ever",
    "exit_from_status",
    "foreign_exit",
    "log_line",
    "make_pipe",
    "no_new_privs",
    "open_fds",
    "open_log",
    "own_children",
    "pidfd_of",
    "pids_in",
    "pipe_limit_exempt",
    "protect",
    "receive",
    "receive_buffer",
    "sd_notify",
    "spawn",
    "start_time",
    "ticks",
    "wait_or_kill",
    "write_to",
]

LOW_FD: Final = 200  # what is kept lives above: a child's own descriptors are put at 0, 1, 2, 3 …
MAX_FDS: Final = 8  # descriptors that may come with a message
CLONE3_UNSUPPORTED: Final = (errno.ENOSYS, errno.E2BIG, errno.EINVAL, errno.EPERM)
_CARRIED: Final = socket.CMSG_LEN(MAX_FDS * 4)
PIPE_SIZE: Final = 1 << 20
F_SETPIPE_SZ: Final = 1031
EXEMPT: Final = 1 << 24 | 1 << 21  # CAP_SYS_RESOURCE, CAP_SYS_ADMIN
PIDFD_GET_INFO: Final = 3 << 30 | 64 << 16 | 0xFF << 8 | 11  # _IOWR(0xFF, 11, 64 bytes)
PIDFD_INFO_EXIT: Final = 1 << 3
TICK: Final = 1_000_000_000 // os.sysconf("SC_CLK_TCK")  # nanoseconds
HANDLED_SIGNALS: Final = (
    signal.SIGCHLD,
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGHUP,
)  # by a keeper
# All of them: PIPE and XFSZ are ignored by Python, others by nohup or a shell's &.
RESET_SIGNALS: Final = tuple(signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP})


def spawn(argv: list[str], env: dict[str, str], moves: Iterable[tuple[int, int]]) -> int:
    """Start a program in a session of its own, signals at their defaults. Raises OSError.

    posix_spawn shares our memory until exec (vfork): its price does not grow with our size, and
    a failing exec comes back as the error that it is.
    """
    actions = [(os.POSIX_SPAWN_DUP2, source, target) for source, target in moves]
    return os.posix_spawn(
        argv[0],
        argv,
        env,
        file_actions=actions,
        setsid=True,
        setsigmask=(),
        setsigdef=RESET_SIGNALS,
    )


def channel_pair() -> tuple[socket.socket, socket.socket]:
    """Two ends between keeper and brain, with room for many messages: fewer turns of both."""
    ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in ends:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    return ends


def make_pipe() -> tuple[int, int]:
    """(reader, writer). The writer is opened read-write, so that its owner never gets SIGPIPE:
    even when every reader has died, what it writes waits in the pipe for the next reader."""
    reader, plain = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    try:  # opened apart from the reader, this end blocks
        writer = os.open(f"/proc/self/fd/{plain}", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        os.close(reader)
        raise
    finally:
        os.close(plain)
    if pipe_limit_exempt():
        with contextlib.suppress(OSError):
            fcntl.fcntl(reader, F_SETPIPE_SZ, PIPE_SIZE)
    return reader, writer


@lru_cache(maxsize=1)
def pipe_limit_exempt() -> bool:
    """Whether the kernel grants us pipes beyond a user's share (pipe(7), pipe-user-pages-soft).

    64 pipes of 1 MiB use up everybody else's: every further pipe of the user, whichever program
    makes it, then holds 8 KiB. Without that right pipes begin with 64 KiB, and busy ones grow
    (run/logs/pipe_poller.py). In a user namespace of its own even root has no right that counts.
    """
    try:
        with open("/proc/self/uid_map", "rb") as stream:
            everybody = stream.read().split() == [b"0", b"0", b"4294967295"]
        with open("/proc/self/status", "rb") as stream:
            held = int(stream.read().partition(b"\nCapEff:")[2].split()[0], 16)
    except (OSError, ValueError, IndexError):
        return False
    return everybody and bool(held & EXEMPT)


def dup_high(fd: int) -> int:
    """A copy of the descriptor with a number that no child uses."""
    return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, LOW_FD)


def close_all(fds: Iterable[int]) -> None:
    """Close them, whatever they are."""
    for fd in fds:
        with contextlib.suppress(OSError):
            os.close(fd)


def write_to(path: str, text: str) -> None:
    """Write to a file of the kernel. Raises OSError."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def protect(pid: int | str) -> bool:
    """Let it be among the last to go when memory ends; whether we may, which root alone does."""
    try:
        write_to(f"/proc/{pid}/oom_score_adj", "-900")
    except OSError:
        return False
    return True


def pids_in(group: str) -> list[int]:
    """Who is in a cgroup."""
    try:
        fd = os.open(f"{group}/cgroup.procs", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return []
    found = b""
    try:
        while data := os.read(fd, 1 << 16):
            found += data
        return [int(line) for line in found.split()]
    except (OSError, ValueError):
        return []
    finally:
        os.close(fd)


def receive_buffer(size: int) -> memoryview:
    """Memory to receive into, of which only what was ever written to is really there."""
    return memoryview(mmap.mmap(-1, size))


def receive(link: socket.socket, into: memoryview) -> tuple[bytes, list[int]]:
    """A message and the descriptors that came with it. Raises OSError.

    As socket.recv_fds(3), into memory that is there already: making a quarter of a megabyte for
    each message costs more than all else that is done with it.
    """
    size, beside, _flags, _address = link.recvmsg_into([into], _CARRIED)
    fds = array.array("i")
    for level, kind, data in beside:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(data[: len(data) - len(data) % fds.itemsize])
    return bytes(into[:size]), list(fds)


def own_children() -> list[int]:
    """Every child of this process, orphans that the kernel gave us too."""
    with contextlib.suppress(OSError), open("/proc/thread-self/children", "rb") as stream:
        return [int(word) for word in stream.read().split()]
    return []


def open_fds() -> list[int]:
    """Every descriptor of this process: at our start also what a careless shell left open, which
    no service shall have, and whose other end would wait for our end."""
    try:
        return [int(name) for name in os.listdir("/proc/self/fd")]
    except OSError:
        return []


def exit_from_status(status: int) -> dict[str, Any]:
    """A wait status as {"code", "signal", "core"}."""
    if os.WIFSIGNALED(status):
        return {"code": None, "signal": os.WTERMSIG(status), "core": os.WCOREDUMP(status)}
    return {"code": os.WEXITSTATUS(status), "signal": None, "core": False}


def start_time(pid: int) -> int:
    """Start time in clock ticks since boot: with the pid it names a process for ever. 0: gone."""
    try:
        fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return 0
    try:
        return int(os.read(fd, 4096).rpartition(b")")[2].split(None, 20)[19])
    except (OSError, IndexError, ValueError):
        return 0
    finally:
        os.close(fd)


def ticks() -> int:
    """Clock ticks since boot: what `start_of` tells of a process that is born now."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // TICK


def pidfd_of(pid: int) -> int:
    """A descriptor that becomes readable when the process ends; -1 when there is none."""
    try:
        return os.pidfd_open(pid)
    except OSError:
        return -1


def ended_for_ever() -> int:
    """A descriptor that is readable from the beginning, as that of a process that has ended."""
    reading, writing = os.pipe2(os.O_CLOEXEC)
    os.close(writing)
    return reading


def wait_or_kill(pid: int, patience: float) -> int:
    """Let a child end within so many seconds, or kill it; its wait status. Raises OSError."""
    waiting = pidfd_of(pid)
    if waiting >= 0:
        if not select.select([waiting], [], [], patience)[0]:
            os.kill(pid, signal.SIGKILL)
        os.close(waiting)
    return os.waitpid(pid, 0)[1]


def foreign_exit(pidfd: int) -> dict[str, Any] | None:
    """How a process that is not our child ended; None when nobody can tell (yet).

    PIDFD_GET_INFO (Linux 6.15, include/uapi/linux/pidfd.h) tells once its parent has reaped it.
    """
    record = bytearray(64)
    struct.pack_into("Q", record, 0, PIDFD_INFO_EXIT)
    try:
        fcntl.ioctl(pidfd, PIDFD_GET_INFO, record)
    except OSError:
        return None
    if not struct.unpack_from("Q", record)[0] & PIDFD_INFO_EXIT:
        return None
    return exit_from_status(struct.unpack_from("i", record, 60)[0])


def no_new_privs() -> bool:
    """Whether this process, and so every child, can gain no rights by exec."""
    with contextlib.suppress(OSError), open("/proc/self/status", "rb") as stream:
        return b"NoNewPrivs:\t1" in stream.read()
    return False


def open_log(run_dir: str) -> int:
    """The supervisor's log for a brain to write to; where it can't be opened (read-only), ours."""
    try:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        return os.open(f"{run_dir}/supervisor.log", flags, 0o640)
    except OSError:
        return dup_high(2)


def sd_notify(text: str) -> None:
    """Tell the service manager above us (sd_notify(3)), if there is one."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
        out.sendto(text.encode(), "\0" + address[1:] if address[0] == "@" else address)


def log_line(text: str) -> None:
    """One line into the supervisor's log."""
    with contextlib.suppress(OSError):
        os.write(2, f"{time.strftime('%Y-%m-%dT%H:%M:%S')} keeper: {text}\n".encode())
