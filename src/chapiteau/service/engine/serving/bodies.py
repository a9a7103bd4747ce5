"""Bodies that have not come whole yet: in memory while there is room, else in temporary files.

Slow clients may hold many of them at a time. Law: together they take no more memory than the room
has, however many connections there are, and no more of the disk either.
"""

import tempfile
from io import BytesIO
from typing import IO, Any, Final

from chapiteau.service.logic.wire.http1 import RefusedRequestError

__all__ = ["Arriving", "Room"]

_IN_MEMORY: Final = 1 << 20  # a longer body waits in a file in any case


class Room:
    """How much of all bodies a worker holds; in bytes. Only the leading thread touches it."""

    def __init__(self, memory: int = 64 << 20, disk: int = 2 << 30) -> None:
        self.memory = memory
        self.disk = disk
        self.in_memory = 0
        self.on_disk = 0

    def __repr__(self) -> str:
        return f"<Room {self.in_memory} in memory, {self.on_disk} on disk>"


class Arriving:
    """One body, piece by piece."""

    __slots__ = ("_file", "_on_disk", "_room", "_size")

    def __init__(self, room: Room) -> None:
        self._room = room
        self._file: Any = BytesIO()
        self._on_disk = False
        self._size = 0

    def write(self, piece: bytes) -> None:
        """Take one more piece. Raises RefusedRequestError (503) when there is no room left."""
        room, size = self._room, len(piece)
        self._file.write(piece)
        self._size += size
        if self._on_disk:
            room.on_disk += size
        else:
            room.in_memory += size
            if self._size > _IN_MEMORY or room.in_memory > room.memory:
                self._move()
        if room.on_disk > room.disk:
            raise RefusedRequestError(503, "too many bodies are on their way at once")

    def _move(self) -> None:
        made = tempfile.TemporaryFile()  # noqa: SIM115 — it lives as long as the request
        made.write(self._file.getvalue())
        self._file, self._on_disk = made, True
        self._room.in_memory -= self._size
        self._room.on_disk += self._size

    def whole(self) -> IO[bytes]:
        """The body, to be read from its beginning; it takes no room any more."""
        self._leave()
        self._file.seek(0)
        found: IO[bytes] = self._file
        return found

    def close(self) -> None:
        """Throw away what has come."""
        self._leave()
        self._file.close()

    def _leave(self) -> None:
        if self._on_disk:
            self._room.on_disk -= self._size
        else:
            self._room.in_memory -= self._size
        self._size = 0
