"""Starts a process inside a cgroup, with clone3(2) and CLONE_INTO_CGROUP (Linux 5.7).

Moving a process into a cgroup, as the alternative would, waits for the kernel's readers: about
10 ms whenever nothing was moved shortly before. Being born there waits for nothing.
"""

import ctypes
import errno
import os
import signal
import struct
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from .syscalls import CLONE3_UNSUPPORTED

if TYPE_CHECKING:
    _signal = signal
else:
    import _signal  # without names for numbers: fewer pages are touched

__all__ = ["CloneUnsupportedError", "fork_into", "spawn_into", "start_session"]

SYS_CLONE3: Final = 435  # the same number on every architecture
CLONE_VFORK: Final = 0x4000
CLONE_CLEAR_SIGHAND: Final = 0x1_0000_0000  # Linux 5.5: what we handle is at its default there
CLONE_INTO_CGROUP: Final = 0x2_0000_0000
# What stays ignored across exec unless told otherwise: Python ignores both from its start on.
IGNORED: Final = (_signal.SIGPIPE, _signal.SIGXFSZ)
_ARGS: Final = struct.Struct("11Q")  # struct clone_args, second version
_libc: Final = ctypes.CDLL(None, use_errno=True)


class CloneUnsupportedError(OSError):
    """This kernel, or a rule of the container, does not let us."""


def fork_into(group: str, flags: int = 0) -> int:
    """Fork, the child in the cgroup folder `group`: its pid, 0 in the child. Raises OSError.

    The memory is copied, not shared, and this process has one thread: what runs there is whole.
    """
    folder = os.open(group, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    flags |= CLONE_CLEAR_SIGHAND | CLONE_INTO_CGROUP
    packed = _ARGS.pack(flags, 0, 0, 0, _signal.SIGCHLD, 0, 0, 0, 0, 0, folder)
    buffer = ctypes.create_string_buffer(packed, len(packed))
    pid = int(_libc.syscall(ctypes.c_long(SYS_CLONE3), buffer, ctypes.c_size_t(len(packed))))
    if pid == 0:
        return 0
    os.close(folder)
    if pid < 0:
        number = ctypes.get_errno()
        raise (CloneUnsupportedError if number in CLONE3_UNSUPPORTED else OSError)(
            number, os.strerror(number)
        )
    return pid


def spawn_into(
    group: str, argv: list[str], env: dict[str, str], moves: Iterable[tuple[int, int]]
) -> int:
    """As `spawn`, in the cgroup folder `group`; we wait until it has exec'ed. Raises OSError.

    Every page that the child touches before that is a fault of its own, so it does only what must
    be done there.
    """
    said, say = os.pipe2(os.O_CLOEXEC)
    try:
        pid = fork_into(group, CLONE_VFORK)
        if pid == 0:
            _be_born(argv, env, moves, say)
        os.close(say)
        say = -1
        word = os.read(said, 4)
    finally:
        for fd in (said, say):
            if fd >= 0:
                os.close(fd)
    if word:
        os.waitpid(pid, 0)
        number = int.from_bytes(word, "little")
        raise OSError(number, os.strerror(number))
    return pid


def start_session() -> None:
    """A session of its own, every signal at its default. The keeper blocks none, so there is no
    mask to lift."""
    os.setsid()
    for one in IGNORED:
        _signal.signal(one, _signal.SIG_DFL)


def _be_born(
    argv: list[str], env: dict[str, str], moves: Iterable[tuple[int, int]], say: int
) -> None:
    """The child's side: never returns."""
    number = errno.EIO
    try:
        start_session()
        for source, target in moves:
            os.dup2(source, target)
        os.execve(argv[0], argv, env)
    except OSError as exc:
        number = exc.errno or number
    finally:
        os.write(say, number.to_bytes(4, "little"))
        os._exit(127)
