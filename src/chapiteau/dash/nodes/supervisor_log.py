"""What the supervisor itself says: the end of its log, searched and followed.

Its lines carry no time of their own; those that come while somebody follows get the time at which
they were seen.
"""

import asyncio
import os
from collections import deque
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Final

from chapiteau.core.clock import Clock
from chapiteau.core.text import at_least
from chapiteau.run.logs.grep import compile_grep
from chapiteau.run.logs.messages import LogLine, LogQuery

__all__ = ["SUPERVISOR", "supervisor_log"]

SUPERVISOR: Final = "@supervisor"  # as a service's name, which none can have
_SOURCE: Final = f"{SUPERVISOR}/0/stderr"  # as LogQuery.after names it
_MOST: Final = 8 << 20  # bytes from the end that are looked through
_LONGEST: Final = 1 << 16  # bytes of one line
_LOOK: Final = 0.5  # seconds between two looks for what is new


async def supervisor_log(
    path: Path, query: LogQuery, clock: Clock
) -> AsyncIterator[dict[str, Any]]:
    """Lines as in docs/reference/control-api.md, with stream `stderr`. Raises UsageError."""
    fits = _sieve(query)
    kept, at = await asyncio.to_thread(_kept, path, query, fits)
    for text, end in kept:
        yield _line(0.0, text, end)
    if query.pages:
        yield {"older": {}, "unread": []}
    while query.follow and not query.until and not query.whole:
        await asyncio.sleep(_LOOK)
        fresh, at = _since(path, at)
        for text, end in fresh:
            if fits(text):
                yield _line(clock.wall(), text, end)


def _kept(
    path: Path, query: LogQuery, fits: Callable[[str], bool]
) -> tuple[list[tuple[str, int]], int]:
    """The newest lines that fit, or those that a reader has not seen; and up to where it read."""
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        return [], 0
    been = query.after.get(_SOURCE, 0)
    lines, at = _since(path, been or max(0, size - _MOST))
    if size > _MOST and not been:
        lines = lines[1:]  # its beginning is not there
    most = None if query.whole or been else query.last
    return list(deque((line for line in lines if fits(line[0])), maxlen=most)), at


def _since(path: Path, at: int) -> tuple[list[tuple[str, int]], int]:
    """Whole lines after a place, each with its end, and the place after them.

    A file that shrank begins anew.
    """
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(at if at <= size else 0)
            place = file.tell()
            data = file.read(_MOST)
    except FileNotFoundError:
        return [], 0
    whole = data.rfind(b"\n") + 1
    if not whole and len(data) < _LONGEST:
        return [], place  # somebody is still writing it
    found = []
    for line in data[: whole or len(data)].splitlines(keepends=True):
        place += len(line)
        if text := line.rstrip(b"\r\n"):
            found.append((text[:_LONGEST].decode("utf-8", "replace"), place))
    return found, place


def _sieve(query: LogQuery) -> Callable[[str], bool]:
    pattern = compile_grep(query.grep) if query.grep else None

    def fits(text: str) -> bool:
        if query.level and not at_least(text, query.level):
            return False
        return pattern is None or pattern.search(text) is not None

    return fits


def _line(time: float, text: str, end: int) -> dict[str, Any]:
    line = LogLine(time=time, service=SUPERVISOR, process=0, stream="stderr", text=text, at=end)
    return line.to_dict()
