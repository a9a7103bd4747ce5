"""Listening sockets: handed over by a supervisor (systemd's protocol), or bound here."""

import os
import select
import socket
from collections.abc import MutableMapping
from pathlib import Path
from typing import Final, Protocol

from chapiteau.service.errors import ServeError

__all__ = ["READ", "WRITE", "Poller", "inherited_sockets", "listen", "new_poller", "port_of"]

_FIRST: Final = 3  # SD_LISTEN_FDS_START


def inherited_sockets(environ: MutableMapping[str, str] | None = None) -> list[socket.socket]:
    """The sockets of LISTEN_FDS, when LISTEN_PID names this process (sd_listen_fds(3)).

    The variables are removed, so that children of the application don't take them for theirs.
    """
    env = os.environ if environ is None else environ
    count, pid = env.pop("LISTEN_FDS", ""), env.pop("LISTEN_PID", "")
    env.pop("LISTEN_FDNAMES", None)
    if not count.isdigit() or (pid and pid != str(os.getpid())):
        return []
    found = []
    for handle in range(_FIRST, _FIRST + int(count)):
        os.set_inheritable(handle, False)
        try:
            found.append(socket.socket(fileno=handle))
        except OSError as exc:
            raise ServeError(
                f"descriptor {handle} of LISTEN_FDS is no socket: {exc.strerror}",
                hint="the program that starts this worker must hand over listening sockets",
            ) from None
    return found


def listen(address: str, *, backlog: int = 2048) -> socket.socket:
    """Listen on `host:port`, `[v6]:port` or `unix:/path`. Raises ServeError."""
    try:
        if address.startswith("unix:"):
            return _bind_path(Path(address.removeprefix("unix:")), backlog)
        host, _, port = address.rpartition(":")
        if not port.isdigit():
            raise ServeError(
                f"can't listen on {address!r}", hint="write host:port or unix:/path/to/socket"
            )
        host = host.strip("[]") or "127.0.0.1"
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        made = socket.socket(family, socket.SOCK_STREAM)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, int(port)))
        made.listen(backlog)
    except (OSError, OverflowError) as exc:
        reason = getattr(exc, "strerror", None) or str(exc)
        raise ServeError(
            f"can't listen on {address}: {reason}",
            hint=f"who holds it? try: ss -ltnp | grep {address.rpartition(':')[2]}",
        ) from None
    return made


def _bind_path(path: Path, backlog: int) -> socket.socket:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    if path.is_socket():
        # A socket file that nobody listens on is left from a crash; a live one is an error.
        try:
            made.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
        else:
            made.close()
            raise ServeError(f"{path}: another process listens there")
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    made.bind(str(path))
    made.listen(backlog)
    return made


def port_of(listener: socket.socket) -> tuple[str, str]:
    """Host and port as WSGI wants them."""
    name = listener.getsockname()
    if isinstance(name, tuple):
        return str(name[0]), str(name[1])
    return "localhost", "0"


# Readiness of descriptors: epoll on Linux, poll elsewhere.

READ: Final = 1  # EPOLLIN and POLLIN
WRITE: Final = 4  # EPOLLOUT and POLLOUT


class Poller(Protocol):
    """The part of select.epoll that the worker needs."""

    def register(self, fd: int, eventmask: int, /) -> None:
        """Watch a descriptor."""
        ...

    def modify(self, fd: int, eventmask: int, /) -> None:
        """Watch it for something else."""
        ...

    def unregister(self, fd: int, /) -> None:
        """Watch it no longer."""
        ...

    def poll(self, timeout: float, /) -> list[tuple[int, int]]:
        """What is ready, waiting for at most `timeout` seconds."""
        ...


class _Poll:
    def __init__(self) -> None:
        self._poll = select.poll()
        self.register = self._poll.register
        self.modify = self._poll.modify
        self.unregister = self._poll.unregister

    def poll(self, timeout: float, /) -> list[tuple[int, int]]:
        """Milliseconds here, seconds in epoll."""
        return self._poll.poll(timeout * 1000)


def new_poller() -> Poller:
    """The best that this system has."""
    return select.epoll() if hasattr(select, "epoll") else _Poll()
