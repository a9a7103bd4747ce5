"""Kept lines for one query: a page of a search, the whole search, or all lines from the first on.

Reading happens in a thread, a piece at a time, and ends soon after whoever asked has left.
"""

import asyncio
import re
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Final

from chapiteau.core.clock import Clock
from chapiteau.run.logs.archive import LogArchive
from chapiteau.run.logs.archive_scan import Page, ScanQuery, all_lines, search_archive
from chapiteau.run.logs.follower import matches_query
from chapiteau.run.logs.grep import prefilter
from chapiteau.run.logs.messages import LogLine, LogQuery, PreviousPage
from chapiteau.run.logs.recent_lines import KeptLine

__all__ = ["ArchiveQuery"]

_PAGE: Final = 2.0  # seconds after which a page is over, with what it has
_SEARCH: Final = 30.0  # seconds for who does not ask for pages
_BATCH: Final = 1_000  # lines that are read ahead when all are wanted

Shelves = Mapping[str, LogArchive]


class ArchiveQuery:
    """One query's way through the files. `gate`: how many may read at once."""

    def __init__(
        self,
        query: LogQuery,
        pattern: re.Pattern[str] | None,
        clock: Clock,
        gate: asyncio.Semaphore,
    ) -> None:
        self._query, self._clock, self._gate = query, clock, gate
        self._beyond: Sequence[str] = ()
        self._look = ScanQuery(
            fits=partial(matches_query, query, pattern),
            sieve=prefilter(pattern) if pattern is not None else None,
            since=query.since,
            until=query.until,
            gone=threading.Event(),
        )

    async def of(
        self, shelves: Shelves, beyond: Sequence[str] = ()
    ) -> AsyncIterator[LogLine | PreviousPage]:
        """The lines, oldest first, and last an Older when pages are wanted.

        `beyond`: what was not read, to be told when all else was looked through.
        """
        self._beyond = beyond
        try:
            items = self._whole(shelves) if self._query.whole else self._page(shelves)
            async for item in items:
                yield item
        finally:
            self._look.gone.set()

    async def _page(self, shelves: Shelves) -> AsyncIterator[LogLine | PreviousPage]:
        long = _PAGE if self._query.pages else _SEARCH
        begin = partial(
            search_archive,
            shelves,
            self._query.last,
            self._look,
            before=self._query.before,
            more_time=self._patience(long),
        )
        async with self._gate:
            found: Page[str] = await asyncio.to_thread(begin)
        stopped = bool(found.older) and len(found.lines) < self._query.last
        if not found.older and len(found.lines) < self._query.last:
            self._look.unread += self._beyond
        if self._query.pages:
            for line in found.lines:
                yield _line(*line)
            places = {source: f"{turn}:{at}" for source, (turn, at) in found.older.items()}
            yield PreviousPage(places, tuple(self._look.unread))
            return
        if stopped:
            yield self._note(
                f"older lines were not looked at: that takes more than {_SEARCH:.0f} s"
            )
        for what in self._look.unread:
            yield self._note(f"not read: {what}")
        for line in found.lines:
            yield _line(*line)

    async def _whole(self, shelves: Shelves) -> AsyncIterator[LogLine | PreviousPage]:
        batches: Iterator[list[tuple[str, KeptLine]]] = all_lines(shelves, self._look, _BATCH)
        while True:
            async with self._gate:  # not held while whoever asked takes what was read
                batch = await asyncio.to_thread(next, batches, None)
            if batch is None:
                break
            for line in batch:
                yield _line(*line)
        for what in (*self._look.unread, *self._beyond):
            yield self._note(f"not read: {what}")

    def _patience(self, seconds: float) -> Callable[[], bool]:
        """Whether there is more time; it counts from the first look on."""
        ends = 0.0

        def more_time() -> bool:
            nonlocal ends
            ends = ends or self._clock.now() + seconds
            return self._clock.now() < ends and not self._look.gone.is_set()

        return more_time

    def _note(self, text: str) -> LogLine:
        whole = f"[chapiteau: {text}]"
        return LogLine(time=self._clock.wall(), service="", process=0, stream="note", text=whole)


def _line(source: str, kept: KeptLine) -> LogLine:
    service, process, stream = source.rsplit("/", 2)
    return LogLine(
        time=kept.time,
        service=service,
        process=int(process),
        stream=stream,
        text=kept.text,
        at=kept.end,
    )
