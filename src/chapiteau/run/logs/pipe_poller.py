"""When pipes are looked at: at once when something comes, and busy ones in a rhythm, together.

A writer that never pauses makes its pipe readable again some 30 µs after each look, so looking
at every chance would cost more than moving the bytes. A millisecond later 20 times as much is
there, for the same price. So a pipe in which something comes again within 4 ms is busy, and waits
for the next beat. Beats are 1 to 4 ms apart: as long as the fullest pipe stays a quarter full.
"""

import asyncio
import contextlib
import fcntl
import select
from collections.abc import Callable
from typing import Final

__all__ = ["PipePoller", "next_pause"]

_TICK: Final = 0.001  # seconds between two looks at busy pipes, at least
_LONGEST_TICK: Final = (
    0.004  # … and at most: so late may a line be seen, so long may a sudden flood wait
)
_BUSY: Final = 16 << 10  # bytes found in one look that make a pipe busy, however long it was quiet
_DEEP: Final = 1 << 20  # bytes that a pipe is made to hold once it fills quickly
_AIM: Final = 0.25  # how full the fullest pipe should be at a beat
_FULL: Final = 0.5  # its writer may have to wait soon: it is looked at again at once
_BATCH: Final = 64  # pipes of one turn; then others have theirs
_F_SETPIPE_SZ: Final = 1031
_F_GETPIPE_SZ: Final = 1032


def next_pause(pause: float, fullest: float) -> float:
    """Seconds until the next beat, after one in which the fullest pipe was so full (0 to 1)."""
    wanted = 2 * pause if fullest <= _AIM / 2 else pause * _AIM / fullest
    return max(_TICK, min(wanted, _LONGEST_TICK))


class PipePoller:
    """`take(pipe)` moves what is there and says how many bytes; -1 at the pipe's end.

    `gone(pipe)` is called after that; this one has forgotten the pipe then.
    """

    def __init__(self, take: Callable[[int], int], gone: Callable[[int], None]) -> None:
        self._take, self._gone = take, gone
        self._room: dict[int, int] = {}  # pipe → bytes it can hold; 0: it never waits
        self._seen: dict[int, float] = {}  # pipe → when something came
        self._busy: set[int] = set()
        self._full: list[int] = []
        self._pause = _TICK
        self._tick: asyncio.TimerHandle | None = None
        # A descriptor for all of them: telling the loop of a thousand costs more than their starts.
        self._poll = select.epoll()
        self._watched = False  # whether the loop watches it

    def add(self, pipe: int) -> None:
        """Look at this pipe from now on."""
        self._seen[pipe] = float("-inf")
        self._poll.register(pipe, select.EPOLLIN)
        if not self._watched:
            self._watched = True
            asyncio.get_running_loop().add_reader(self._poll, self._poll_idle)

    def forget(self, pipe: int) -> None:
        """Look at it no more; one that is forgotten already is no matter."""
        if self._seen.pop(pipe, None) is None:
            return
        self._room.pop(pipe, None)
        if pipe in self._busy:
            self._busy.discard(pipe)
        else:
            self._poll.unregister(pipe)

    def close(self) -> None:
        """Look at none any more."""
        if self._watched:
            asyncio.get_running_loop().remove_reader(self._poll)
        self._poll.close()

    def _poll_idle(self) -> None:
        for pipe, _ in self._poll.poll(0, _BATCH):
            if pipe in self._seen and pipe not in self._busy:  # not forgotten by one before it
                self._readable(pipe)

    def _readable(self, pipe: int) -> None:
        taken = self._read(pipe)
        if taken < 0:
            return
        loop = asyncio.get_running_loop()
        now = loop.time()
        soon, self._seen[pipe] = now - self._seen[pipe] < _LONGEST_TICK, now
        if (soon or taken >= _BUSY) and self._may_wait(pipe, taken):
            self._poll.unregister(pipe)
            self._busy.add(pipe)
            self._filled(pipe, taken)
            if self._tick is None:
                self._pause = _TICK
                self._tick = loop.call_later(_TICK, self._poll_busy)

    def _may_wait(self, pipe: int, taken: int) -> bool:
        """Whether its writer can go on until the next beat; a pipe that fills quickly grows."""
        room = self._room.get(pipe)
        if room is None:
            room = self._room[pipe] = _pipe_capacity(pipe, _F_GETPIPE_SZ)
        if taken >= room * _AIM and 0 < room < _DEEP:
            room = self._room[pipe] = _pipe_capacity(pipe, _F_SETPIPE_SZ, _DEEP)
        return room > 0

    def _read(self, pipe: int) -> int:
        try:
            taken = self._take(pipe)
        except OSError:
            taken = -1
        if taken < 0:
            self.forget(pipe)
            self._gone(pipe)
        return taken

    def _poll_busy(self) -> None:
        self._tick, fullest = None, 0.0
        loop = asyncio.get_running_loop()
        try:
            for pipe in tuple(self._busy):
                taken = self._read(pipe)
                if taken > 0 and self._may_wait(pipe, taken):
                    fullest = max(fullest, self._filled(pipe, taken))
                elif pipe in self._busy:
                    self._busy.discard(pipe)
                    self._poll.register(pipe, select.EPOLLIN)
        finally:  # a defect in who follows one pipe must not stop the beat of all
            if self._busy:
                self._pause = next_pause(self._pause, fullest)
                self._tick = loop.call_later(self._pause, self._poll_busy)

    def _filled(self, pipe: int, taken: int) -> float:
        filled = taken / self._room[pipe]
        if filled >= _FULL:
            if not self._full:
                asyncio.get_running_loop().call_soon(self._poll_full)
            self._full.append(pipe)
        return filled

    def _poll_full(self) -> None:
        full, self._full = self._full, []
        for pipe in full:
            if pipe in self._busy and (taken := self._read(pipe)) > 0:
                self._filled(pipe, taken)


def _pipe_capacity(pipe: int, call: int, size: int = 0) -> int:
    """Bytes that it can hold, perhaps more than before; 0 when the kernel refuses."""
    with contextlib.suppress(OSError):
        return fcntl.fcntl(pipe, call, size)
    return 0
