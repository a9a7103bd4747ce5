"""Answers that come piece by piece: lines of JSON, server-sent events, bytes.

A stream holds one thread of the worker for as long as it lasts. Of event streams a worker runs one
less than it has threads (event_streams.py); for many, put an event server beside this one.
"""

import mimetypes
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from queue import Empty, Queue
from typing import IO, Any, ClassVar, Final
from urllib.parse import quote

import msgspec

from chapiteau.service.pipeline.reply import Reply, StreamReply
from chapiteau.service.protocol.conditional import (
    check_read_precondition,
    http_date,
    is_fresh,
    parse_date,
)
from chapiteau.service.protocol.headers import Environ
from chapiteau.service.protocol.problem import problem_for

__all__ = [
    "UNSATISFIABLE",
    "ByteRange",
    "Event",
    "EventStream",
    "File",
    "JsonLines",
    "Stream",
    "if_range_matches",
    "requested_range",
]


# Files as answers: versions, parts, and no more memory than a piece.

# Parts of a file: the Range header (RFC 9110 §14).

ByteRange = tuple[int, int]
UNSATISFIABLE: Final[ByteRange] = (-1, -1)
_BYTES: Final = re.compile(r"bytes\s*=\s*(\d*)\s*-\s*(\d*)\s*", re.ASCII | re.IGNORECASE)


def requested_range(header: str, size: int) -> ByteRange | None:
    """First and last byte that are asked for of `size`, or UNSATISFIABLE.

    None: answer with the whole. So it is for units and forms that we don't know, and for several
    parts at once, which a server may always do (RFC 9110 §14.2) and which make good weapons.
    """
    match = _BYTES.fullmatch(header.strip())
    if match is None or not (match[1] or match[2]):
        return None
    if not match[1]:
        length = min(_number(match[2]), size)
        return (size - length, size - 1) if length else UNSATISFIABLE
    first, last = _number(match[1]), _number(match[2]) if match[2] else size - 1
    if first >= size:
        return UNSATISFIABLE
    return (first, min(last, size - 1)) if first <= last else None


def _number(digits: str) -> int:
    """Python reads only so many digits; no file has that many bytes."""
    return int(digits) if len(digits) < 19 else 10**18


def if_range_matches(if_range: str | None, tag: str, modified: datetime) -> bool:
    """Whether the client's copy, named by If-Range, is a part of what is there now."""
    if if_range is None:
        return True
    given = if_range.strip()
    if given.startswith('"'):
        return given == tag
    date = parse_date(given)
    return date is not None and date == modified.replace(microsecond=0)


_PIECE: Final = 256 * 1024
Headers = list[tuple[str, str]]


class File:
    """A file as an answer: with ETag, Last-Modified, 304, 412, and parts by Range (206, 416).

        @pictures.get()
        def picture(name: str) -> File:
            return File(FOLDER / name, inside=FOLDER)

    `inside` is a folder that the file must not leave, whatever its name says; outside of it, as
    for a name that is no file, the answer is 404. `media` is guessed from the name when not given;
    with `download` a browser saves it under that name instead of showing it.
    """

    media = "*/*"
    ranged = True

    def __init__(
        self,
        path: str | Path,
        *,
        inside: str | Path | None = None,
        media: str = "",
        download: str = "",
    ) -> None:
        self._path = Path(path)
        self._inside = None if inside is None else Path(inside)
        self._media = media
        self._download = download

    def __repr__(self) -> str:
        return f"<File {self._path}>"

    def reply(self, environ: Environ, headers: Headers) -> Reply | StreamReply:
        """The answer. Raises ProblemError (404, 412, 416)."""
        path, found = self._found()
        modified = datetime.fromtimestamp(found.st_mtime, UTC)
        tag = f'"{found.st_mtime_ns:x}-{found.st_size:x}"'
        own = [*headers, ("ETag", tag), ("Last-Modified", http_date(modified))]
        own.append(("Accept-Ranges", "bytes"))
        check_read_precondition(environ, tag.strip('"'), modified)
        if is_fresh(environ, tag, modified):
            return Reply("304 Not Modified", own, b"")
        span = self._span(environ, found.st_size, tag, modified)
        first, last = span or (0, found.st_size - 1)
        own += [("Content-Type", self._kind()), ("Content-Length", str(last - first + 1))]
        if self._download:
            own.append(("Content-Disposition", _disposition(self._download)))
        if span is not None:
            own.append(("Content-Range", f"bytes {first}-{last}/{found.st_size}"))
        status = "200 OK" if span is None else "206 Partial Content"
        if environ["REQUEST_METHOD"] == "HEAD":
            return Reply(status, own, b"")
        return StreamReply(status, own, _Pieces(path.open("rb"), first, last - first + 1))

    def _found(self) -> tuple[Path, os.stat_result]:
        try:
            path = self._path if self._inside is None else self._path.resolve(strict=True)
            if self._inside is None or path.is_relative_to(self._inside.resolve()):
                found = path.stat()
                if path.is_file():
                    return path, found
        except (OSError, ValueError, RuntimeError):  # no such name, a NUL in it, links in a circle
            pass
        raise problem_for(404, "there is no such file")

    def _kind(self) -> str:
        if self._media:
            return self._media
        guessed, packed = mimetypes.guess_type(self._path.name)
        return "application/octet-stream" if packed or guessed is None else guessed

    @staticmethod
    def _span(environ: Environ, size: int, tag: str, modified: datetime) -> ByteRange | None:
        given = environ.get("HTTP_RANGE")
        if environ["REQUEST_METHOD"] != "GET":  # RFC 9110 §14.2: ranges are for GET alone
            return None
        if given is None or not if_range_matches(environ.get("HTTP_IF_RANGE"), tag, modified):
            return None
        span = requested_range(given, size)
        if span == UNSATISFIABLE:
            headers = {"Content-Range": f"bytes */{size}", "Accept-Ranges": "bytes"}
            raise problem_for(416, f"the file has {size} bytes", headers=headers)
        return span


def _disposition(name: str) -> str:
    """For a file to save (RFC 6266); the name in both spellings."""
    plain = "".join(c if c.isascii() and c.isprintable() and c not in '"\\' else "_" for c in name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


class _Pieces:
    """A part of an open file, piece by piece; closed at the end or when nobody wants more."""

    def __init__(self, file: IO[bytes], start: int, length: int) -> None:
        self._file, self._left = file, length
        file.seek(start)

    def __iter__(self) -> Iterator[bytes]:
        try:
            while self._left > 0:
                piece = self._file.read(min(self._left, _PIECE))
                if not piece:
                    raise OSError("the file has become shorter while it was sent")
                self._left -= len(piece)
                yield piece
        finally:
            self.close()

    def close(self) -> None:
        """Give the file back."""
        self._file.close()


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
