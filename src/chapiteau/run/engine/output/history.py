"""Lines that are kept in log files, with the time at which they came."""

import bisect
import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

__all__ = ["kept_lines"]

_BLOCK = 1 << 16
_MOST = 16 << 20  # bytes read back at the most


def kept_lines(
    path: Path, marks: Sequence[tuple[int, float]], count: int
) -> Iterator[tuple[float, str]]:
    """(time, text) of the last `count` lines, oldest first.

    `marks` are (offset, time) noted as output came, about one a second; output from before the
    first mark gets the file's own time. Older files are read when the newest holds too few.
    """
    if count <= 0 or path == Path(os.devnull):
        return
    found = _tail(path, marks, count)
    older = path.with_name(path.name + ".1")
    if len(found) < count and older.exists():
        yield from _tail(older, (), count - len(found))
    yield from found


def _tail(path: Path, marks: Sequence[tuple[int, float]], count: int) -> list[tuple[float, str]]:
    with contextlib.suppress(OSError), path.open("rb") as stream:
        info = os.fstat(stream.fileno())
        start, data = info.st_size, b""
        while start > 0 and data.count(b"\n") <= count and len(data) < _MOST:
            step = min(_BLOCK, start)
            start -= step
            stream.seek(start)
            data = stream.read(step) + data
        offsets = [offset for offset, _ in marks]
        lines: list[tuple[float, str]] = []
        at = start
        for raw in data.splitlines(keepends=True):
            index = bisect.bisect_right(offsets, at) - 1
            when = marks[index][1] if index >= 0 else info.st_mtime
            lines.append((when, raw.decode("utf-8", "replace").rstrip("\r\n")))
            at += len(raw)
        return lines[-count:]
    return []
