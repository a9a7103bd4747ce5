"""One output stream of one process number: from its pipe into its file, by splice.

The kernel moves the bytes, so there is no moment in which they have left the pipe and are not yet
in the file: killing the brain at any point loses and doubles nothing (docs/decisions/0006). Bytes
are looked at only when somebody follows. A file that can't be written never blocks the process:
what comes is dropped, counted and marked.
"""

import contextlib
import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from chapiteau.core.clock import Clock
from chapiteau.run.config.spec import Logs
from chapiteau.run.logs.archive import LogArchive, RotationHistory, thin_marks
from chapiteau.run.logs.rotation import Rotation, rename_lock

__all__ = ["Capture", "MemoryCapture", "pipe_size"]

CHUNK: Final = 1 << 20
_MOVE: Final = 0x01 | 0x02  # SPLICE_F_MOVE | SPLICE_F_NONBLOCK
_RETRY: Final = 1.0  # seconds before a file that failed is tried again
_CHECK_EVERY: Final = 1.0  # seconds between checks whether the file was moved away
_MARKS: Final = 4096
_GAP_QUIET: Final = 1.0  # seconds without a further loss, after which a gap is noted by itself
_FIONREAD: Final = 0x541B


class Capture:
    """Moves pipes into `path`; `on_drop` gets how many bytes were lost, and why."""

    def __init__(
        self,
        path: Path,
        rotation: Rotation,
        clock: Clock,
        on_drop: Callable[[int, str], None] = lambda count, why: None,
    ) -> None:
        self.path = path
        self._followers: dict[object, Callable[[bytes], None]] = {}
        self._on_drop = on_drop
        self.marks: list[tuple[int, float]] = []  # (offset in the file, wall time), rising
        self.history = RotationHistory(path)
        self._rotation, self._clock = rotation, clock
        self._file, self._size, self._inode = -1, 0, 0
        self._retry_at = self._check_at = 0.0
        self._gap = 0  # bytes dropped since the last mark in the file
        self._gap_at = 0.0  # when the last of them were

    def follow(self, key: object, deliver: Callable[[bytes], None]) -> None:
        """Hand the bytes to `deliver`, too, until `unfollow` with this key."""
        self._followers[key] = deliver

    def unfollow(self, key: object) -> None:
        """Hand it no more; a key that is not known is no matter."""
        self._followers.pop(key, None)

    def archive(self) -> LogArchive:
        """The files as they are now."""
        return LogArchive(self.path, self.history, self.size, self.marks)

    def move(self, pipe: int) -> int:
        """Move what the pipe holds: how many bytes, -1 at its end. It must be readable."""
        now = self._clock.now()
        if not self._ready(now):
            return self._drop_all(pipe, "the log file can't be written")
        return self._move(pipe, now)

    def _move(self, pipe: int, now: float) -> int:
        return self._splice(pipe, now, CHUNK)

    def _splice(self, pipe: int, now: float, most: int) -> int:
        count = min(most, self._rotation.room(self._size))
        try:
            moved = os.splice(pipe, self._file, count, offset_dst=self._size, flags=_MOVE)
        except BlockingIOError:
            return 0
        except OSError as exc:
            self._close_for_retry(now)
            return self._drop_all(pipe, exc.strerror or str(exc))
        if moved == 0:
            return -1
        self._appended(moved, now)
        return moved

    def _appended(self, moved: int, now: float) -> None:
        wall = self._clock.wall()
        if not self.marks or wall - self.marks[-1][1] >= 1.0:
            self.marks.append((self._size, wall))
            if len(self.marks) > _MARKS:
                self.marks = thin_marks(self.marks, _MARKS // 2)
        self._size += moved
        if self._followers:
            self._deliver(os.pread(self._file, moved, self._size - moved))
        if self._rotation.due(self._size, wall):
            self._rotate(now)

    def _ready(self, now: float) -> bool:
        """The file is open and still the one at its path; after a failure, only now and then."""
        if self._file < 0:
            return now >= self._retry_at and self._open(now)
        if now >= self._check_at:
            self._check_at = now + _CHECK_EVERY
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
        self._check_at = now + _CHECK_EVERY
        # What stands there already came by the file's time, not by now.
        self.marks = [(0, found.st_mtime)] if self._size else []
        self.marks.append((self._size, self._clock.wall()))
        return self._fill_gap(now)

    def _fill_gap(self, now: float, *, tell: bool = False) -> bool:
        """Note in the file that something is missing here; `tell`: and to its followers."""
        if not self._gap:
            return True
        note = f"[chapiteau: {self._gap} bytes of output were dropped here]\n".encode()
        try:
            if self._size and os.pread(self._file, 1, self._size - 1) != b"\n":
                note = b"\n" + note  # the line before lost its end
            self._size += os.pwrite(self._file, note, self._size)
        except OSError:
            self._close_for_retry(now)
            return False
        self._gap = 0
        if tell:
            self._deliver(note)
        return True

    def settle(self, *, end: bool = False) -> bool:
        """Note what is missing though nothing follows it: after a quiet second, or at the `end`.

        Whether every gap is noted.
        """
        now = self._clock.now()
        if self._gap and (end or now - self._gap_at >= _GAP_QUIET) and self._ready(now):
            self._fill_gap(now, tell=True)
        return not self._gap

    def _deliver(self, data: bytes) -> None:
        for follower in tuple(self._followers.values()):
            follower(data)

    def _close_for_retry(self, now: float) -> None:
        """Full disk, I/O error: let the process go on without us, and try again later."""
        self.close()
        self._retry_at = now + _RETRY

    def _drop_all(self, pipe: int, why: str) -> int:
        try:
            data = os.read(pipe, CHUNK)
        except BlockingIOError:
            return 0
        if not data:
            return -1
        self._deliver(data)
        self._count(len(data), why)
        return len(data)

    def _count(self, lost: int, why: str) -> None:
        self._gap += lost
        self._gap_at = self._clock.now()
        self._on_drop(lost, why)

    def _rotate(self, now: float) -> None:
        """Begin a new file, at the end of a line: the started line moves to the new file."""
        begun = self._partial_line()
        try:
            with rename_lock:  # a search finds files by their numbers
                self.history.load()
                self._rotation.rotate(self.path, self._file, self._size - len(begun), begun)
                self.history.add(self.marks)
        except OSError:
            # No room to rotate: the old file goes on growing; nothing is lost.
            self._rotation.postpone(self._clock.wall())
            return
        self.close()
        self._open(now)

    def _partial_line(self) -> bytes:
        length = min(self._size, 1 << 16)
        tail = os.pread(self._file, length, self._size - length)
        return tail[tail.rfind(b"\n") + 1 :] if b"\n" in tail else b""

    @property
    def size(self) -> int:
        """Bytes in the file now."""
        if self._file >= 0:
            return self._size
        try:  # at each start of a process, and mostly it is not there
            return os.stat(self.path).st_size  # noqa: PTH116
        except OSError:
            return 0

    def read_since(self, since: int = 0, limit: int = 1 << 16) -> bytes:
        """What the file holds from the offset `since` on (all, when it was rotated): its end."""
        with contextlib.suppress(OSError), self.path.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            stream.seek(max(since if since <= size else 0, size - limit))
            return stream.read()
        return b""

    def tail(self, lines: int, since: int = 0) -> list[str]:
        """The last lines of what was written from the offset `since` on."""
        return self.read_since(since).decode("utf-8", "replace").splitlines()[-lines:]

    def reopen(self) -> None:
        """Close the file; the next output opens its path anew (after logrotate)."""
        self.close()
        self._retry_at = 0.0

    def close(self) -> None:
        """Close the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def pipe_size(pipe: int) -> int:
    """Bytes that wait in a pipe."""
    return int.from_bytes(fcntl.ioctl(pipe, _FIONREAD, b"\0\0\0\0"), "little")


# A stream that no file keeps: whoever follows it hears it, and its last lines stay in memory.

_LAST: Final = 16 << 10  # bytes that are remembered, for the last words of a crash


class MemoryCapture(Capture):
    """Takes what comes and writes it nowhere; nothing of it counts as dropped."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(Path(os.devnull), Rotation(Logs(max_size=1 << 40)), clock)
        self._last = b""

    def move(self, pipe: int) -> int:
        """Take what the pipe holds: how many bytes, -1 at its end."""
        try:
            data = os.read(
                pipe, min(pipe_size(pipe), CHUNK) or 1
            )  # 1: the end of the pipe shows too
        except BlockingIOError:
            return 0
        self._size += len(data)
        self._last = (self._last + data[-_LAST:])[-_LAST:]
        if data:
            self._deliver(data)
        return len(data) or -1

    @property
    def size(self) -> int:
        """Bytes that have come so far."""
        return self._size

    def read_since(self, since: int = 0, limit: int = _LAST) -> bytes:
        """What came after `since` bytes: its end."""
        return self._last[-min(limit, self._size - since) :] if self._size > since else b""
