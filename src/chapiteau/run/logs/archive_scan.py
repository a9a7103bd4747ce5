"""Several streams looked through together: the newest lines that fit, or all from the oldest on."""

import heapq
import os
import re
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, Generic, NamedTuple, TypeVar

from chapiteau.run.logs.archive import (
    UNREADABLE,
    ArchivedFile,
    LogArchive,
    decompressed,
    read_backwards,
    read_forwards,
)
from chapiteau.run.logs.recent_lines import KeptLine

__all__ = [
    "Page",
    "Position",
    "ScanQuery",
    "ScanStep",
    "all_lines",
    "newest_first",
    "oldest_first",
    "search_archive",
]


# One stream's kept lines that fit, newest first or oldest first, a step at a time.

# What is kept of one packed file at a time: characters, and lines.
_PACKED: Final = 8 << 20
_PACKED_LINES: Final = 20_000

_FAR: Final = 1 << 62  # beyond the end of any file

Position = tuple[int, int]  # turn of a file, offset in it


class ScanStep(NamedTuple):
    """What was looked at last: a line that fits, or a piece without one."""

    time: float
    place: Position  # where it begins
    line: KeptLine | None


@dataclass(kw_only=True)
class ScanQuery:
    """What is looked for. `unread` fills with what could not be read; `gone` ends it early."""

    fits: Callable[[float, str], bool]
    sieve: re.Pattern[str] | None = None
    since: float = 0.0
    until: float = 0.0
    unread: list[str] = field(default_factory=list)
    gone: threading.Event = field(default_factory=threading.Event)

    def lines(self, turn: int, begin: int, data: bytes, volume: ArchivedFile) -> list[ScanStep]:
        """Those of a piece that fit, in the order of the file."""
        if self._hopeless(data):
            return []
        found, at = [], begin
        for raw in data.splitlines(keepends=True):
            text = raw.decode("utf-8", "replace").rstrip("\r\n")
            time = volume.times.at(at)
            if self.fits(time, text):
                kept = KeptLine(time, text, at + len(raw))
                found.append(ScanStep(time, (turn, at), kept))
            at += len(raw)
        return found

    def _hopeless(self, data: bytes) -> bool:
        """One look for thousands of lines: what most pieces hold is not looked for."""
        if self.sieve is None or b"\r" in data:
            return False
        return self.sieve.search(data.decode("utf-8", "replace")) is None

    def check(self) -> None:
        """Raises OSError when nobody waits for it any more."""
        if self.gone.is_set():
            raise OSError("nobody waits for it any more")


def newest_first(
    shelf: LogArchive, look: ScanQuery, before: Position | None = None
) -> Iterator[ScanStep]:
    """Lines before a place; each file ends with a step that says so."""
    for turn in shelf.turns():
        if before is not None and turn > before[0]:
            continue
        end = before[1] if before is not None and turn == before[0] else -1
        with shelf.open(turn) as volume:
            if volume is None:
                continue
            if 0 < volume.times.at(_FAR) < look.since:
                return  # all of it, and of what is older, came before
            if look.until:
                late = volume.times.end_before(look.until, _FAR)
                end = late if end < 0 else min(end, late)
            steps = _packed if volume.packed else _plain
            last = 0.0
            try:
                for step in steps(volume, look, end):
                    last = step.time
                    yield step
            except UNREADABLE as exc:
                look.unread.append(f"{volume.name}: {exc}")
            yield ScanStep(last or volume.times.at(0), (turn, 0), None)


def _plain(volume: ArchivedFile, look: ScanQuery, end: int) -> Iterator[ScanStep]:
    end = volume.size if end < 0 else min(end, volume.size)
    for begin, data in read_backwards(volume.file, end):
        look.check()
        yield from reversed(look.lines(volume.turn, begin, data, volume))
        time = volume.times.at(begin)
        yield ScanStep(time, (volume.turn, begin), None)
        if time < look.since:
            return


def _packed(volume: ArchivedFile, look: ScanQuery, end: int) -> Iterator[ScanStep]:
    """It can be read forwards alone: the last ones that fit are kept, and more in a second pass."""
    while True:
        kept: deque[ScanStep] = deque()
        size, left_out, broken = 0, False, None
        os.lseek(volume.file.fileno(), 0, os.SEEK_SET)
        try:
            for step in _forward(volume, look, end):
                kept.append(step)
                size += len(step.line.text) if step.line else 0
                while (size > _PACKED or len(kept) > _PACKED_LINES) and len(kept) > 1:
                    gone = kept.popleft()
                    size, left_out = size - (len(gone.line.text) if gone.line else 0), True
        except UNREADABLE as exc:
            broken = exc
        end = kept[0].place[1] if kept else 0
        yield from reversed(kept)
        if broken is not None:
            raise broken
        if not left_out:
            return


def _forward(volume: ArchivedFile, look: ScanQuery, end: int = -1) -> Iterator[ScanStep]:
    with decompressed(volume) as source:
        for begin, data in read_forwards(source, volume.size, look.check):
            if 0 <= end <= begin:
                return
            for step in look.lines(volume.turn, begin, data, volume):
                if end < 0 or step.place[1] < end:
                    yield step


def oldest_first(shelf: LogArchive, look: ScanQuery) -> Iterator[ScanStep]:
    """All lines from the first one on, however many there are."""
    for turn in reversed(shelf.turns()):
        with shelf.open(turn) as volume:
            if volume is None:
                continue
            if 0 < volume.times.at(_FAR) < look.since:
                continue
            try:
                yield from _forward(volume, look)
            except UNREADABLE as exc:
                look.unread.append(f"{volume.name}: {exc}")


K = TypeVar("K")
_PAGE: Final = 16 << 20  # characters of one page


@dataclass
class Page(Generic[K]):
    """`lines` oldest first; `older`: where each stream goes on, empty when all was looked at."""

    lines: list[tuple[K, KeptLine]] = field(default_factory=list)
    older: dict[K, Position] = field(default_factory=dict)


def search_archive(
    shelves: Mapping[K, LogArchive],
    count: int,
    look: ScanQuery,
    *,
    before: Mapping[K, Position],
    more_time: Callable[[], bool],
) -> Page[K]:
    """The last `count` lines that fit, or as many as are found while there is `more_time`.

    Fit for a thread. What it holds of each stream is one piece of 64 KiB.
    """
    walks = {key: newest_first(shelf, look, before.get(key)) for key, shelf in shelves.items()}
    places = {key: before.get(key, (shelf.turn, shelf.size)) for key, shelf in shelves.items()}
    found: list[tuple[K, KeptLine]] = []
    size = 0
    heap = _Heap(walks, -1)
    while heap and len(found) < count and size < _PAGE and more_time():
        key, step = heap.pop()
        places[key] = step.place
        if step.line is not None:
            found.append((key, step.line))
            size += len(step.line.text)
    older = places if heap else {}
    heap.close()
    found.reverse()
    return Page(found, older)


def all_lines(
    shelves: Mapping[K, LogArchive], look: ScanQuery, many: int
) -> Iterator[list[tuple[K, KeptLine]]]:
    """Every line that fits, oldest first, `many` at a time."""
    heap = _Heap({key: oldest_first(shelf, look) for key, shelf in shelves.items()}, 1)

    def lines() -> Iterator[tuple[K, KeptLine]]:
        while heap:
            key, step = heap.pop()
            if step.line is not None:
                yield key, step.line

    source = lines()
    try:
        while batch := list(islice(source, many)):
            yield batch
    finally:
        heap.close()


class _Heap(Generic[K]):
    """Walks in the order of their next step's time."""

    def __init__(self, walks: Mapping[K, Iterator[ScanStep]], sign: int) -> None:
        self._walks, self._sign = list(walks.items()), sign
        self._heap: list[tuple[float, int, ScanStep]] = []
        for index in range(len(self._walks)):
            self._push(index)

    def __bool__(self) -> bool:
        return bool(self._heap)

    def pop(self) -> tuple[K, ScanStep]:
        _, index, step = heapq.heappop(self._heap)
        self._push(index)
        return self._walks[index][0], step

    def _push(self, index: int) -> None:
        step = next(self._walks[index][1], None)
        if step is not None:
            heapq.heappush(self._heap, (self._sign * step.time, index, step))

    def close(self) -> None:
        for _, walk in self._walks:
            if hasattr(walk, "close"):
                walk.close()
