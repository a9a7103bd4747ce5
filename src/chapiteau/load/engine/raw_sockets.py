"""TCP and UDP for protocols of one's own, on the engine's connections and clock."""

import asyncio
import contextlib
import socket
from typing import Any, Final, Self

from chapiteau.core.errors import UsageError
from chapiteau.load.engine.connection import Connection, network_error
from chapiteau.load.engine.slow_path import SlowPath
from chapiteau.load.engine.stream_connection import ChangeSignal
from chapiteau.load.errors import ExchangeError
from chapiteau.load.protocols.urls import Address

__all__ = ["Tcp", "Udp"]

_MOST: Final = 64 << 20  # bytes that may lie unread
_DATAGRAM: Final = 65536


class _Awaited:
    """Something that a scenario waits on until it changes."""

    def __init__(self, slow_path: SlowPath, at: str, name: str, *, tls: bool) -> None:
        host, _, port = at.rpartition(":")
        if not host or not port.isdigit():
            raise UsageError(f"{at!r} is not HOST:PORT", hint="for example 127.0.0.1:6379")
        self.error: ExchangeError | None = None
        self.over = False
        self._slow_path = slow_path
        self._name = name
        self._address = Address("https" if tls else "http", host.strip("[]"), int(port), "/")
        self._origin = slow_path.origin(self._address)
        self._change = ChangeSignal(self._origin)

    async def _changed(self) -> None:
        if self.error is not None:
            raise self.error
        await self._change.wait()


class Tcp(_Awaited):
    """An open connection: `async with session.tcp("127.0.0.1:6379") as line`.

    Opening is a row of the report, "TCP HOST:PORT". What you make of it is timed by
    `session.timed(name, …)`. Every wait raises ExchangeError when the connection ends.
    """

    def __init__(self, slow_path: SlowPath, at: str, *, tls: bool, name: str) -> None:
        super().__init__(slow_path, at, name or f"TCP {at}", tls=tls)
        self._connection: Connection | None = None
        self._open = False
        self._data = bytearray()

    # ── as a connection's channel ─────────────────────────────────────────────────────────────
    def opened(self) -> None:
        """Bytes can be sent."""
        self._open = True
        self._change.notify()

    def take(self, data: bytes) -> None:
        """Bytes have come."""
        self._data += data
        if len(self._data) > _MOST:
            self.lost(ExchangeError("too much unread", f"more than {_MOST} bytes lie unread"))
        self._change.notify()

    def lost(self, error: ExchangeError) -> None:
        """The connection is gone."""
        self.over = True
        self.error = self.error or error
        self._change.notify()

    def overdue(self, now: float) -> None:
        """Waits have limits of their own."""

    # ── for scenarios ─────────────────────────────────────────────────────────────────────────
    async def __aenter__(self) -> Self:
        await self._slow_path.timed(self._name, self._connect())
        return self

    async def __aexit__(self, *_exc: object) -> None:
        self._close()

    async def _connect(self) -> None:
        self._connection = await self._origin.open(self)
        try:
            while not self._open:
                await self._changed()
        except asyncio.CancelledError:
            self._close()
            raise

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def send(self, data: bytes) -> None:
        """Send bytes. Raises ExchangeError when the connection has ended."""
        if self.error is not None or self._connection is None:
            raise self.error or ExchangeError("not open", "use it within `async with`")
        self._connection.emit(data)

    async def read(self, size: int, timeout: float | None = None) -> bytes:
        """Exactly so many bytes. Raises ExchangeError, after `timeout` seconds too."""
        return await self._slow_path.within(
            timeout, self._exactly(size), f"no {size} bytes in time"
        )

    async def read_until(self, end: bytes, timeout: float | None = None) -> bytes:
        """All bytes up to this end, with it. Raises ExchangeError as `read` does."""
        return await self._slow_path.within(timeout, self._until(end), f"no {end!r} came in time")

    async def _exactly(self, size: int) -> bytes:
        while len(self._data) < size:
            await self._changed()
        return self._cut(size)

    async def _until(self, end: bytes) -> bytes:
        seen = 0
        while (at := self._data.find(end, max(0, seen - len(end)))) < 0:
            seen = len(self._data)
            await self._changed()
        return self._cut(at + len(end))

    def _cut(self, size: int) -> bytes:
        found = bytes(self._data[:size])
        del self._data[:size]
        return found


class Udp(_Awaited):
    """Datagrams to one peer: `async with session.udp("127.0.0.1:53") as peer`."""

    def __init__(self, slow_path: SlowPath, at: str, *, name: str) -> None:
        super().__init__(slow_path, at, name or f"UDP {at}", tls=False)
        self._sock: socket.socket | None = None
        self._came: list[bytes] = []

    async def __aenter__(self) -> Self:
        family, address = await self._origin.next_address()
        sock = socket.socket(family, socket.SOCK_DGRAM)
        try:
            sock.setblocking(False)
            sock.connect(address)
        except OSError as exc:
            sock.close()
            raise network_error(exc, "connecting") from exc
        self._sock = sock
        self._origin.reactor.watch(sock.fileno(), self._ready)
        return self

    async def __aexit__(self, *_exc: object) -> None:
        if self._sock is not None:
            self._origin.reactor.forget(self._sock.fileno())
            self._sock.close()

    def _ready(self, _events: int) -> None:
        sock = self._sock
        if sock is None:
            return
        try:
            with contextlib.suppress(BlockingIOError):
                while True:
                    self._came.append(sock.recv(_DATAGRAM))
        except OSError as exc:
            self.error = network_error(exc, "waiting for a datagram")
        self._change.notify()

    def send(self, data: bytes) -> None:
        """Send a datagram. Raises ExchangeError."""
        if self._sock is None:
            raise ExchangeError("not open", "use it within `async with`")
        try:
            self._sock.send(data)
        except OSError as exc:
            raise network_error(exc, "sending a datagram") from exc

    async def receive(self, timeout: float | None = None) -> bytes:
        """The next datagram. Raises ExchangeError, after `timeout` seconds too."""
        return await self._slow_path.within(timeout, self._next(), "no datagram came in time")

    async def ask(self, data: bytes, *, name: str = "", timeout: float = 5.0) -> bytes:
        """Send a datagram and wait for the next one: a request in the report."""

        async def exchange() -> Any:
            self.send(data)
            return await self.receive(timeout)

        answer: bytes = await self._slow_path.timed(name or self._name, exchange())
        return answer

    async def _next(self) -> bytes:
        while not self._came:
            await self._changed()
        return self._came.pop(0)
