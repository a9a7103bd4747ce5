"""Lines that are kept in log files, with the time at which they came."""

import bisect
import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

__all__ = ["KeptLine", "Shelf", "kept_lines", "lines_after", "open_shelf", "search"]

_BLOCK = 1 << 16
_MOST = 16 << 20  # bytes read back at the most


@dataclass(frozen=True, slots=True)
class KeptLine:
    """A line in a log file; `end` is the number of bytes up to its end."""

    time: float
    text: str
    end: int


def kept_lines(path: Path, marks: Sequence[tuple[int, float]], count: int) -> Iterator[KeptLine]:
    """The last `count` lines, oldest first.

    `marks` are (offset, time) noted as output came, about one a second; output from before the
    first mark gets that mark's time (without any, the file's own). Older files are read when the
    newest holds too few.
    """
    if count <= 0 or path == Path(os.devnull):
        return
    found = _tail(path, marks, count)
    if len(found) < count:
        yield from _tail(_older(path), (), count - len(found))
    yield from found


def lines_after(
    path: Path, marks: Sequence[tuple[int, float]], count: int, offset: int
) -> Iterator[KeptLine]:
    """The lines (at most `count`) that a reader who was at this offset has not seen.

    When the file is shorter than that it was turned since: the rest of the older one comes first.
    """
    if path == Path(os.devnull):
        return
    found = _tail(path, marks, count)
    with contextlib.suppress(OSError):
        if path.stat().st_size >= offset:
            found = [line for line in found if line.end > offset]
        else:
            yield from (line for line in _tail(_older(path), (), count) if line.end > offset)
    yield from found


@dataclass(frozen=True, slots=True)
class Shelf:
    """The open files of one stream, newest first: turning them meanwhile changes nothing.

    Each is (file, how many bytes of it count, its marks).
    """

    files: tuple[tuple[FileIO, int, tuple[tuple[int, float], ...]], ...]

    def close(self) -> None:
        """Let go of the files."""
        for file, _, _ in self.files:
            file.close()


def open_shelf(path: Path, marks: Sequence[tuple[int, float]]) -> Shelf:
    """What is in the files now; `search` closes it."""
    files = []
    for place, known in ((path, tuple(marks)), (_older(path), ())):
        if path != Path(os.devnull):
            with contextlib.suppress(OSError):
                file = FileIO(place)
                files.append((file, os.fstat(file.fileno()).st_size, known))
    return Shelf(tuple(files))


def search(shelf: Shelf, count: int, fits: Callable[[float, str], bool]) -> list[KeptLine]:
    """The last `count` lines that fit, oldest first; looks through 16 MiB of each file.

    Fit for a thread: it takes a second when there is much to read.
    """
    found: list[KeptLine] = []
    try:
        for file, size, marks in shelf.files:
            if len(found) < count:
                found += _fitting(file, size, marks, count - len(found), fits)
    finally:
        shelf.close()
    return found[::-1]


def _fitting(
    file: FileIO,
    size: int,
    marks: Sequence[tuple[int, float]],
    count: int,
    fits: Callable[[float, str], bool],
) -> Iterator[KeptLine]:
    """The newest `count` lines that fit, newest first."""
    start = max(0, size - _MOST)
    when = _Times(marks, os.fstat(file.fileno()).st_mtime)
    at = size
    for raw in reversed(os.pread(file.fileno(), size - start, start).splitlines(keepends=True)):
        at -= len(raw)
        if at == start > 0:  # its beginning was not read
            return
        text = raw.decode("utf-8", "replace").rstrip("\r\n")
        time = when.at(at)
        if fits(time, text):
            yield KeptLine(time, text, at + len(raw))
            count -= 1
            if not count:
                return


class _Times:
    """When the byte at an offset came. What came before the first mark came by then, at least."""

    def __init__(self, marks: Sequence[tuple[int, float]], changed: float) -> None:
        self._offsets = [offset for offset, _ in marks]
        self._times = [time for _, time in marks] or [changed]

    def at(self, offset: int) -> float:
        return self._times[max(0, bisect.bisect_right(self._offsets, offset) - 1)]


def _older(path: Path) -> Path:
    return path.with_name(path.name + ".1")


def _tail(path: Path, marks: Sequence[tuple[int, float]], count: int) -> list[KeptLine]:
    with contextlib.suppress(OSError), path.open("rb") as stream:
        info = os.fstat(stream.fileno())
        start, data = info.st_size, b""
        while start > 0 and data.count(b"\n") <= count and len(data) < _MOST:
            step = min(_BLOCK, start)
            start -= step
            stream.seek(start)
            data = stream.read(step) + data
        when = _Times(marks, info.st_mtime)
        lines: list[KeptLine] = []
        at = start
        for raw in data.splitlines(keepends=True):
            time = when.at(at)
            at += len(raw)
            lines.append(KeptLine(time, raw.decode("utf-8", "replace").rstrip("\r\n"), at))
        return lines[-count:]
    return []
