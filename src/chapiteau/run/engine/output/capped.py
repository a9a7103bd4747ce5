"""A stream with a rate cap: what is above it is dropped, counted and marked, line by line.

Below the cap it is moved as any other. Above it lines must be looked at to drop whole ones, so
they pass through the brain: killed in that moment, it loses what it had just read, uncounted.
"""

import os
from pathlib import Path

from chapiteau.core.clock import Clock
from chapiteau.run.engine.output.capture import CHUNK, Capture, held_by
from chapiteau.run.engine.output.rotation import Rotation
from chapiteau.run.logic.lines.ratecap import RateCap

__all__ = ["CappedCapture"]


class CappedCapture(Capture):
    """`rate`: bytes per second that are kept."""

    def __init__(self, path: Path, rotation: Rotation, clock: Clock, rate: int) -> None:
        super().__init__(path, rotation, clock)
        self._cap = RateCap(rate, clock.now())

    def _move(self, pipe: int, now: float) -> int:
        held = min(held_by(pipe), self._rotation.room(self._size))
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
            self._let_go(now)
            written = 0
        if written:
            self._took(written, now)
        self._drop(data[written:], "the log file can't be written")

    def _drop(self, data: bytes, why: str = "more than the rate cap") -> None:
        if data:
            self._count(len(data), why)
