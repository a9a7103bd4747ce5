"""A connection that stays open, as a scenario waits on it: what came, and what went wrong."""

import asyncio
from collections import deque
from typing import Generic, TypeVar

from chapiteau.load.engine.connection import Connection, ConnectionPool
from chapiteau.load.engine.request_path import PreparedRequest
from chapiteau.load.errors import BadResponseError, ExchangeError
from chapiteau.load.protocols.http1 import Headers

__all__ = ["ChangeSignal", "ResponseHead", "StreamConnection", "parse_head"]

_MOST_HEAD = 256 * 1024
_LATE = "the stream was not opened in time"
T = TypeVar("T")


class ResponseHead:
    """Status and fields of the answer that opens a stream."""

    __slots__ = ("headers", "status")

    def __init__(self, head: bytes) -> None:
        if not head.startswith(b"HTTP/1.") or not head[9:12].isdigit():
            raise BadResponseError(f"not an HTTP/1 answer: {head[:40]!r}")
        self.status = int(head[9:12])
        self.headers = Headers(head)


def parse_head(data: bytes) -> tuple[ResponseHead, bytes] | None:
    """The head and what follows it; None while it is not whole. Raises BadResponseError."""
    stop = data.find(b"\r\n\r\n")
    if stop < 0:
        if len(data) > _MOST_HEAD or not b"HTTP/1.".startswith(data[:7]):
            raise BadResponseError(f"not an HTTP/1 answer: {data[:40]!r}")
        return None
    head = ResponseHead(data[: stop + 2])
    if 100 <= head.status < 200 and head.status != 101:
        return parse_head(data[stop + 4 :]) if data[stop + 4 :] else None
    return head, data[stop + 4 :]


class ChangeSignal:
    """Wakes the scenario that waits for something on a connection to change."""

    def __init__(self, origin: ConnectionPool) -> None:
        self._loop = origin.reactor.loop
        self._completion = origin.completion(self._loop)

    async def wait(self) -> None:
        """Wait for the next change."""
        self._completion.again()
        await self._completion

    def notify(self) -> None:
        """Something has changed; may be called by a running task too."""
        if self._completion.done():
            return
        if asyncio.current_task(self._loop) is None:
            self._completion.wake()
        else:
            self._loop.call_soon(self._wake)

    def _wake(self) -> None:
        if not self._completion.done():
            self._completion.wake()


class StreamConnection(Generic[T]):
    """Items that come one after the other until the line ends."""

    def __init__(self, prepared: PreparedRequest, request: bytes) -> None:
        self.prepared = prepared
        self.error: ExchangeError | None = None  # why the line ended
        self.over = False
        self._request = request
        self._origin = prepared.origin
        self._now = self._origin.now
        self._items: deque[T] = deque()
        self._change = ChangeSignal(self._origin)
        self._connection: Connection | None = None
        self._head: ResponseHead | None = None
        self._data = b""
        self._begun = 0.0

    # ── as a connection's channel ─────────────────────────────────────────────────────────────
    def opened(self) -> None:
        """Ask for the stream."""
        self.emit(self._request)

    def take(self, data: bytes) -> None:
        """Bytes from the service."""
        try:
            if self._head is None:
                found = parse_head(self._data + data)
                if found is None:
                    self._data += data
                    return
                self._head, data = found
                self._data = b""
                self.agreed(self._head)
            if data:
                self.came(data)
        except ExchangeError as exc:
            self.refuse(exc)
        self._change.notify()

    def lost(self, error: ExchangeError) -> None:
        """The connection is gone."""
        if not self.over:
            self.over = True
            self.error = self.error or error
        self._change.notify()

    def overdue(self, now: float) -> None:
        """The answer's head has a deadline; what follows may take its time."""
        if self._head is None and self._begun and now - self._begun > self.prepared.timeout:
            self.end(ExchangeError("timeout", _LATE))

    # ── for subclasses ────────────────────────────────────────────────────────────────────────
    def agreed(self, head: ResponseHead) -> None:
        """The answer's head. Raises ExchangeError when it is a refusal."""
        raise NotImplementedError

    def came(self, data: bytes) -> None:
        """Bytes behind the head. Raises ExchangeError."""
        raise NotImplementedError

    def refuse(self, error: ExchangeError) -> None:
        """What came makes no sense: end."""
        self.end(error)

    def put(self, item: T) -> None:
        """An item has come."""
        self._items.append(item)

    def emit(self, data: bytes) -> None:
        """Send bytes."""
        if self._connection is not None:
            self._connection.emit(data)

    def end(self, error: ExchangeError | None = None) -> None:
        """Close the connection."""
        if not self.over:
            self.over = True
            self.error = error
        if self._connection is not None:
            self._connection.close()
        if error is not None:
            self._change.notify()

    # ── for scenarios ─────────────────────────────────────────────────────────────────────────
    async def connect(self) -> None:
        """Open it, and wait until the service has agreed. Raises ExchangeError."""
        self._begun = self._now()
        try:
            async with asyncio.timeout(self.prepared.timeout):  # names may take their time
                self._connection = await self._origin.open(self)
        except TimeoutError:
            raise ExchangeError("timeout", _LATE) from None
        try:
            while self._head is None and not self.over:
                await self._change.wait()
        except asyncio.CancelledError:
            self.end()
            raise
        if self.error is not None:
            raise self.error

    async def item(self) -> T | None:
        """The next item; None when the line has ended well. Raises ExchangeError."""
        while not self._items:
            if self.error is not None:
                raise self.error
            if self.over:
                return None
            await self._change.wait()
        return self._items.popleft()
