"""A stream with a rate cap: what is above it is dropped, counted and marked, line by line.

Below the cap it is moved as any other. Above it lines must be looked at to drop whole ones, so
they pass through the brain: killed in that moment, it loses what it had just read, uncounted.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from chapiteau.core.clock import Clock
from chapiteau.run.logs.capture import CHUNK, Capture, pipe_size
from chapiteau.run.logs.rotation import Rotation

__all__ = ["RateLimit", "RateLimitedCapture"]


# The rate cap of a stream: whole lines until its allowance is used up, then none for a while.

_AGAIN: Final = 0.25  # seconds' worth that must have gathered before lines are kept again


class RateLimit:
    """`rate` bytes per second may be kept, a second's worth at once. Times are of one clock.

    Once something was dropped, nothing is kept until a quarter of a second's worth may be: a log
    with few long gaps can be read, one with a gap after every line can't.
    """

    def __init__(self, rate: int, now: float) -> None:
        self.rate = rate
        self._left, self._at = float(rate), now
        self._over = False
        self._torn = False  # the last byte that was dropped was amid a line

    def fits(self, size: int, now: float) -> bool:
        """Whether so many bytes may be kept as they are; they are counted then."""
        self._left = min(float(self.rate), self._left + max(0.0, now - self._at) * self.rate)
        self._at = now
        if self._over or size > self._left:
            return False
        self._left -= size
        return True

    def choose(self, data: bytes) -> slice:
        """What of these bytes is kept: whole lines, as many as may be (after `fits` said no)."""
        begin = data.find(b"\n") + 1 if self._torn else 0
        if (self._torn and not begin) or (self._over and self._left < self.rate * _AGAIN):
            self._torn = not data.endswith(b"\n")
            return slice(0, 0)
        end, room = len(data), int(self._left)
        if end - begin > room:
            end = max(begin, data.rfind(b"\n", begin, begin + room) + 1)
        self._left -= end - begin
        self._over = end < len(data) or end == begin  # until something is kept, and the gap told
        self._torn = self._over and not data.endswith(b"\n")
        return slice(begin, end)


class RateLimitedCapture(Capture):
    """`rate`: bytes per second that are kept."""

    def __init__(
        self,
        path: Path,
        rotation: Rotation,
        clock: Clock,
        rate: int,
        on_drop: Callable[[int, str], None] = lambda count, why: None,
    ) -> None:
        super().__init__(path, rotation, clock, on_drop)
        self._cap = RateLimit(rate, clock.now())

    def _move(self, pipe: int, now: float) -> int:
        held = min(pipe_size(pipe), self._rotation.room(self._size))
        if self._cap.fits(held, now):
            return self._splice(pipe, now, held or 1)  # 1: the end of the pipe shows too
        try:
            data = os.read(pipe, CHUNK)
        except BlockingIOError:
            return 0
        kept = self._cap.choose(data)
        self._drop(data[: kept.start])
        if kept.stop > kept.start:
            self._keep(data[kept], now)
        self._drop(data[kept.stop :])
        return len(data) or -1

    def _keep(self, data: bytes, now: float) -> None:
        try:
            written = (
                os.pwrite(self._file, data, self._size) if self._fill_gap(now, tell=True) else 0
            )
        except OSError:
            self._close_for_retry(now)
            written = 0
        if written:
            self._appended(written, now)
        self._drop(data[written:], "the log file can't be written")

    def _drop(self, data: bytes, why: str = "more than the rate cap") -> None:
        if data:
            self._count(len(data), why)
