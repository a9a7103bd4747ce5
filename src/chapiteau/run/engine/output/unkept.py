"""A stream that no file keeps: whoever follows it hears it, and its last lines stay in memory."""

import os
from pathlib import Path
from typing import Final

from chapiteau.core.clock import Clock
from chapiteau.run.engine.output.capture import CHUNK, Capture, held_by
from chapiteau.run.engine.output.rotation import Rotation
from chapiteau.run.logic.spec import Logs

__all__ = ["UnkeptCapture"]

_LAST: Final = 16 << 10  # bytes that are remembered, for the last words of a crash


class UnkeptCapture(Capture):
    """Takes what comes and writes it nowhere; nothing of it counts as dropped."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(Path(os.devnull), Rotation(Logs(max_size=1 << 40)), clock)
        self._last = b""

    def move(self, pipe: int) -> int:
        """Take what the pipe holds: how many bytes, -1 at its end."""
        try:
            data = os.read(pipe, min(held_by(pipe), CHUNK) or 1)  # 1: the end of the pipe shows too
        except BlockingIOError:
            return 0
        self._size += len(data)
        self._last = (self._last + data[-_LAST:])[-_LAST:]
        if data:
            self._hand(data)
        return len(data) or -1

    @property
    def size(self) -> int:
        """Bytes that have come so far."""
        return self._size

    def tail(self, lines: int, since: int = 0, limit: int = _LAST) -> list[str]:
        """The last lines, of those that came after `since` bytes."""
        text = self._last[-min(limit, max(0, self._size - since)) :] if self._size > since else b""
        return text.decode("utf-8", "replace").splitlines()[-lines:]
