"""When pipes are looked at: at once when something comes, and busy ones in a rhythm, together.

A writer that never pauses makes its pipe readable again some 30 µs after each look, so looking
at every chance would cost more than moving the bytes. A millisecond later 20 times as much is
there, for the same price. Only pipes that hold more than such a writer makes in that time wait.
"""

import asyncio
import contextlib
import fcntl
from collections.abc import Callable
from typing import Final

__all__ = ["Rhythm"]

_BEAT: Final = 0.001  # seconds between two looks at busy pipes
_BUSY: Final = 16 << 10  # bytes found in one look that make a pipe busy
_DEEP: Final = 512 << 10  # bytes that a pipe must be able to hold to wait for a beat
_F_GETPIPE_SZ: Final = 1032


class Rhythm:
    """`take(pipe)` moves what is there and says how many bytes; -1 at the pipe's end.

    `gone(pipe)` is called after that; this one has forgotten the pipe then.
    """

    def __init__(self, take: Callable[[int], int], gone: Callable[[int], None]) -> None:
        self._take, self._gone = take, gone
        self._deep: dict[int, bool] = {}  # pipe → whether it may wait
        self._busy: set[int] = set()
        self._beat: asyncio.Handle | None = None

    def add(self, pipe: int) -> None:
        """Look at this pipe from now on."""
        asyncio.get_running_loop().add_reader(pipe, self._came, pipe)

    def forget(self, pipe: int) -> None:
        """Look at it no more."""
        self._deep.pop(pipe, None)
        if pipe in self._busy:
            self._busy.discard(pipe)
        else:
            asyncio.get_running_loop().remove_reader(pipe)

    def _came(self, pipe: int) -> None:
        taken = self._look(pipe)
        if taken >= _BUSY and self._is_deep(pipe):
            asyncio.get_running_loop().remove_reader(pipe)
            self._busy.add(pipe)
            self._wait(taken)

    def _is_deep(self, pipe: int) -> bool:
        if pipe not in self._deep:
            self._deep[pipe] = False
            with contextlib.suppress(OSError):
                self._deep[pipe] = fcntl.fcntl(pipe, _F_GETPIPE_SZ) >= _DEEP
        return self._deep[pipe]

    def _look(self, pipe: int) -> int:
        try:
            taken = self._take(pipe)
        except OSError:
            taken = -1
        if taken < 0:
            self.forget(pipe)
            self._gone(pipe)
        return taken

    def _wait(self, taken: int) -> None:
        """Until the next look; at once when some pipe was so full that its writer may wait."""
        if self._beat is None:
            loop = asyncio.get_running_loop()
            full = taken >= _DEEP
            self._beat = loop.call_soon(self._all) if full else loop.call_later(_BEAT, self._all)

    def _all(self) -> None:
        self._beat, most = None, 0
        loop = asyncio.get_running_loop()
        for pipe in tuple(self._busy):
            taken = self._look(pipe)
            most = max(most, taken)
            if 0 <= taken < _BUSY and pipe in self._busy:
                self._busy.discard(pipe)
                loop.add_reader(pipe, self._came, pipe)
        if self._busy:
            self._wait(most)
