"""Listening sockets, and when a connection is accepted from their queue."""

import logging
import os
import select
import socket
from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import Any, Final, Protocol

from chapiteau.service.errors import ServeError
from chapiteau.service.pipeline.event_streams import STREAMS_KEY, EventStreams
from chapiteau.service.server.connection import BodyBudget, Connection
from chapiteau.service.server.wsgi import base_environ

__all__ = [
    "READ",
    "WRITE",
    "Acceptor",
    "Poller",
    "inherited_sockets",
    "listen",
    "new_poller",
    "port_of",
]

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


# The door of a worker: listening sockets, and when a connection is taken from their queue.
#
# Law: what is not taken stays in the queue that all siblings share, where nobody's death hurts it.

_log = logging.getLogger("chapiteau.service.worker")

_POLITE: Final = 0.001  # seconds for which a busy worker leaves a connection to its siblings
_PRESSED: Final = 0.1  # seconds after such a moment in which a full worker leaves none
_FULL: Final = 1.0  # seconds without accepting after the system has refused (no descriptors)


class Acceptor:
    """Open: the poller tells of waiting connections."""

    def __init__(
        self,
        listeners: list[socket.socket],
        poller: Poller,
        now: Callable[[], float],
        *,
        threads: bool,
        streams: EventStreams,
    ) -> None:
        self._poller = poller
        self._now = now
        self._is_open = False
        self._left_since = 0.0
        self._polite_after = 0.0
        self._open_after = 0.0
        self._budget = BodyBudget()
        self._sockets: dict[int, tuple[socket.socket, dict[str, Any]]] = {}
        for listener in listeners:
            listener.setblocking(False)
            if listener.family != socket.AF_UNIX and hasattr(socket, "TCP_DEFER_ACCEPT"):
                # The kernel hands a connection over when its first bytes are there. So we hold
                # none that we can't serve at once, and a kill of this process hurts fewer.
                listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 1)
            base = base_environ(*port_of(listener), threads=threads)
            base[STREAMS_KEY] = streams
            self._sockets[listener.fileno()] = (listener, base)

    def __contains__(self, fd: int) -> bool:
        return fd in self._sockets

    @property
    def gone(self) -> bool:
        """Whether it was closed for good."""
        return not self._sockets

    def open(self) -> None:
        """Hear of waiting connections, unless it is shut for some time still."""
        if not self._is_open and self._now() >= self._open_after:
            self._is_open = True
            for fd in self._sockets:
                self._poller.register(fd, READ)

    def shut(self, pause: float = 0.0) -> None:
        """Hear of none, for at least so many seconds."""
        if self._is_open:
            self._is_open = False
            for fd in self._sockets:
                self._poller.unregister(fd)
        self._open_after = self._now() + pause

    def leave(self, ready: int, *, full: bool = False) -> bool:
        """Whether a waiting connection is left to a sibling with less to do, for a moment.

        Who is full, and would have to close another for it, does so only now and then: when all
        siblings are full, a crowd must not wait for every single one's moment.
        """
        if ready > 1 or full:
            now = self._now()
            if ready > 1 or now >= self._polite_after:
                self._left_since = self._left_since or now
                if now - self._left_since < _POLITE:
                    return True
                self._polite_after = now + _PRESSED
        self._left_since = 0.0
        return False

    def take(self, fd: int) -> Connection | None:
        """Accept one connection; None when a sibling was faster or the system refuses."""
        listener, base = self._sockets[fd]
        try:
            sock, address = listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return None
        except OSError as exc:
            _log.warning("can't accept: %s", exc)
            self.shut(_FULL)
            return None
        sock.setblocking(False)
        own = base.copy()
        if isinstance(address, tuple):
            own["REMOTE_ADDR"], own["REMOTE_PORT"] = address[0], str(address[1])
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        else:
            own["REMOTE_ADDR"] = ""
        return Connection(sock, own, self._now(), self._budget)

    def close(self, room: int) -> list[Connection]:
        """Close for good; gives what was in the queue because of us, at most `room` of them.

        A connection may have come for which the kernel has woken only this process. So first
        stop listening for more, then accept until nothing is there.
        """
        self.shut()
        last: list[Connection] = []
        for fd in list(self._sockets):
            while len(last) < room and (conn := self.take(fd)) is not None:
                last.append(conn)
            self._sockets.pop(fd)[0].close()
        return last
