"""One output stream of one process number: from its pipe into its file, by splice.

The kernel moves the bytes, so there is no moment in which they have left the pipe and are not yet
in the file: killing the brain at any point loses and doubles nothing (docs/decisions/0006). Bytes
are looked at only when somebody follows. A file that can't be written never blocks the process:
what comes is dropped, counted and marked.
"""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from chapiteau.core.clock import Clock
from chapiteau.run.engine.output.rotation import Rotation

__all__ = ["Capture"]

CHUNK: Final = 1 << 20
_MOVE: Final = 0x01 | 0x02  # SPLICE_F_MOVE | SPLICE_F_NONBLOCK
_RETRY: Final = 1.0  # seconds before a file that failed is tried again
_LOOK: Final = 1.0  # seconds between looks whether somebody moved the file away


class Capture:
    """Moves pipes into `path`. `followers` get the bytes too; `dropped` counts the lost."""

    def __init__(self, path: Path, rotation: Rotation, clock: Clock, *, rate: int = 0) -> None:
        self.path = path
        self.followers: list[Callable[[bytes], None]] = []
        self.on_drop: Callable[[int, str], None] = lambda count, why: None
        self.dropped = 0
        self.marks: list[tuple[int, float]] = []  # (offset in the file, wall time), rising
        self._rotation, self._clock, self._rate = rotation, clock, rate
        self._file, self._size, self._inode = -1, 0, 0
        self._retry_at = self._look_at = 0.0
        self._gap = 0  # bytes dropped since the last mark in the file
        self._allowance, self._filled_at = float(rate), clock.now()

    def move(self, pipe: int) -> int:
        """Move what the pipe holds: how many bytes, -1 at its end. It must be readable."""
        now = self._clock.now()
        if not self._ready(now):
            return self._discard(pipe, "the log file can't be written")
        count = self._allowed(now)
        if count == 0:
            return self._discard(pipe, "more than the rate cap")
        try:
            moved = os.splice(pipe, self._file, count, offset_dst=self._size, flags=_MOVE)
        except BlockingIOError:
            return 0
        except OSError as exc:
            return self._failed(pipe, exc, now)
        if moved == 0:
            return -1
        self._took(moved, now)
        return moved

    def _took(self, moved: int, now: float) -> None:
        if self._rate:
            self._allowance -= moved
        wall = self._clock.wall()
        if not self.marks or wall - self.marks[-1][1] >= 1.0:
            self.marks.append((self._size, wall))
            del self.marks[:-4096]
        self._size += moved
        if self.followers:
            data = os.pread(self._file, moved, self._size - moved)
            for follower in tuple(self.followers):
                follower(data)
        if self._rotation.due(self._size, wall):
            self._rotate(now)

    def _ready(self, now: float) -> bool:
        """The file is open and still the one at its path; after a failure, only now and then."""
        if self._file < 0:
            return now >= self._retry_at and self._open(now)
        if now >= self._look_at:
            self._look_at = now + _LOOK
            same = False
            with contextlib.suppress(OSError):
                found = self.path.stat()
                same = found.st_ino == self._inode
                self._size = min(self._size, found.st_size)  # somebody cut it (copytruncate)
            if not same:
                self.close()
                return self._open(now)
        return True

    def _open(self, now: float) -> bool:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            self._file = os.open(self.path, flags, 0o640)
        except OSError:
            self._retry_at = now + _RETRY
            return False
        found = os.fstat(self._file)
        self._size, self._inode = found.st_size, found.st_ino
        self._look_at = now + _LOOK
        self.marks = [(self._size, self._clock.wall())]
        return self._fill_gap(now)

    def _fill_gap(self, now: float) -> bool:
        """Say in the file itself that something is missing here."""
        if not self._gap:
            return True
        note = f"[chapiteau: {self._gap} bytes of output were dropped here]\n".encode()
        try:
            self._size += os.pwrite(self._file, note, self._size)
        except OSError:
            self.close()
            self._retry_at = now + _RETRY
            return False
        self._gap = 0
        return True

    def _allowed(self, now: float) -> int:
        """Bytes that may be moved now: all, or what the rate cap still allows (a token bucket)."""
        if not self._rate:
            return min(CHUNK, self._rotation.room(self._size))
        passed, self._filled_at = now - self._filled_at, now
        self._allowance = min(float(self._rate), self._allowance + passed * self._rate)
        if self._allowance < 1:
            return 0
        if self._gap and not self._fill_gap(now):
            return 0
        return min(CHUNK, int(self._allowance))

    def _failed(self, pipe: int, exc: OSError, now: float) -> int:
        """Full disk, I/O error: let the process go on without us, and try again later."""
        self.close()
        self._retry_at = now + _RETRY
        return self._discard(pipe, exc.strerror or str(exc))

    def _discard(self, pipe: int, why: str) -> int:
        try:
            data = os.read(pipe, CHUNK)
        except BlockingIOError:
            return 0
        if not data:
            return -1
        for follower in tuple(self.followers):
            follower(data)
        self.dropped += len(data)
        self._gap += len(data)
        self.on_drop(len(data), why)
        return len(data)

    def _rotate(self, now: float) -> None:
        """Begin a new file, at the end of a line: the started line moves to the new file."""
        begun = self._begun_line()
        try:
            self._rotation.turn(self.path, self._file, self._size - len(begun), begun)
        except OSError:
            # No room to rotate: the old file goes on growing; nothing is lost.
            self._rotation.postpone(self._clock.wall())
            return
        self.close()
        self._open(now)

    def _begun_line(self) -> bytes:
        length = min(self._size, 1 << 16)
        tail = os.pread(self._file, length, self._size - length)
        return tail[tail.rfind(b"\n") + 1 :] if b"\n" in tail else b""

    @property
    def size(self) -> int:
        """Bytes in the file now."""
        if self._file >= 0:
            return self._size
        with contextlib.suppress(OSError):
            return self.path.stat().st_size
        return 0

    def tail(self, lines: int, since: int = 0, limit: int = 1 << 16) -> list[str]:
        """The last lines in the file, from the offset `since` on (all, when it was turned)."""
        with contextlib.suppress(OSError), self.path.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            stream.seek(max(since if since <= size else 0, size - limit))
            return stream.read().decode("utf-8", "replace").splitlines()[-lines:]
        return []

    def reopen(self) -> None:
        """Close the file; the next output opens its path anew (after logrotate)."""
        self.close()
        self._retry_at = 0.0

    def close(self) -> None:
        """Close the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
