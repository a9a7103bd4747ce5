"""Finds what holds the loop up: while a scenario blocks, every other session waits.

A thread looks now and then at what the loop's thread is doing. Code of the user's in a loop that
has not come round for long, or that is met again and again, is named with its place.
"""

import asyncio
import os
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Final

from chapiteau.load.stats.frames import Counts

__all__ = ["StallDetector"]

_EVERY: Final = 0.05  # seconds between two looks
_LONG: Final = 0.1  # seconds that the loop must stand still to be worth telling
_STDLIB: Final = os.path.dirname(os.__file__) + os.sep  # noqa: PTH120 — compared as text
_OURS: Final = f"{os.sep}chapiteau{os.sep}load{os.sep}"
_MOST: Final = 50  # places


class StallDetector:
    """Watches the loop of this thread. `flush` tells what has been seen since the last time."""

    def __init__(self, loop: asyncio.AbstractEventLoop, now: Callable[[], float]) -> None:
        self._loop = loop
        self._now = now
        self._thread = threading.get_ident()
        self._came_round = now()
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._looks = 0
        self._seen: dict[str, int] = {}
        self._longest: dict[str, int] = {}
        self._beat: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to look."""
        self._go_round()
        threading.Thread(target=self._watch, name="stalls", daemon=True).start()

    def stop(self) -> None:
        """Look no more."""
        self._over.set()
        if self._beat is not None:
            self._beat.cancel()

    def flush(self) -> Counts:
        """`looks`, how many met which place, and how long (in ms) the loop stood still there."""
        with self._lock:
            looks, seen, longest = self._looks, self._seen, self._longest
            self._looks, self._seen, self._longest = 0, {}, {}
        return Counts(looks=looks, blocked=seen, blocked_ms=longest)

    def _go_round(self) -> None:
        self._came_round = self._now()
        self._beat = self._loop.call_later(_EVERY, self._go_round)

    def _watch(self) -> None:
        while not self._over.wait(_EVERY):
            place = _place(sys._current_frames().get(self._thread))  # noqa: SLF001 — documented
            still = self._now() - self._came_round
            with self._lock:
                self._looks += 1
                if place and (place in self._seen or len(self._seen) < _MOST):
                    self._seen[place] = self._seen.get(place, 0) + 1
                    if still > _LONG:
                        known = self._longest.get(place, 0)
                        self._longest[place] = max(known, round(still * 1000))


def _place(frame: FrameType | None) -> str:
    """Where the user's code stands, when it is that which runs: `read (visits.py:12)`.

    What libraries do for it is its doing. "" while the engine works or waits.
    """
    while frame is not None:
        file = frame.f_code.co_filename
        if _OURS in file:
            return ""
        if not file.startswith((_STDLIB, "<")) and "site-packages" not in file:
            return f"{frame.f_code.co_name} ({file.rpartition(os.sep)[2]}:{frame.f_lineno})"
        frame = frame.f_back
    return ""
