"""Kept lines for one query: the last that match, page by page, or all from the first one on.

Reading happens in a thread, a piece at a time, and ends soon after the client has left.
"""

import asyncio
import contextlib
import heapq
import os
import re
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Final, NamedTuple

from chapiteau.core.clock import Clock
from chapiteau.run.logs.archive import (
    UNREADABLE,
    ArchivedFile,
    LogArchive,
    decompressed,
    read_backwards,
    read_forwards,
)
from chapiteau.run.logs.follower import MAX_PENDING, matches_query
from chapiteau.run.logs.grep import prefilter
from chapiteau.run.logs.messages import LogLine, LogQuery, OutputStream, PreviousPage

__all__ = ["LogSearch", "kept_lines"]

_PAGE_TIME: Final = 2.0  # seconds after which a page ends with what it has
_SEARCH_TIME: Final = 30.0  # seconds for a search that is not asked for by pages
_PAGE_SIZE: Final = 16 << 20  # characters of one page
_BATCH: Final = 1_000  # lines read ahead when all are wanted
_COMPRESSED_SIZE: Final = 8 << 20  # characters kept of one compressed file at a time
_COMPRESSED_LINES: Final = 20_000
_END: Final = 1 << 62  # beyond the end of any file

Archives = Mapping[OutputStream, LogArchive]
Position = tuple[int, int]  # number of a file, offset in it


class _Step(NamedTuple):
    """What was read last: a line that matches, or a piece without one."""

    time: float
    source: str
    position: Position  # where it begins
    line: LogLine | None


class LogSearch:
    """What a query finds in the files of several streams; fit for a thread.

    `unread` tells what could not be read. Once `cancelled` is set, reading ends.
    """

    def __init__(self, query: LogQuery, archives: Archives) -> None:
        self._query, self._archives = query, archives
        self._pattern = re.compile(query.grep) if query.grep else None
        self._prefilter = prefilter(self._pattern) if self._pattern else None
        self.unread: list[str] = []
        self.cancelled = threading.Event()

    def newest(
        self, count: int, more_time: Callable[[], bool]
    ) -> tuple[list[LogLine], dict[str, Position]]:
        """The last `count` lines that match, or those found while there is `more_time`.

        Oldest first, with where each stream goes on; that is empty when all was read. What is
        held of each stream is one piece of 64 KiB.
        """
        before = self._query.before
        goes_on = {
            stream.source: before.get(stream.source, (archive.newest, archive.size))
            for stream, archive in self._archives.items()
        }
        found: list[LogLine] = []
        size = 0
        walks = [self._resumed(*one) for one in self._archives.items()]
        for step in heapq.merge(*walks, key=lambda step: -step.time):
            if len(found) >= count or size >= _PAGE_SIZE or not more_time():
                break
            goes_on[step.source] = step.position
            if step.line is not None:
                found.append(step.line)
                size += len(step.line.text)
        else:
            goes_on = {}
        return found[::-1], goes_on

    def batches(self, size: int = _BATCH) -> Iterator[list[LogLine]]:
        """Every line that matches, oldest first."""
        walks = [self._forwards(*one) for one in self._archives.items()]
        steps = heapq.merge(*walks, key=lambda step: step.time)
        lines = (step.line for step in steps if step.line is not None)
        while batch := list(islice(lines, size)):
            yield batch

    # ── one stream ──────────────────────────────────────────────────────────────────────────
    def _resumed(self, stream: OutputStream, archive: LogArchive) -> Iterator[_Step]:
        """Newest first, down to where the reader was (`after`); a new stream gives a few lines."""
        steps, after = self._backwards(stream, archive), self._query.after
        if not after:
            yield from steps
        elif (offset := after.get(stream.source)) is None:
            lines = (step for step in steps if step.line is not None)
            yield from islice(lines, self._query.last)
        else:
            # Where the file is shorter than that it was rotated since.
            number = archive.newest if offset <= archive.size else archive.newest - 1
            for step in steps:
                if step.position < (number, offset):
                    return
                yield step

    def _backwards(self, stream: OutputStream, archive: LogArchive) -> Iterator[_Step]:
        """Lines before a place; each file ends with a step that says so."""
        query = self._query
        number_before, end_before = query.before.get(stream.source, (archive.newest, _END))
        for number in archive.numbers():
            if number > number_before:
                continue
            with archive.open(number) as file:
                if file is None:
                    continue
                if 0 < file.times.last < query.since:
                    return  # all of it, and of what is older, came before
                end = end_before if number == number_before else _END
                if query.until:
                    end = min(end, file.times.end_before(query.until, _END))
                last = 0.0
                try:
                    for step in (self._compressed if file.compressed else self._plain)(
                        stream, file, end
                    ):
                        last = step.time
                        yield step
                except UNREADABLE as exc:
                    self.unread.append(f"{file.name}: {exc}")
                yield _Step(last or file.times.at(0), stream.source, (number, 0), None)

    def _plain(self, stream: OutputStream, file: ArchivedFile, end: int) -> Iterator[_Step]:
        for begin, data in read_backwards(file.file, min(end, file.size)):
            self._check()
            yield from reversed(self._matching(stream, file, begin, data))
            time = file.times.at(begin)
            yield _Step(time, stream.source, (file.number, begin), None)
            if time < self._query.since:
                return

    def _compressed(self, stream: OutputStream, file: ArchivedFile, end: int) -> Iterator[_Step]:
        """Read forwards: the last lines that match are kept, earlier ones by another pass."""
        while True:
            kept: deque[_Step] = deque()
            size, cut, error = 0, False, None
            os.lseek(file.file.fileno(), 0, os.SEEK_SET)
            try:
                for step in self._content(stream, file, end):
                    kept.append(step)
                    size += _length(step)
                    while len(kept) > 1 and (
                        size > _COMPRESSED_SIZE or len(kept) > _COMPRESSED_LINES
                    ):
                        size, cut = size - _length(kept.popleft()), True
            except UNREADABLE as exc:
                error = exc
            yield from reversed(kept)
            if error is not None:
                raise error
            if not cut:
                return
            end = kept[0].position[1]

    def _forwards(self, stream: OutputStream, archive: LogArchive) -> Iterator[_Step]:
        """All lines from the first one on, however many there are."""
        for number in reversed(archive.numbers()):
            with archive.open(number) as file:
                if file is None or 0 < file.times.last < self._query.since:
                    continue
                try:
                    yield from self._content(stream, file, _END)
                except UNREADABLE as exc:
                    self.unread.append(f"{file.name}: {exc}")

    def _content(self, stream: OutputStream, file: ArchivedFile, end: int) -> Iterator[_Step]:
        with decompressed(file) as source:
            for begin, data in read_forwards(source, file.size, self._check):
                if end <= begin:
                    return
                for step in self._matching(stream, file, begin, data):
                    if step.position[1] < end:
                        yield step

    def _matching(
        self, stream: OutputStream, file: ArchivedFile, begin: int, data: bytes
    ) -> list[_Step]:
        """The lines of a piece that match, in the order of the file."""
        # One look for thousands of lines: most pieces hold nothing that is looked for.
        if (
            self._prefilter is not None
            and b"\r" not in data
            and self._prefilter.search(data.decode("utf-8", "replace")) is None
        ):
            return []
        found, at = [], begin
        for raw in data.splitlines(keepends=True):
            text = raw.decode("utf-8", "replace").rstrip("\r\n")
            time = file.times.at(at)
            if matches_query(self._query, self._pattern, time, text):
                line = stream.line(time, text, at + len(raw))
                found.append(_Step(time, stream.source, (file.number, at), line))
            at += len(raw)
        return found

    def _check(self) -> None:
        if self.cancelled.is_set():
            raise OSError("cancelled")


def _length(step: _Step) -> int:
    return len(step.line.text) if step.line else 0


async def kept_lines(
    query: LogQuery,
    archives: Archives,
    *,
    clock: Clock,
    gate: contextlib.AbstractAsyncContextManager[object],
    elsewhere: Sequence[str] = (),
) -> AsyncIterator[LogLine | PreviousPage]:
    """The lines, oldest first, and last a PreviousPage when pages are wanted.

    `gate` bounds how many read at once. `elsewhere` names what is not searched; it is told when
    all else was read.
    """
    search = LogSearch(query, archives)
    try:
        found = _whole(search, gate) if query.whole else _last(search, query, clock, gate)
        async for item in found:
            if not isinstance(item, PreviousPage):
                yield item
                continue
            unread = (*search.unread, *(() if item.places else elsewhere))
            if query.pages:
                yield PreviousPage(item.places, unread)
                continue
            for what in unread:
                yield _note(clock, f"not read: {what}")
    finally:
        search.cancelled.set()


async def _whole(
    search: LogSearch, gate: contextlib.AbstractAsyncContextManager[object]
) -> AsyncIterator[LogLine | PreviousPage]:
    batches = search.batches()
    while True:
        async with gate:  # not held while the client takes what was read
            batch = await asyncio.to_thread(next, batches, None)
        if batch is None:
            break
        for line in batch:
            yield line
    yield PreviousPage()


async def _last(
    search: LogSearch,
    query: LogQuery,
    clock: Clock,
    gate: contextlib.AbstractAsyncContextManager[object],
) -> AsyncIterator[LogLine | PreviousPage]:
    count = MAX_PENDING if query.after else query.last
    limit = _PAGE_TIME if query.pages else _SEARCH_TIME
    async with gate:
        ends = 0.0

        def more_time() -> bool:
            nonlocal ends
            ends = ends or clock.now() + limit  # from the first line on: each page gets further
            return clock.now() < ends and not search.cancelled.is_set()

        lines, goes_on = await asyncio.to_thread(search.newest, count, more_time)
    if goes_on and len(lines) < count and not query.pages:
        text = f"older lines were not looked at: that takes more than {_SEARCH_TIME:.0f} s"
        yield _note(clock, text)
    for line in lines:
        yield line
    places = {source: f"{number}:{offset}" for source, (number, offset) in goes_on.items()}
    yield PreviousPage(places)


def _note(clock: Clock, text: str) -> LogLine:
    text = f"[chapiteau: {text}]"
    return LogLine(time=clock.wall(), service="", process=0, stream="note", text=text)
