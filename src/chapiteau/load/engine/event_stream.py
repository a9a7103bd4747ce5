"""Server-sent events in a scenario: the opening is timed, events are counted."""

from collections.abc import AsyncIterator
from typing import Self

from chapiteau.load.engine.slow_path import MAX_REDIRECTS, REDIRECT_STATUSES, SlowPath
from chapiteau.load.engine.stream_connection import ResponseHead, StreamConnection
from chapiteau.load.errors import ExchangeError
from chapiteau.load.protocols.http1 import Headers, dechunk
from chapiteau.load.protocols.server_sent_events import Event, Events

__all__ = ["EventStream"]


class _Stream(StreamConnection[Event]):
    """The connection below."""

    chunked = False
    left = -1  # bytes of a body that has a length
    elsewhere: Headers | None = None  # fields of an answer that may point to another place

    def agreed(self, head: ResponseHead) -> None:
        """200 with a stream of events, or a refusal."""
        self.events = Events()
        kind = head.headers.get("content-type").split(";")[0].strip().lower()
        if head.status in REDIRECT_STATUSES and head.headers.get("location"):
            self.elsewhere = head.headers
            self.over = True
            return
        if head.status == 204:
            self.over = True  # the service wants no reconnect: the stream has ended
        elif head.status != 200:
            raise ExchangeError(f"status {head.status}", f"no events: status {head.status}")
        elif kind != "text/event-stream":
            raise ExchangeError("no events", f"the answer is {kind or 'untyped'}, not a stream")
        self.chunked = "chunked" in head.headers.get("transfer-encoding").lower()
        length = head.headers.get("content-length")
        if length.isdigit() and not self.chunked:
            self.left = int(length)

    def came(self, data: bytes) -> None:
        """Pieces of the stream."""
        ended = False
        if self.chunked:
            data = self._data + data
            parts: list[bytes] = []
            at, ended = dechunk(data, parts)
            self._data = data[at:]
            data = b"".join(parts)
        elif self.left >= 0:
            data = data[: self.left]
            self.left -= len(data)
            ended = self.left == 0
        self.prepared.row.add_received(len(data))
        for event in self.events.feed(data):
            self.put(event)
        if ended:
            self.end()

    def lost(self, error: ExchangeError) -> None:
        """A stream without length ends with its connection."""
        if error.kind == "closed early" and self._head is not None and not self.chunked:
            self.over = True
        super().lost(error)


class EventStream:
    """An open stream: `async with session.events("/prices") as events`, then `async for`.

    The opening is a row of the report. Events are counted as "events received", the time between
    them is the trend "seconds between events".
    """

    def __init__(
        self,
        slow_path: SlowPath,
        url: str,
        *,
        headers: dict[str, str],
        name: str,
        timeout: float | None,
    ) -> None:
        fields = {"Accept": "text/event-stream", "Accept-Encoding": "identity", **headers}
        fields.setdefault("Cache-Control", "no-store")
        prepared = slow_path.opening(url, fields, "SSE", name, timeout)
        self._slow_path = slow_path
        self._row = prepared.row.name
        self._line = _Stream(prepared, slow_path.with_session_headers(prepared))
        self._last = 0.0

    async def __aenter__(self) -> Self:
        await self._slow_path.timed(self._row, self._opened())
        self._last = self._slow_path.now()
        return self

    async def _opened(self) -> None:
        """Go where answers point to, at most ten times; all of it counts as one opening."""
        first = self._line.prepared.address
        for _ in range(MAX_REDIRECTS + 1):
            await self._line.connect()
            if (fields := self._line.elsewhere) is None:
                return
            self._line.end()
            self._line = _Stream(*self._slow_path.elsewhere(self._line.prepared, fields, first))
        raise ExchangeError("redirects", f"more than {MAX_REDIRECTS} redirects from {first}")

    async def __aexit__(self, *_exc: object) -> None:
        self._line.end()

    async def next(self, timeout: float | None = None) -> Event | None:
        """The next event; None when the stream has ended. Raises ExchangeError, after `timeout`
        seconds too."""
        event = await self._slow_path.within(timeout, self._line.item(), "no event came in time")
        if event is not None:
            now = self._slow_path.now()
            self._slow_path.counter("events received")
            self._slow_path.trend("seconds between events", now - self._last)
            self._last = now
        return event

    async def __aiter__(self) -> AsyncIterator[Event]:
        while (event := await self.next()) is not None:
            yield event
