"""Answers that come piece by piece: lines of JSON, server-sent events, bytes.

A stream holds one thread of the worker for as long as it lasts. With four threads, the fifth
stream waits. Few long streams are fine; for many, put an event server beside this one.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from queue import Empty, Queue
from typing import Any, ClassVar

import msgspec

__all__ = ["Event", "EventStream", "JsonLines", "Stream"]

_encode = msgspec.json.Encoder().encode


class Stream:
    """Bytes as they come; closing the answer closes the source."""

    media = "application/octet-stream"

    def __init__(self, source: Iterable[Any], *, media: str = "", **headers: str) -> None:
        self._source = source
        self.media = media or self.media
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}

    def pieces(self) -> Iterator[bytes]:
        """What goes over the wire."""
        try:
            for item in self._source:
                yield self.encode(item)
        finally:
            close = getattr(self._source, "close", None)
            if close is not None:
                close()

    def encode(self, item: Any) -> bytes:
        """One piece."""
        return bytes(item)


class JsonLines(Stream):
    """One JSON value per line (NDJSON)."""

    media = "application/x-ndjson"

    def encode(self, item: Any) -> bytes:
        """A line."""
        return _encode(item) + b"\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A server-sent event; `data` is sent as JSON, `id` comes back as Last-Event-ID."""

    data: Any = None
    id: str = ""
    event: str = ""
    retry: int | None = None  # milliseconds


class EventStream(Stream):
    """Server-sent events (HTML standard §9.2).

    The source yields Event, any JSON value, or None for "nothing new": that sends a heartbeat, by
    which both ends and every proxy notice a dead connection. A handler takes
    `last_event_id: Annotated[str, Header] = ""` to go on where a client has stopped.
    """

    media = "text/event-stream"
    END: ClassVar[object] = object()  # put it into a queue to end its stream

    @classmethod
    def from_queue(cls, source: "Queue[Any]", *, heartbeat: float = 15.0) -> "EventStream":
        """A stream of what comes into a queue, with a heartbeat after every `heartbeat` seconds of
        silence; `EventStream.END` ends it."""
        return cls(_taken(source, cls.END, heartbeat))

    def __init__(self, source: Iterable[Any]) -> None:
        # X-Accel-Buffering: nginx would else collect events before it passes them on.
        super().__init__(source, Cache_Control="no-store", X_Accel_Buffering="no")

    def encode(self, item: Any) -> bytes:
        """One event, or a heartbeat."""
        if item is None:
            return b":\n\n"
        event = item if isinstance(item, Event) else Event(data=item)
        lines = []
        for name, value in (("event", event.event), ("id", event.id), ("retry", event.retry)):
            if value not in ("", None):
                lines.append(f"{name}: {str(value).replace(chr(10), ' ').replace(chr(13), ' ')}\n")
        return "".join(lines).encode() + b"data: " + _encode(event.data) + b"\n\n"


def _taken(source: "Queue[Any]", end: object, heartbeat: float) -> Iterator[Any]:
    while True:
        try:
            item = source.get(timeout=heartbeat)
        except Empty:
            item = None
        if item is end:
            return
        yield item
