"""HTTP/2 (RFC 9113) from a client's side, without a socket: bytes in, bytes and answers out.

Only what a load generator needs: no push, no priorities, and requests are encoded without a
dynamic table, so that the same request is the same bytes each time. The caller hands in HPACK's
decoder (RFC 7541).
"""

import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from chapiteau.load.protocols.http2_messages import (
    Event,
    GoAway,
    Http2Error,
    StreamEnded,
    StreamResponse,
)

__all__ = ["Http2Protocol"]

_DATA, _HEADERS, _RESET, _SETTINGS, _PUSH, _PING, _GOAWAY, _WINDOW, _MORE = (
    0,
    1,
    3,
    4,
    5,
    6,
    7,
    8,
    9,
)
_END_STREAM, _ACK, _END_HEADERS, _PADDED, _PRIORITY = 0x1, 0x1, 0x4, 0x8, 0x20
_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_OUR_WINDOW: Final = 16 << 20  # bytes of a body that may come before we say go on
_MOST_HEAD: Final = 256 * 1024
_MOST_FRAME: Final = 16384  # what we allow the peer: the least there is
_LAST_STREAM: Final = 0x7FFFFFFF
_TOP_WINDOW: Final = 0x7FFFFFFF
_PROTOCOL, _FLOW, _FRAME_SIZE, _CANCEL, _COMPRESSION = 1, 3, 6, 8, 9
_NOT_SPOKEN: Final = "the service answers in HTTP/1.1: without TLS, --http2 speaks HTTP/2 at once"


@dataclass(slots=True)
class _Stream:
    window: int  # bytes that we may send
    rest: memoryview  # of our body: a slice of bytes would copy all that is left, each time
    bare: bool = False  # the answer has no body, whatever its length says
    length: int = -1  # of the answer's body, where its head tells
    status: int = 0
    head: bytes = b""
    parts: list[bytes] = field(default_factory=list)
    taken: int = 0  # bytes since we last said go on

    def pour(self, size: int) -> memoryview:
        """So much of our body, to be sent now."""
        part, self.rest = self.rest[:size], self.rest[size:]
        self.window -= size
        return part

    def widen(self, by: int) -> int:
        """What we may send now that the window has grown."""
        self.window += by
        return self.window

    def begin(self, status: int, head: bytes) -> None:
        """The head of the answer has come."""
        self.status = status
        self.head = head

    def expect(self, length: int) -> None:
        """So many bytes of a body are announced."""
        self.length = length

    def take(self, part: bytes, size: int) -> int:
        """A part of the body in a frame of that size; by how much the peer may go on, or 0."""
        self.parts.append(part)
        self.taken += size
        if self.taken <= _OUR_WINDOW // 2:
            return 0
        taken, self.taken = self.taken, 0
        return taken


def _frame(kind: int, flags: int, stream: int, payload: bytes | memoryview = b"") -> bytes:
    return (
        struct.pack("!HBBBI", len(payload) >> 8, len(payload) & 0xFF, kind, flags, stream) + payload
    )


class Http2Protocol:
    """One connection's streams. `out` collects what is to be sent."""

    def __init__(
        self,
        decode: Callable[[bytes], Iterable[tuple[Any, Any]]],
        broken: type[Exception],
        most_streams: int = 100,
    ) -> None:
        """`decode` undoes a header block, and raises `broken` when it can't; `most_streams` is
        believed until the peer says how many it takes."""
        settings = struct.pack("!HIHI", 2, 0, 4, _OUR_WINDOW)  # no push; our window
        grow = struct.pack("!I", _TOP_WINDOW - 65535)
        self.out: list[bytes] = [
            _PREFACE,
            _frame(_SETTINGS, 0, 0, settings),
            _frame(_WINDOW, 0, 0, grow),
        ]
        self.most_streams = most_streams
        self.blind = _LAST_STREAM  # streams up to this went out before the peer's settings came
        self.going = False  # no new streams
        self._decode = decode
        self._broken = broken
        self._streams: dict[int, _Stream] = {}
        self._next = 1
        self._window = 65535
        self._first_window = 65535
        self._frame_size = 16384
        self._data = b""
        self._heading: tuple[int, bool] | None = None  # stream, whether it ends
        self._block = b""
        self._taken = 0

    @property
    def active(self) -> int:
        """Streams under way."""
        return len(self._streams)

    def sending(self, stream: int) -> bool:
        """Whether some of its request waits for the peer's leave."""
        found = self._streams.get(stream)
        return found is not None and bool(found.rest)

    def begun(self, stream: int) -> bool:
        """Whether anything of its answer has come."""
        found = self._streams.get(stream)
        return found is not None and bool(found.status)

    # ── out ───────────────────────────────────────────────────────────────────────────────────
    def request(self, block: bytes, body: bytes, *, bare: bool = False) -> int:
        """Send a request; its stream's number. `bare`: the answer will have no body (HEAD)."""
        number = self._next
        self._next += 2
        if self._next > _LAST_STREAM - 2:
            self.going = True
        stream = self._streams[number] = _Stream(self._first_window, memoryview(body), bare)
        size = self._frame_size
        kind, at = _HEADERS, 0
        while True:
            part = block[at : at + size]
            at += size
            flags = _END_HEADERS if at >= len(block) else 0
            if kind == _HEADERS and not body:
                flags |= _END_STREAM
            self.out.append(_frame(kind, flags, number, part))
            if at >= len(block):
                break
            kind = _MORE
        if body:
            self._pour(number, stream)
        return number

    def cancel(self, number: int) -> None:
        """Nobody wants this answer."""
        if self._streams.pop(number, None) is not None:
            self.out.append(_frame(_RESET, 0, number, struct.pack("!I", _CANCEL)))

    def farewell(self, code: int) -> None:
        """Say why the connection ends."""
        self.out.append(_frame(_GOAWAY, 0, 0, struct.pack("!II", 0, code)))

    def _pour(self, number: int, stream: _Stream) -> None:
        while stream.rest:
            size = min(len(stream.rest), stream.window, self._window, self._frame_size)
            if size <= 0:
                return
            part = stream.pour(size)
            self._window -= size
            self.out.append(_frame(_DATA, 0 if stream.rest else _END_STREAM, number, part))

    # ── in ────────────────────────────────────────────────────────────────────────────────────
    def feed(self, data: bytes) -> list[Event]:
        """What the bytes bring about. Raises Http2Error."""
        data = self._data + data if self._data else data
        at, found = 0, []
        while len(data) >= at + 9:
            high, low, kind, flags, number = struct.unpack_from("!HBBBI", data, at)
            size = high << 8 | low
            if size > _MOST_FRAME:
                if data.startswith(b"HTTP/1.", at):
                    raise Http2Error(_PROTOCOL, _NOT_SPOKEN, "no HTTP/2")
                raise Http2Error(_FRAME_SIZE, f"a frame of {size} bytes")
            stop = at + 9 + size
            if len(data) < stop:
                break
            event = self._take(kind, flags, number & _LAST_STREAM, data[at + 9 : stop])
            if event is not None:
                found.append(event)
            at = stop
        self._data = data[at:]
        return found

    def _take(self, kind: int, flags: int, number: int, payload: bytes) -> Event | None:
        if (self._heading is not None) != (kind == _MORE):
            raise Http2Error(_PROTOCOL, "a header block in pieces with something in between")
        match kind:
            case 0:  # DATA
                return self._take_data(flags, number, payload)
            case 1:  # HEADERS
                part = _unpadded(flags, payload)
                if flags & _PRIORITY:
                    part = part[5:]
                self._heading, self._block = (number, bool(flags & _END_STREAM)), part
                return self._headed() if flags & _END_HEADERS else None
            case 9:  # CONTINUATION
                self._block += payload
                if len(self._block) > _MOST_HEAD:
                    raise Http2Error(_PROTOCOL, f"a head of more than {_MOST_HEAD} bytes")
                return self._headed() if flags & _END_HEADERS else None
            case 3:  # RST_STREAM
                code = _word(payload)
                return StreamEnded(number, code) if self._streams.pop(number, None) else None
            case 7:  # GOAWAY
                if len(payload) < 8:
                    raise Http2Error(_FRAME_SIZE, "a GOAWAY that is too short")
                self.going = True
                words = payload[8:208].decode("latin-1")
                return GoAway(_word(payload[:4]) & _LAST_STREAM, _word(payload[4:8]), words)
        self._manage(kind, flags, number, payload)
        return None

    def _manage(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        """Frames that bring no answer."""
        if kind == _SETTINGS and not flags & _ACK:
            self._settings(payload)
        elif kind == _PING:
            if len(payload) != 8:
                raise Http2Error(_FRAME_SIZE, "a PING that has not eight bytes")
            if not flags & _ACK:
                self.out.append(_frame(_PING, _ACK, 0, payload))
        elif kind == _WINDOW:
            self._grow(number, _word(payload) & _TOP_WINDOW)
        elif kind == _PUSH:
            raise Http2Error(_PROTOCOL, "a push that was forbidden")

    def _take_data(self, flags: int, number: int, payload: bytes) -> Event | None:
        self._taken += len(payload)
        if self._taken > _OUR_WINDOW:
            self.out.append(_frame(_WINDOW, 0, 0, struct.pack("!I", self._taken)))
            self._taken = 0
        stream = self._streams.get(number)
        if stream is None:
            if number == 0 or number >= self._next or not number % 2:
                raise Http2Error(_PROTOCOL, f"data on stream {number}, which nobody opened")
            return None  # cancelled
        if not stream.status:
            raise Http2Error(_PROTOCOL, "data before a head")
        more = stream.take(_unpadded(flags, payload), len(payload))
        if flags & _END_STREAM:
            return self._answered(number)
        if more:
            self.out.append(_frame(_WINDOW, 0, number, struct.pack("!I", more)))
        return None

    def _headed(self) -> Event | None:
        """A header block is whole. Decoded even when nobody wants it: the table is shared."""
        (number, ends), block = self._heading or (0, False), self._block
        self._heading, self._block = None, b""
        try:
            pairs = [(_bytes(name), _bytes(value)) for name, value in self._decode(block)]
        except self._broken as exc:
            raise Http2Error(_COMPRESSION, f"a header block that can't be read: {exc}") from None
        stream = self._streams.get(number)
        if stream is None:
            if number == 0 or number >= self._next or not number % 2:
                raise Http2Error(_PROTOCOL, f"a head on stream {number}, which nobody opened")
            return None
        if not stream.status:  # else trailers
            wrong = self._begin(stream, pairs)
            if wrong:
                return self._malformed(number, wrong)
        if not ends:
            return None
        if not stream.status:
            return self._malformed(number, "the answer ended before its head")
        return self._answered(number)

    def _begin(self, stream: _Stream, pairs: list[tuple[bytes, bytes]]) -> str:
        """Take an answer's head; what is wrong with it, or nothing."""
        fields = dict(pairs)
        status = fields.get(b":status", b"")
        if len(status) != 3 or not status.isdigit():
            raise Http2Error(_PROTOCOL, f"no status but {status[:20]!r}")
        if status[0] == 49:  # 1xx: the answer is still to come
            return ""
        lines = [b"HTTP/2.0 %s " % status]
        lines += [b"%s: %s" % pair for pair in pairs if not pair[0].startswith(b":")]
        stream.begin(int(status), b"\r\n".join([*lines, b""]))
        if stream.head.count(b"\r") != len(lines) or stream.head.count(b"\n") != len(lines):
            return "a header field with the end of a line in it"  # RFC 9113 §8.2.1
        length = fields.get(b"content-length", b"")
        if length.isdigit() and len(length) < 20 and not stream.bare and stream.status != 304:
            stream.expect(int(length))
        return ""

    def _malformed(self, number: int, what: str) -> StreamEnded:
        """The answer is none, the connection lives on (RFC 9113 §8.1.1)."""
        del self._streams[number]
        self.out.append(_frame(_RESET, 0, number, struct.pack("!I", _PROTOCOL)))
        return StreamEnded(number, _PROTOCOL, what)

    def _answered(self, number: int) -> StreamResponse | StreamEnded:
        stream = self._streams[number]
        if stream.length >= 0:
            size = sum(map(len, stream.parts))
            if size != stream.length:
                return self._malformed(number, f"{size} bytes of a body of {stream.length}")
        del self._streams[number]
        if stream.rest:
            # The answer came before our body was out (§8.1): it is not wanted any more.
            self.out.append(_frame(_RESET, 0, number, struct.pack("!I", _CANCEL)))
        return StreamResponse(number, stream.status, stream.head, b"".join(stream.parts))

    def _settings(self, payload: bytes) -> None:
        if len(payload) % 6:
            raise Http2Error(_FRAME_SIZE, "SETTINGS of no whole number of settings")
        self.blind = min(self.blind, self._next - 2)
        for key, value in struct.iter_unpack("!HI", payload):
            if key == 3:
                self.most_streams = value
            elif key == 4:
                if value > _TOP_WINDOW:
                    raise Http2Error(_FLOW, f"a window of {value} bytes")
                change, self._first_window = value - self._first_window, value
                for number, stream in self._streams.items():
                    stream.widen(change)
                    self._pour(number, stream)
            elif key == 5:
                if not 16384 <= value < 1 << 24:
                    raise Http2Error(_PROTOCOL, f"frames of {value} bytes")
                self._frame_size = value
        self.out.append(_frame(_SETTINGS, _ACK, 0))

    def _grow(self, number: int, by: int) -> None:
        stream = self._streams.get(number)
        if number and stream is None:
            return
        if not by:
            raise Http2Error(_PROTOCOL, "a window that grows by nothing")
        if stream is not None:
            over = stream.widen(by)
        else:
            self._window += by
            over = self._window
        if over > _TOP_WINDOW:
            raise Http2Error(_FLOW, "a window that is too large")
        for each, waiting in list(self._streams.items()):
            if waiting.rest:
                self._pour(each, waiting)


def _unpadded(flags: int, payload: bytes) -> bytes:
    if not flags & _PADDED:
        return payload
    if not payload or payload[0] >= len(payload):
        raise Http2Error(_PROTOCOL, "more padding than frame")
    return payload[1 : len(payload) - payload[0]]


def _word(payload: bytes) -> int:
    if len(payload) != 4:
        raise Http2Error(_FRAME_SIZE, "a frame that has not four bytes")
    return int.from_bytes(payload, "big")


def _bytes(text: Any) -> bytes:
    return text if isinstance(text, bytes) else str(text).encode("latin-1", "replace")
