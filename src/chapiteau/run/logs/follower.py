"""Bytes of streams → the lines that one follower has not taken yet.

A follower may be slower than a service that floods its log. Then lines are counted instead of
made: making them would take the processor from whoever moves the output, and so hold services up.
"""

import asyncio
import re
from collections.abc import Iterator
from typing import Final

from chapiteau.core.text import at_least
from chapiteau.run.logs.messages import LogLine, LogQuery, OutputStream

__all__ = ["MAX_PENDING", "LineSplitter", "LogFollower", "matches_query", "matches_text"]

MAX_PENDING: Final = 10_000  # lines that a slow follower may be behind
_LONGEST: Final = 16 * 1024  # bytes of one line; a longer one is cut and marked
_CUT: Final = " …cut".encode()


class LineSplitter:
    """Bytes of one stream → lines; a line above the limit is cut and marked."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes, end: int) -> Iterator[tuple[bytes, int]]:
        """(line, where in the file it ends) of each that these bytes complete.

        `end` is where the bytes end.
        """
        at = end - len(self._rest) - len(data)
        *whole, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > _LONGEST:
            whole.append(self._rest[:_LONGEST] + _CUT)
            self._rest = b""
        for raw in whole:
            at += len(raw) + 1
            yield raw, max(0, at)

    def skip(self, data: bytes) -> int:
        """How many lines these bytes complete; nobody wants them."""
        cut = data.rfind(b"\n") + 1
        self._rest = (data[cut:] if cut else self._rest + data)[: _LONGEST + 1]
        return data.count(b"\n")


class LogFollower:
    """What one query asks for, of what comes: `add` puts it in, `queue` gives it out."""

    def __init__(self, query: LogQuery) -> None:
        self._query = query
        self._pattern = re.compile(query.grep) if query.grep else None
        self._all = not query.grep and not query.level
        self._splitters: dict[OutputStream, LineSplitter] = {}
        self.queue: asyncio.Queue[LogLine] = asyncio.Queue(MAX_PENDING)
        self._lost = 0  # lines that found no room

    def add(self, stream: OutputStream, data: bytes, wall: float, end: int) -> None:
        """New bytes of a stream, up to `end` in its file."""
        splitter = self._splitters.get(stream)
        if splitter is None:
            splitter = self._splitters[stream] = LineSplitter()
        if self._all and self.queue.full():
            self._lost += splitter.skip(data)
            return
        for raw, at in splitter.feed(data, end):
            if self._all and self.queue.full():
                self._lost += 1
                continue
            text = raw.decode("utf-8", "replace").rstrip("\r")
            if not self._all and not matches_text(text, self._query, self._pattern):
                continue
            if self.queue.full():
                self._lost += 1
            else:
                self.queue.put_nowait(stream.line(wall, text, at))

    def take_lost(self) -> int:
        """How many lines were lost since the last time."""
        lost, self._lost = self._lost, 0
        return lost


def matches_query(
    query: LogQuery, pattern: "re.Pattern[str] | None", time: float, text: str
) -> bool:
    """Whether a query wants this line, by when it came and what it says."""
    if time < query.since or 0 < query.until < time:
        return False
    return matches_text(text, query, pattern)


def matches_text(text: str, query: LogQuery, pattern: "re.Pattern[str] | None") -> bool:
    """Whether a query wants this line, by what it says."""
    if pattern is not None and not pattern.search(text):
        return False
    return not query.level or at_least(text, query.level)
