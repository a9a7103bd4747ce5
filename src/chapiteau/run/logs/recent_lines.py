"""Lines that are kept in log files, with the time at which they came."""

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from chapiteau.run.logs.archive import ArrivalTimes

__all__ = ["KeptLine", "last_lines", "lines_after"]

_BLOCK = 1 << 16
_MOST = 16 << 20  # bytes read back at the most


@dataclass(frozen=True, slots=True)
class KeptLine:
    """A line in a log file; `end` is the number of bytes up to its end."""

    time: float
    text: str
    end: int


def last_lines(
    path: Path,
    marks: Sequence[tuple[int, float]],
    count: int,
    older: Sequence[tuple[int, float]] = (),
) -> Iterator[KeptLine]:
    """The last `count` lines, oldest first.

    `marks` are (offset, time) noted as output came, about one a second; output from before the
    first mark gets that mark's time (without any, the file's own). The file before it is read
    (`older`: its marks) when the newest holds too few.
    """
    if count <= 0 or path == Path(os.devnull):
        return
    found = _tail(path, marks, count)
    if len(found) < count:
        yield from _tail(_older(path), older, count - len(found))
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
        when = ArrivalTimes(marks, info.st_mtime)
        lines: list[KeptLine] = []
        at = start
        for raw in data.splitlines(keepends=True):
            time = when.at(at)
            at += len(raw)
            lines.append(KeptLine(time, raw.decode("utf-8", "replace").rstrip("\r\n"), at))
        return lines[-count:]
    return []
