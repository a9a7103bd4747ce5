"""JSON lines: bytes ⇄ messages, however they are cut on the way."""

import json
from collections.abc import Callable, Iterator
from typing import Any

from chapiteau.core.errors import ChapiteauError

__all__ = ["FrameError", "LineReader", "encode_line"]


class FrameError(ChapiteauError):
    """What came in is no JSON object, or is longer than allowed."""


def encode_line(message: dict[str, Any]) -> bytes:
    """One message as one line of JSON."""
    text = json.dumps(message, separators=(",", ":"), ensure_ascii=False)
    # Half a surrogate (a file name or output that was no UTF-8) must not stop the whole message.
    return text.encode("utf-8", "replace") + b"\n"


class LineReader:
    """Collects bytes and gives whole messages; a line above `limit` bytes is an error.

    `decode` is how a line becomes a value; it raises ValueError for what it can't read.
    """

    def __init__(
        self, limit: int = 1 << 20, decode: Callable[[bytes], object] = json.loads
    ) -> None:
        self._limit = limit
        self._decode_line = decode
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[dict[str, Any]]:
        """Every message that `data` completes. Raises FrameError; then start a new reader."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > self._limit:
            raise FrameError(f"a line of more than {self._limit} bytes")
        # The bytes are taken here and now; only decoding waits until somebody looks.
        return (self._decode(line) for line in lines if line.strip())

    def _decode(self, line: bytes) -> dict[str, Any]:
        if len(line) > self._limit:
            raise FrameError(f"a line of more than {self._limit} bytes")
        try:
            message = self._decode_line(line)
        except (ValueError, RecursionError) as exc:
            raise FrameError(f"not JSON: {line[:80]!r}") from exc
        if not isinstance(message, dict):
            raise FrameError(f"not a JSON object: {line[:80]!r}")
        return message
