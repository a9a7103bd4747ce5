"""Accepts connections on a Unix socket, so many of one user at a time and no more."""

import asyncio
import contextlib
import logging
import socket
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Final

from chapiteau.run.config.access import peer_of
from chapiteau.run.errors import AlreadyRunningError

__all__ = ["ConnectionAcceptor"]

_log = logging.getLogger("chapiteau.run.control")
_PAUSE: Final = 0.1  # seconds to wait when descriptors have run out


class ConnectionAcceptor:
    """Hands every accepted connection to a protocol of `factory`.

    A user with `per_user` connections is turned away until one of them closes: connections that
    say nothing must not use up the supervisor's descriptors.
    """

    def __init__(self, factory: Callable[[], asyncio.Protocol], *, per_user: int) -> None:
        self._factory = factory
        self._limit = per_user
        self._open: dict[asyncio.BaseTransport, int] = {}
        self._listener: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None

    @property
    def answers(self) -> bool:
        """Whether it listens anywhere."""
        return self._listener is not None

    async def open(self, path: Path) -> None:
        """Listen here, in place of the socket before. Raises AlreadyRunningError, OSError.

        The file is its owner's alone; whoever wants it open to others says so afterwards.
        """
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            _remove_stale(path)
            sock.bind(str(path))
            path.chmod(0o600)
            sock.listen(128)
            sock.setblocking(False)
        except BaseException:
            sock.close()
            raise
        await self.close()
        self._listener = sock
        self._accepting = asyncio.create_task(self._accept(sock), name="control socket")

    async def close(self) -> None:
        """Accept no more; connections that are open stay."""
        if self._accepting is not None and self._listener is not None:
            self._accepting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._accepting
            self._listener.close()

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                sock, _ = await loop.sock_accept(listener)
            except OSError as exc:
                _log.warning("no connection can be accepted: %s", exc)
                await asyncio.sleep(_PAUSE)
                continue
            with contextlib.suppress(OSError):  # gone again already
                await self._admit(loop, sock)

    async def _admit(self, loop: asyncio.AbstractEventLoop, sock: socket.socket) -> None:
        try:
            uid = peer_of(sock).uid
        except OSError:
            sock.close()
            raise
        self._open = {t: owner for t, owner in self._open.items() if not t.is_closing()}
        if Counter(self._open.values())[uid] >= self._limit:
            _log.warning("uid %d has %d connections open: turned away", uid, self._limit)
            sock.close()
            return
        transport, _ = await loop.connect_accepted_socket(self._factory, sock)
        self._open[transport] = uid


def _remove_stale(path: Path) -> None:
    """Unlink a socket file that nobody listens at. Raises AlreadyRunningError if somebody does."""
    with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as probe:
        try:
            probe.connect(str(path))
        except FileNotFoundError:
            return
        except OSError:
            path.unlink(missing_ok=True)
            return
    raise AlreadyRunningError(
        f"another supervisor answers at {path}", hint="look with `chapiteau status`"
    )
