"""JSON lines: bytes → messages, however they are cut on the way."""

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from chapiteau.core.errors import ChapiteauError

__all__ = ["FrameError", "LineReader"]

T = TypeVar("T")


class FrameError(ChapiteauError):
    """What came in is no message, or is longer than allowed."""


class LineReader(Generic[T]):
    """Collects bytes and gives whole messages; a line above `limit` bytes is an error.

    `decode` is how a line becomes a message; it raises ValueError for what it can't read.
    """

    def __init__(self, limit: int, decode: Callable[[bytes], T]) -> None:
        self._limit = limit
        self._decode_line = decode
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[T]:
        """Every message that `data` completes. Raises FrameError; then start a new reader."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > self._limit:
            raise FrameError(f"a line of more than {self._limit} bytes")
        # The bytes are taken here and now; only decoding waits until somebody looks.
        return (self._decode(line) for line in lines if line.strip())

    def _decode(self, line: bytes) -> T:
        if len(line) > self._limit:
            raise FrameError(f"a line of more than {self._limit} bytes")
        try:
            return self._decode_line(line)
        except (ValueError, RecursionError) as exc:
            raise FrameError(f"not a message: {line[:80]!r}") from exc
