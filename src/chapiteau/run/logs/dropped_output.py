"""Output that was lost: counted, and told at once, then at most once a minute with the sum."""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from chapiteau.run.logs.messages import OutputStream

__all__ = ["DroppedOutput"]

_NEWS: Final = 60.0  # seconds between two words about one stream


class DroppedOutput:
    """`totals` are bytes per service since this brain began."""

    def __init__(self, say: Callable[..., object]) -> None:
        self.totals: Counter[str] = Counter()
        self._say = say
        self._untold: dict[OutputStream, tuple[int, str]] = {}
        self._timers: dict[OutputStream, asyncio.TimerHandle] = {}

    def heard(self, stream: OutputStream, count: int, why: str) -> None:
        """So many bytes were lost."""
        self.totals[stream.service] += count
        before, _ = self._untold.get(stream, (0, ""))
        self._untold[stream] = (before + count, why)
        if stream not in self._timers:
            self._tell(stream)

    def _tell(self, stream: OutputStream) -> None:
        """Say what was not said; then be quiet for a while, and look again."""
        self._timers.pop(stream, None)
        count, why = self._untold.pop(stream, (0, ""))
        if not why:
            return
        facts: dict[str, Any] = {"bytes": count, "why": why}
        lost = f"{count} bytes of {stream.name}" if count else stream.name
        self._say("log.dropped", f"{lost}: {why}",
                  service=stream.service, process=stream.process, data=facts)  # fmt: skip
        loop = asyncio.get_running_loop()
        self._timers[stream] = loop.call_later(_NEWS, self._tell, stream)

    def close(self) -> None:
        """Say the rest now; nothing is told afterwards."""
        for stream, timer in list(self._timers.items()):
            timer.cancel()
            self._tell(stream)
        for timer in self._timers.values():
            timer.cancel()
