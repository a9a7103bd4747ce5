"""WebSocket frames (RFC 6455 §5) and their compression (RFC 7692), from and to bytes."""

import base64
import hashlib
import struct
import zlib
from dataclasses import dataclass
from typing import Final

from chapiteau.load.errors import BadResponseError

__all__ = [
    "BINARY",
    "CLOSE",
    "PING",
    "PONG",
    "TEXT",
    "Deflate",
    "Frames",
    "Message",
    "ProtocolError",
    "accept_key",
    "close_payload",
    "encode_frame",
    "parse_deflate",
]

_MORE, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
_KNOWN: Final = frozenset({_MORE, TEXT, BINARY, CLOSE, PING, PONG})
_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_MOST: Final = 64 << 20  # bytes in one message
_TAIL: Final = b"\x00\x00\xff\xff"  # what RFC 7692 §7.2.1 leaves out
_CODES: Final = frozenset({1000, 1001, 1002, 1003, *range(1007, 1015), *range(3000, 5000)})


class ProtocolError(BadResponseError):
    """The peer breaks the protocol; `code` is what the connection is closed with (§7.4.1)."""

    def __init__(self, code: int, what: str) -> None:
        super().__init__(what)
        self.code = code


@dataclass(frozen=True, slots=True)
class Message:
    """A whole message, or a control frame."""

    kind: int
    data: bytes


def accept_key(key: str) -> str:
    """What a server must answer to this Sec-WebSocket-Key (§4.2.2)."""
    return base64.b64encode(hashlib.sha1(key.encode() + _GUID).digest()).decode()  # noqa: S324


def encode_frame(kind: int, data: bytes, mask: bytes, *, packed: bool = False) -> bytes:
    """One whole frame from a client, masked with four bytes (§5.3)."""
    size = len(data)
    first = 0x80 | (0x40 if packed else 0) | kind
    if size < 126:
        head = struct.pack("!BB", first, 0x80 | size)
    elif size < 1 << 16:
        head = struct.pack("!BBH", first, 0x80 | 126, size)
    else:
        head = struct.pack("!BBQ", first, 0x80 | 127, size)
    return head + mask + _masked(data, mask)


def close_payload(code: int, reason: str = "") -> bytes:
    """The data of a close frame."""
    return struct.pack("!H", code) + reason.encode()[:123]


def _masked(data: bytes, mask: bytes) -> bytes:
    size = len(data)
    if not size:
        return b""
    pad = int.from_bytes((mask * (size // 4 + 1))[:size], "big")
    return (int.from_bytes(data, "big") ^ pad).to_bytes(size, "big")


class Deflate:
    """permessage-deflate as the handshake has agreed it, for one connection."""

    __slots__ = ("_alone_in", "_alone_out", "_bits", "_pack", "_unpack")

    def __init__(self, *, alone_in: bool, alone_out: bool, bits: int) -> None:
        """`alone_in`, `alone_out`: each message by itself (no_context_takeover); `bits`: ours."""
        self._alone_in = alone_in
        self._alone_out = alone_out
        self._bits = bits
        self._unpack = zlib.decompressobj(-15)
        self._pack = zlib.compressobj(wbits=-bits)

    def pack(self, data: bytes) -> bytes:
        """A message's data for the wire."""
        packed = self._pack.compress(data) + self._pack.flush(zlib.Z_SYNC_FLUSH)
        if self._alone_out:
            self._pack = zlib.compressobj(wbits=-self._bits)
        return packed.removesuffix(_TAIL)

    def unpack(self, data: bytes) -> bytes:
        """A message's data from the wire. Raises ProtocolError."""
        try:
            made = self._unpack.decompress(data + _TAIL, _MOST + 1)
        except zlib.error as exc:
            raise ProtocolError(1007, f"broken compression: {exc}") from None
        if len(made) > _MOST:
            raise ProtocolError(1009, f"a message of more than {_MOST} bytes")
        if self._alone_in:
            self._unpack = zlib.decompressobj(-15)
        return made


def parse_deflate(field: str) -> Deflate | None:
    """What a Sec-WebSocket-Extensions answer agrees to; None without compression.

    Raises ProtocolError for an extension that was not offered, or terms that make no sense.
    """
    if not field.strip():
        return None
    name, *terms = [part.strip() for part in field.split(";")]
    given = {}
    for term in terms:
        key, _, value = term.partition("=")
        given[key.strip().lower()] = value.strip().strip('"')
    bits = given.pop("client_max_window_bits", "15") or "15"
    alone_in = given.pop("server_no_context_takeover", None) is not None
    alone_out = given.pop("client_no_context_takeover", None) is not None
    given.pop("server_max_window_bits", None)
    if name.lower() != "permessage-deflate" or given or bits not in map(str, range(8, 16)):
        raise ProtocolError(1010, f"an extension that nobody asked for: {field[:80]!r}")
    return Deflate(alone_in=alone_in, alone_out=alone_out, bits=max(9, int(bits)))


class Frames:
    """Whole messages from bytes as they come; `feed` raises ProtocolError."""

    __slots__ = ("_data", "_deflate", "_kind", "_packed", "_parts", "_size")

    def __init__(self, deflate: Deflate | None = None) -> None:
        self._deflate = deflate
        self._data = b""
        self._kind = 0  # of the message that is under way
        self._packed = False
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> list[Message]:
        """The messages and control frames that are whole now, in their order."""
        data = self._data + data if self._data else data
        at, found = 0, []
        while (part := _parsed(data, at)) is not None:
            first, at, payload = part
            message = self._frame(first, payload)
            if message is not None:
                found.append(message)
        self._data = data[at:]
        return found

    def _frame(self, first: int, payload: bytes) -> Message | None:
        kind, last, packed = first & 0x0F, bool(first & 0x80), bool(first & 0x40)
        if first & 0x30 or kind not in _KNOWN or (packed and self._deflate is None):
            raise ProtocolError(1002, f"a frame that RFC 6455 does not know: {first:#04x}")
        if kind >= CLOSE:
            if not last or len(payload) > 125 or packed:
                raise ProtocolError(1002, "a control frame in pieces, or too long")
            return _checked_close(payload) if kind == CLOSE else Message(kind, payload)
        if (kind == _MORE) != bool(self._kind) or (kind == _MORE and packed):
            raise ProtocolError(1002, "a piece of a message out of turn")
        if kind:
            self._kind, self._packed = kind, packed
        self._parts.append(payload)
        self._size += len(payload)
        if self._size > _MOST:
            raise ProtocolError(1009, f"a message of more than {_MOST} bytes")
        return self._whole() if last else None

    def _whole(self) -> Message:
        kind, data = self._kind, b"".join(self._parts)
        self._kind, self._size = 0, 0
        self._parts.clear()
        if self._packed and self._deflate is not None:
            data = self._deflate.unpack(data)
        if kind == TEXT:
            _must_be_text(data)
        return Message(kind, data)


def _parsed(data: bytes, at: int) -> tuple[int, int, bytes] | None:
    """First byte, end and payload of the frame that begins here; None while it is not whole."""
    if len(data) < at + 2:
        return None
    first, size = data[at], data[at + 1]
    if size & 0x80:
        raise ProtocolError(1002, "a masked frame from a server")
    start = at + 2
    if size == 126:
        start = at + 4
        size = int.from_bytes(data[at + 2 : start], "big")
    elif size == 127:
        start = at + 10
        size = int.from_bytes(data[at + 2 : start], "big")
    if len(data) < start:
        return None
    if size > _MOST:
        raise ProtocolError(1009, f"a frame of {size} bytes")
    stop = start + size
    return (first, stop, data[start:stop]) if len(data) >= stop else None


def _checked_close(payload: bytes) -> Message:
    if payload:
        code = int.from_bytes(payload[:2], "big")
        if len(payload) < 2 or code not in _CODES:
            raise ProtocolError(1002, f"a close code that must not be sent: {code}")
        _must_be_text(payload[2:])
    return Message(CLOSE, payload)


def _must_be_text(data: bytes) -> None:
    try:
        data.decode()
    except UnicodeDecodeError:
        raise ProtocolError(1007, "text that is no UTF-8") from None
