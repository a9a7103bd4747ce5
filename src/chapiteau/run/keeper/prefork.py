"""A process that is born before anybody needs it, and becomes the next one that is started.

Being born into a cgroup copies our memory, and throwing that away again at exec costs as much:
together more than all else between a death and the next start. So it is done while nothing
happens. It waits in its own cgroup and session, holding nothing of ours but one end of a channel.
"""

import contextlib
import errno
import marshal
import os
import resource
import signal
import socket
from typing import Any, Final

from .clone import fork_into, start_session
from .syscalls import LOW_FD, MAX_FDS, dup_high, receive, receive_buffer, start_time, write_to

__all__ = ["PreforkedProcess"]

PATIENCE: Final = 2.0  # seconds for its exec; then it is killed, and another way is taken
LARGEST: Final = 1 << 17  # bytes of words and environment: the room of a socket has an end


class PreforkedProcess:
    """`group` is the folder in which one waits, "" when none does; `born` the start of the last."""

    def __init__(self) -> None:
        self.group, self.pid, self.born, self.stage = "", 0, 0, ""
        self._channel: socket.socket | None = None

    def prepare(self, group: str) -> None:
        """Let one wait in this folder, or none in ""; no other then waits anywhere."""
        self.dismiss()
        if group:
            with contextlib.suppress(OSError):  # the next start takes another way, and tells
                self._make(group)

    def _make(self, group: str) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            pid = fork_into(group)
            if pid == 0:
                _wait(theirs)
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        ours.settimeout(PATIENCE)
        self.group, self.pid, self.born, self._channel = group, pid, start_time(pid), ours

    def dismiss(self) -> None:
        """It is not needed: at the end of its channel it ends. Whoever reaps finds it dead."""
        if self._channel is not None:
            self._channel.close()
        self.group, self.pid, self._channel = "", 0, None

    def start(
        self, message: dict[str, Any], moves: list[tuple[int, int]], limit: tuple[int, int]
    ) -> int:
        """Let it become this program: its pid, 0 when that must be done in another way.

        Raises OSError when the program can't be started; `stage` is then "cwd" or "exec".
        """
        sources, targets = [source for source, _ in moves], [target for _, target in moves]
        cwd, umask = message.get("cwd", "/"), message.get("umask")
        work = marshal.dumps((message["argv"], message["env"], cwd, umask, limit, targets))
        channel, pid = self._channel, self.pid
        if channel is None or len(moves) > MAX_FDS or len(work) > LARGEST:
            return 0
        self.group, self.pid, self._channel = "", 0, None
        try:
            with channel:
                socket.send_fds(channel, [work], sources)
                word = channel.recv(64)
        except OSError:
            # It has died, or something holds it: whatever it still does, it must not be a second.
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
            return 0
        if not word:
            return pid
        os.waitpid(pid, 0)  # it has said its last word
        number, _, self.stage = word.decode().partition(" ")
        raise OSError(int(number), os.strerror(int(number)))


def _wait(channel: socket.socket) -> None:
    """The spare's own life: never returns."""
    try:
        start_session()
        link = socket.socket(fileno=dup_high(channel.fileno()))
        last = max(map(int, os.listdir("/proc/self/fd")))
        os.closerange(3, link.fileno())  # sockets and pipes: who lets go of them means it
        os.closerange(link.fileno() + 1, last + 1)
        _be_called(b"chapiteau-spare")
        work, fds = receive(link, receive_buffer(2 * LARGEST))
        if work:
            _become(work, [dup_high(fd) for fd in fds], link)
    finally:
        os._exit(127)


def _be_called(name: bytes) -> None:
    """What `ps` shows: with our words it would be taken for a second keeper."""
    with contextlib.suppress(OSError, ValueError):
        write_to("/proc/self/comm", name.decode())
        with open("/proc/self/stat", "rb") as stat, open("/proc/self/mem", "r+b", 0) as memory:
            start, end = map(int, stat.read().rpartition(b")")[2].split()[45:47])
            memory.seek(start)
            memory.write(name[: end - start - 1].ljust(end - start, b"\0"))


def _become(work: bytes, fds: list[int], link: socket.socket) -> None:
    """Returns only when it could not, and has said so."""
    argv, env, cwd, umask, limit, targets = marshal.loads(work)  # noqa: S302 — our own parent's
    stage = "cwd"
    try:
        os.chdir(cwd)
        resource.setrlimit(resource.RLIMIT_NOFILE, limit)
        if umask is not None:
            os.umask(umask)
        stage = "exec"
        os.closerange(3, LOW_FD)
        for fd, target in zip(fds, targets, strict=True):
            os.dup2(fd, target)
        os.execve(argv[0], argv, env)
    except OSError as exc:
        link.send(f"{exc.errno or errno.EIO} {stage}".encode())
