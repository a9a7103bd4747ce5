"""Requests' heads as HTTP/2 has them (RFC 9113 §8.3), in HPACK without a table (RFC 7541)."""

from dataclasses import dataclass
from typing import Final

from chapiteau.load.errors import BadResponseError, ExchangeError

__all__ = ["Event", "GoAway", "Http2Error", "StreamEnded", "StreamResponse", "encode_headers"]

# Fields that belong to a connection have no place here (§8.2.2).
_DROPPED: Final = frozenset(
    {b"host", b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"}
)


def encode_headers(head: bytes, scheme: str) -> bytes:
    """The header block of a request whose head is written as in HTTP/1.1."""
    lines = head.split(b"\r\n")
    method, target, _ = lines[0].split(b" ", 2)
    pairs = []
    authority = b""
    for line in lines[1:]:
        name, colon, value = line.partition(b":")
        name, value = name.strip().lower(), value.strip()
        if name == b"host":
            authority = value
        if colon and name not in _DROPPED:
            pairs.append((name, value))
    first = [
        (b":method", method),
        (b":scheme", scheme.encode()),
        (b":authority", authority),
        (b":path", target),
    ]
    return b"".join(
        b"\x00" + _text(name) + _text(value) for name, value in [*first, *pairs]
    )  # literal fields without indexing, RFC 7541 §6.2.2


def _text(value: bytes) -> bytes:
    """A string without Huffman coding (RFC 7541 §5.2)."""
    size = len(value)
    if size < 127:
        return bytes([size]) + value
    made, size = bytearray([127]), size - 127
    while size >= 128:
        made.append(size % 128 + 128)
        size //= 128
    made.append(size)
    return bytes(made) + value


# What comes of an HTTP/2 connection's frames: answers, streams that end, connections that do.

_CODES: Final = (
    "NO_ERROR PROTOCOL_ERROR INTERNAL_ERROR FLOW_CONTROL_ERROR SETTINGS_TIMEOUT STREAM_CLOSED "
    "FRAME_SIZE_ERROR REFUSED_STREAM CANCEL COMPRESSION_ERROR CONNECT_ERROR ENHANCE_YOUR_CALM "
    "INADEQUATE_SECURITY HTTP_1_1_REQUIRED"
).split()


class Http2Error(ExchangeError):
    """The peer breaks the protocol: the whole connection ends."""

    def __init__(self, code: int, what: str, kind: str = "") -> None:
        super().__init__(kind or f"http2 {_name(code)}", what)
        self.code = code


def _name(code: int) -> str:
    return _CODES[code] if code < len(_CODES) else str(code)


@dataclass(frozen=True, slots=True)
class StreamResponse:
    """A stream has its whole answer; `head` looks as HTTP/1.1 would have it."""

    stream: int
    status: int
    head: bytes
    body: bytes


@dataclass(frozen=True, slots=True)
class StreamEnded:
    """A stream has ended without an answer, or with one that is `malformed` in this way."""

    stream: int
    code: int
    malformed: str = ""

    @property
    def error(self) -> ExchangeError:
        """In the words of the report."""
        if self.malformed:
            return BadResponseError(self.malformed)
        return ExchangeError(
            f"http2 {_name(self.code)}", f"the service ended the stream: {self.code}"
        )


@dataclass(frozen=True, slots=True)
class GoAway:
    """The peer takes no new streams; those above `last` were not looked at."""

    last: int
    code: int
    words: str = ""  # the peer's own

    @property
    def error(self) -> ExchangeError | None:
        """Why it takes none, in the words of the report; None when it just wants to end."""
        if not self.code:
            return None
        return ExchangeError(
            f"http2 {_name(self.code)}",
            f"the service ended the connection: {self.words or self.code}",
        )


Event = StreamResponse | StreamEnded | GoAway
