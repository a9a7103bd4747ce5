"""The socket on which processes speak for themselves: sd_notify(3).

The kernel tells the sender's pid with every datagram (SCM_CREDENTIALS); a message counts only for
the process that sent it, or for the process whose descendant did.
"""

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import Callable
from pathlib import Path

__all__ = ["NotifySocket", "parse_notify"]

_CREDENTIALS = struct.Struct("iII")
_LARGEST = 8192
_MOST_FDS = 253  # the kernel's SCM_MAX_FD
_ROOM = socket.CMSG_SPACE(_CREDENTIALS.size) + socket.CMSG_SPACE(4 * _MOST_FDS)


def parse_notify(data: bytes) -> dict[str, str]:
    """NAME=value lines of one datagram; lines without "=" are skipped."""
    found = {}
    for line in data.decode("utf-8", "replace").splitlines():
        name, equals, value = line.partition("=")
        if equals:
            found[name] = value
    return found


class NotifySocket:
    """Listens; `on_message(pid, values, fds)` hears what was said and by whom.

    The descriptors that came along are the hearer's to close.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.on_message: Callable[[int, dict[str, str], list[int]], None] = _unheard
        asyncio.get_running_loop().add_reader(sock, self._read)

    @staticmethod
    def bind(path: Path) -> socket.socket:
        """A datagram socket at the path, writable for every user that services run as."""
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        made.bind(str(path))
        path.chmod(0o666)  # its folder decides who comes near; the kernel tells who speaks
        return made

    def _read(self) -> None:
        for _ in range(64):
            try:
                data, ancillary, _flags, _address = self._sock.recvmsg(
                    _LARGEST, _ROOM, socket.MSG_CMSG_CLOEXEC
                )
            except BlockingIOError:
                return
            pid, fds = 0, []
            for level, kind, content in ancillary:
                if level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS:
                    pid = _CREDENTIALS.unpack_from(content)[0]
                elif level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                    whole = content[: len(content) // 4 * 4]
                    fds += [fd for (fd,) in struct.iter_unpack("i", whole)]
            if pid:
                self.on_message(pid, parse_notify(data), fds)
            else:
                _unheard(pid, {}, fds)

    def fileno(self) -> int:
        """Its descriptor."""
        return self._sock.fileno()

    def close(self) -> None:
        """Stop listening."""
        asyncio.get_running_loop().remove_reader(self._sock)
        self._sock.close()


def _unheard(_pid: int, _values: dict[str, str], fds: list[int]) -> None:
    """Nobody listens: never keep a stranger's file open."""
    for fd in fds:
        with contextlib.suppress(OSError):
            os.close(fd)
