"""The door of a worker: listening sockets, and when a connection is taken from their queue.

Law: what is not taken stays in the queue that all siblings share, where nobody's death hurts it.
"""

import logging
import socket
from collections.abc import Callable
from typing import Any, Final

from chapiteau.service.server.connection import BodyBudget, Connection
from chapiteau.service.server.sockets import READ, Poller, port_of
from chapiteau.service.server.wsgi import base_environ

__all__ = ["Acceptor"]

_log = logging.getLogger("chapiteau.service.worker")

_POLITE: Final = 0.001  # seconds for which a busy worker leaves a connection to its siblings
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
    ) -> None:
        self._poller = poller
        self._now = now
        self._is_open = False
        self._left_since = 0.0
        self._open_after = 0.0
        self._room = BodyBudget()
        self._sockets: dict[int, tuple[socket.socket, dict[str, Any]]] = {}
        for listener in listeners:
            listener.setblocking(False)
            if listener.family != socket.AF_UNIX and hasattr(socket, "TCP_DEFER_ACCEPT"):
                # The kernel hands a connection over when its first bytes are there. So we hold
                # none that we can't serve at once, and a kill of this process hurts fewer.
                listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 1)
            base = base_environ(*port_of(listener), threads=threads)
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

    def leave(self, ready: int) -> bool:
        """Whether a waiting connection is left to a sibling with less to do, for a moment."""
        if ready > 1:
            now = self._now()
            self._left_since = self._left_since or now
            if now - self._left_since < _POLITE:
                return True
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
        return Connection(sock, own, self._now(), self._room)

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
