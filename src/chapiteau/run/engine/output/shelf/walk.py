"""One stream's kept lines that fit, newest first or oldest first, a step at a time."""

import os
import re
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from chapiteau.run.engine.output.shelf.newest import KeptLine
from chapiteau.run.engine.output.shelf.volume import (
    UNREADABLE,
    Shelf,
    Volume,
    backwards,
    forwards,
    unpacked,
)

__all__ = ["Look", "Place", "Step", "newest_first", "oldest_first"]

# What is kept of one packed file at a time: characters, and lines.
_PACKED: Final = 8 << 20
_PACKED_LINES: Final = 20_000

_FAR: Final = 1 << 62  # beyond the end of any file

Place = tuple[int, int]  # turn of a file, offset in it


class Step(NamedTuple):
    """What was looked at last: a line that fits, or a piece without one."""

    time: float
    place: Place  # where it begins
    line: KeptLine | None


@dataclass(kw_only=True)
class Look:
    """What is looked for. `unread` fills with what could not be read; `gone` ends it early."""

    fits: Callable[[float, str], bool]
    sieve: re.Pattern[str] | None = None
    since: float = 0.0
    until: float = 0.0
    unread: list[str] = field(default_factory=list)
    gone: threading.Event = field(default_factory=threading.Event)

    def lines(self, turn: int, begin: int, data: bytes, volume: Volume) -> list[Step]:
        """Those of a piece that fit, in the order of the file."""
        if self._hopeless(data):
            return []
        found, at = [], begin
        for raw in data.splitlines(keepends=True):
            text = raw.decode("utf-8", "replace").rstrip("\r\n")
            time = volume.times.at(at)
            if self.fits(time, text):
                kept = KeptLine(time, text, at + len(raw))
                found.append(Step(time, (turn, at), kept))
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


def newest_first(shelf: Shelf, look: Look, before: Place | None = None) -> Iterator[Step]:
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
            yield Step(last or volume.times.at(0), (turn, 0), None)


def _plain(volume: Volume, look: Look, end: int) -> Iterator[Step]:
    end = volume.size if end < 0 else min(end, volume.size)
    for begin, data in backwards(volume.file, end):
        look.check()
        yield from reversed(look.lines(volume.turn, begin, data, volume))
        time = volume.times.at(begin)
        yield Step(time, (volume.turn, begin), None)
        if time < look.since:
            return


def _packed(volume: Volume, look: Look, end: int) -> Iterator[Step]:
    """It can be read forwards alone: the last ones that fit are kept, and more in a second pass."""
    while True:
        kept: deque[Step] = deque()
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


def _forward(volume: Volume, look: Look, end: int = -1) -> Iterator[Step]:
    with unpacked(volume) as source:
        for begin, data in forwards(source, volume.size, look.check):
            if 0 <= end <= begin:
                return
            for step in look.lines(volume.turn, begin, data, volume):
                if end < 0 or step.place[1] < end:
                    yield step


def oldest_first(shelf: Shelf, look: Look) -> Iterator[Step]:
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
