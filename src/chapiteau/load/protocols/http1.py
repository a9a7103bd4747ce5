"""HTTP/1.1 answers from bytes (RFC 9112), read lazily: the head is searched, not taken apart.

A load generator reads one small answer after the other; what counts is the usual case, in which
one read brings a whole answer. Header fields become a mapping only when somebody asks.
"""

import re
from collections.abc import Iterator
from typing import Final

from chapiteau.load.errors import BadResponseError

__all__ = ["Headers", "ResponseReader", "dechunk"]

_MOST_HEAD: Final = 256 * 1024
_MOST_CHUNK_LINE: Final = 8 * 1024
_HEXADECIMAL: Final = b"0123456789abcdefABCDEF"
_LOOSE_END: Final = re.compile(rb"\n\r?\n")
_AROUND_STATUS: Final = frozenset({b"  ", b" \r"})  # before and behind its three digits
_INTERIM: Final = frozenset({b"100", b"102", b"103"})
_NO_BODY: Final = frozenset({204, 304})

_MOST_KNOWN: Final = 256

# What a head that came before said: status, keep the connection, length of the body.
KnownHeads = dict[bytes, tuple[int, bool, int]]

# How the body ends.
_HEAD, _LENGTH, _CHUNKED, _CLOSE = range(4)


class ResponseReader:
    """Collects the bytes of one answer after the other on a connection.

    `feed` is true when an answer is whole; then `status`, `head`, `body`, `keep` (the connection
    may be used again) and `rest` (bytes beyond it) tell about it until `start` is called.
    """

    __slots__ = (
        "_bare",
        "_chunks",
        "_known",
        "_mode",
        "_need",
        "body",
        "head",
        "keep",
        "rest",
        "status",
    )

    def __init__(self, known: KnownHeads | None = None) -> None:
        """`known` is shared by readers of one service: its heads repeat, byte for byte, until
        the second in their Date changes, and one look-up then spares reading them."""
        self._known = {} if known is None else known
        self._bare = False
        self._mode = _HEAD
        self._need = 0
        self._chunks: list[bytes] = []
        self.status = 0
        self.head = b""
        self.body = b""
        self.keep = True
        self.rest = b""

    def start(self, *, bare: bool) -> None:
        """Expect the next answer; `bare` ones (to HEAD) have no body whatever their head says."""
        self._bare = bare
        self._mode = _HEAD
        self.keep = True

    @property
    def begun(self) -> bool:
        """Whether any byte of the expected answer has come."""
        return self._mode != _HEAD or bool(self.rest)

    @property
    def simple(self) -> bool:
        """Whether the next answer may look just like this whole one, but for its body."""
        return self.keep and not self.rest and not self._bare and self.head in self._known

    def feed(self, data: bytes) -> bool:
        """Take bytes; true when the answer is whole. Raises BadResponseError."""
        if self._mode == _HEAD:
            if self.rest:
                data = self.rest + data
            # The usual case written out: one read with a whole answer whose head is known.
            stop = data.find(b"\r\n\r\n")
            known = self._known.get(data[: stop + 2])
            if known is None or self._bare:
                return self._read_head(data, stop)
            self.status, self.keep, length = known
            self.head = data[: stop + 2]
            self.body = body = data[stop + 4 :]
            if len(body) == length:
                self.rest = b""
                return True
            return self._take(data, stop + 4, length)
        if self._mode == _LENGTH:
            return self._read_length(data)
        if self._mode == _CHUNKED:
            return self._read_chunked(self.rest + data)
        self._chunks.append(data)
        return False

    def end(self) -> bool:
        """The peer has closed: true when that is how this answer ends."""
        if self._mode != _CLOSE:
            return False
        self.body = b"".join(self._chunks)
        self._chunks.clear()
        self._mode = _HEAD
        return True

    def _read_head(self, data: bytes, stop: int) -> bool:
        if stop < 0 or 0 <= data.find(b"\n\n") < stop:
            if (loose := _LOOSE_END.search(data)) is not None:
                # Bare line feeds, which a client may take for line ends (RFC 9112, 2.2).
                head = data[: loose.start()].replace(b"\r", b"").replace(b"\n", b"\r\n")
                return self._read_head(head + b"\r\n\r\n" + data[loose.end() :], len(head))
            if len(data) > _MOST_HEAD:
                raise BadResponseError(f"a head of more than {_MOST_HEAD} bytes")
            if not b"HTTP/1.".startswith(data[:7]):
                raise BadResponseError(f"not an HTTP/1 answer: {data[:40]!r}")
            self.rest = data
            return False
        head = data[: stop + 2]
        digits, around = data[9:12], data[8:9] + data[12:13]
        if data[:7] != b"HTTP/1." or not digits.isdigit() or around not in _AROUND_STATUS:
            raise BadResponseError(f"not an HTTP/1 answer: {data[:40]!r}")
        status = int(digits)
        if status < 100:
            raise BadResponseError(f"not a status: {status:03}")
        if status < 200 and status != 101:
            return self._skip_interim(data[stop + 4 :])
        self.status = status
        self.head = head
        low = head.lower()
        if b"\nconnection:" in low or data[7] == 48:  # "0" of HTTP/1.0
            self.keep = _keeps(low, old=data[7] == 48)
        return self._frame(low, data, stop + 4)

    def _skip_interim(self, rest: bytes) -> bool:
        # One after the other, not one within the other: nobody says how many there are.
        while rest[:7] == b"HTTP/1." and rest[9:12] in _INTERIM:
            stop = rest.find(b"\r\n\r\n")
            if stop < 0:
                break
            rest = rest[stop + 4 :]
        self.rest = b""
        return self.feed(rest) if rest else False

    def _frame(self, low: bytes, data: bytes, start: int) -> bool:
        """Find out how the body ends, and take what has come of it."""
        if self._bare or self.status in _NO_BODY or self.status == 101:
            return self._whole(data, start, start)
        if b"\ntransfer-encoding:" in low:
            codings = _field(low, b"\ntransfer-encoding:")
            if codings.rpartition(b",")[2].strip() == b"chunked":
                self._mode = _CHUNKED
                return self._read_chunked(data[start:])
        else:
            at = low.find(b"\ncontent-length:")
            if at >= 0:
                length = _length(low, at + 16)
                if len(self._known) >= _MOST_KNOWN:
                    self._known.clear()
                self._known[self.head] = (self.status, self.keep, length)
                return self._take(data, start, length)
        self._mode = _CLOSE
        self.keep = False
        self._chunks.append(data[start:])
        self.rest = b""
        return False

    def _take(self, data: bytes, start: int, length: int) -> bool:
        """A body of this length, or as much of it as has come."""
        stop = start + length
        if len(data) >= stop:
            self.body = data[start:stop]
            self.rest = data[stop:] if len(data) > stop else b""
            return True
        self._mode = _LENGTH
        self._need = stop - len(data)
        self._chunks.append(data[start:])
        self.rest = b""
        return False

    def _whole(self, data: bytes, start: int, stop: int) -> bool:
        self.body = data[start:stop]
        self.rest = data[stop:] if len(data) > stop else b""
        self._mode = _HEAD
        return True

    def _read_length(self, data: bytes) -> bool:
        if len(data) < self._need:
            self._need -= len(data)
            self._chunks.append(data)
            return False
        self._chunks.append(data[: self._need])
        self.body = b"".join(self._chunks)
        self._chunks.clear()
        self.rest = data[self._need :]
        self._mode = _HEAD
        return True

    def _read_chunked(self, data: bytes) -> bool:
        at, whole = dechunk(data, self._chunks)
        self.rest = data[at:]
        if whole:
            self.body = b"".join(self._chunks)
            self._chunks.clear()
            self._mode = _HEAD
        return whole


def dechunk(data: bytes, into: list[bytes]) -> tuple[int, bool]:
    """Take whole chunks from the start of `data`: how far it came, and whether that was the end.

    Raises BadResponseError for a size that is no hexadecimal number (RFC 9112 §7.1).
    """
    at = 0
    while True:
        line = data.find(b"\r\n", at)
        if line < 0:
            if len(data) - at > _MOST_CHUNK_LINE:
                raise BadResponseError("a chunk size of more than 8 KiB")
            return at, False
        digits = data[at:line].split(b";", 1)[0].strip()
        # `int` alone would also take "0x1f", "1_0" and "-1".
        if not digits or len(digits) > 16 or digits.strip(_HEXADECIMAL):
            raise BadResponseError(f"not a chunk size: {digits[:20]!r}")
        size = int(digits, 16)
        if size == 0:
            return _after_trailers(data, at, line + 2)
        stop = line + 2 + size
        if len(data) < stop + 2:
            return at, False
        if data[stop : stop + 2] != b"\r\n":
            raise BadResponseError("a chunk is longer than its size")
        into.append(data[line + 2 : stop])
        at = stop + 2


def _after_trailers(data: bytes, zero: int, at: int) -> tuple[int, bool]:
    """Past the empty line behind the last chunk; back to `zero` while it hasn't come."""
    if data[at : at + 2] == b"\r\n":
        return at + 2, True
    stop = data.find(b"\r\n\r\n", at)
    if stop < 0 and len(data) - at > _MOST_HEAD:
        raise BadResponseError(f"trailers of more than {_MOST_HEAD} bytes")
    return (zero, False) if stop < 0 else (stop + 4, True)


def _field(low: bytes, name: bytes) -> bytes:
    """The last value of a field in a lower-case head; `name` with its line feed and colon."""
    at = low.rfind(name) + len(name)
    return low[at : low.index(b"\r\n", at)].strip()


def _once(value: bytes) -> bytes:
    """The value of a list whose members are all the same; else the list as it is."""
    value = value.strip()
    members = {part.strip() for part in value.split(b",")}
    return members.pop() if len(members) == 1 else value


def _length(low: bytes, at: int) -> int:
    text = _once(low[at : low.index(b"\r\n", at)])
    again = low.find(b"\ncontent-length:", at)
    if again >= 0 and _once(_field(low, b"\ncontent-length:")) != text:
        raise BadResponseError("two different content-lengths")
    if not text.isdigit() or len(text) > 18:
        raise BadResponseError(f"not a content-length: {text[:20]!r}")
    return int(text)


def _keeps(low: bytes, *, old: bool) -> bool:
    value = _field(low, b"\nconnection:") if b"\nconnection:" in low else b""
    words = {word.strip() for word in value.split(b",")}
    return b"keep-alive" in words if old else b"close" not in words


class Headers:
    """Header fields by name, case ignored; `get` gives the first, `all` every one of a name."""

    __slots__ = ("_fields",)

    def __init__(self, head: bytes) -> None:
        self._fields: list[tuple[str, str]] = []
        for line in head.split(b"\r\n")[1:]:
            name, colon, value = line.partition(b":")
            if colon:
                pair = name.decode("latin-1").strip().lower(), value.decode("latin-1").strip()
                self._fields.append(pair)

    def get(self, name: str, default: str = "") -> str:
        """The first value of a field."""
        name = name.lower()
        return next((value for key, value in self._fields if key == name), default)

    def all(self, name: str) -> list[str]:
        """Every value of a field, in their order."""
        name = name.lower()
        return [value for key, value in self._fields if key == name]

    def __getitem__(self, name: str) -> str:
        values = self.all(name)
        if not values:
            raise KeyError(name)
        return values[0]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and bool(self.all(name))

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._fields)

    def __repr__(self) -> str:
        return f"<Headers {self._fields!r}>"
