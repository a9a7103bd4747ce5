"""HTTP/1.1 requests out of bytes (RFC 9112), strictly: what two servers could read differently
is refused.

Laws: a request has either Content-Length or `Transfer-Encoding: chunked`, never both; equal
Content-Lengths may not be repeated; lines end with CRLF; no white space before a colon; no
folded lines; a chunk size is hex digits only. Every refusal closes the connection.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import msgspec

__all__ = [
    "ChunkedDecoder",
    "HeadParser",
    "HeaderFields",
    "Limits",
    "RefusedRequestError",
    "RequestHead",
    "is_host",
]

_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_LINE: Final = re.compile(r"([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([!-~]+) HTTP/1\.([0-9])")
# Anything that may not stand in a field value: controls, and CR or LF on their own.
_BAD_VALUE: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_METHODS: Final = frozenset("GET HEAD POST PUT PATCH DELETE OPTIONS".split())
_HOST: Final = re.compile(
    r"(?:[A-Za-z0-9._~!$&'()*+,;=%-]*|\[[0-9A-Fa-f:.]+\]|\[v[0-9A-Fa-f]+\.[!-Z^-~]+\])(?::[0-9]{0,5})?"
)
_SIZE: Final = re.compile(rb"[0-9a-fA-F]{1,15}")
# Extensions of a chunk, of which none is known here: they are read to the letter (RFC 9112 §7.1.1),
# as who takes a quote for closed where another does not goes on with other bytes.
_WORD: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_QUOTED: Final = rb'"(?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*"'
_EXTENSION: Final = re.compile(
    rb"(?:[ \t]*;[ \t]*%b(?:[ \t]*=[ \t]*(?:%b|%b))?)*" % (_WORD, _WORD, _QUOTED)
)
_CACHED_BYTES: Final = 2048
_CACHED_HEADS: Final = 512


class RefusedRequestError(Exception):
    """The request can't be read safely: answer `status` and close."""

    def __init__(self, status: int, what: str) -> None:
        super().__init__(what)
        self.status = status
        self.what = what


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much a client may send, in bytes and counts."""

    line: int = 8190
    head: int = 32 * 1024
    headers: int = 100
    body: int = 64 * 1024 * 1024


class HeaderFields(msgspec.Struct, eq=False):
    """What the header lines of a request say."""

    environ: dict[str, str]
    length: int | None
    chunked: bool
    close: bool | None
    expects: bool
    hosts: int
    has_body: bool = False  # whether bytes follow the head

    def __repr__(self) -> str:
        return f"<Fields {' '.join(self.environ)}>"

    def add(self, name: str, value: str, limits: Limits) -> None:
        """One header more. Raises RefusedRequestError."""
        if "_" in name:
            # `Content_Length` would become the same variable as `Content-Length`: drop it.
            return
        key = name.upper().replace("-", "_")
        special = _SPECIAL.get(key)
        if special is not None and special(self, value, limits):
            return
        variable = "HTTP_" + key
        if variable in self.environ:
            joint = "; " if key == "COOKIE" else ", "
            value = self.environ[variable] + joint + value
        self.environ[variable] = value

    def finish(self) -> None:
        """Nothing more is added. Raises RefusedRequestError."""
        codings = self.environ.pop("HTTP_TRANSFER_ENCODING", None)
        self.chunked = codings is not None
        if codings is not None:
            _check_codings(codings)
        if self.chunked and self.length is not None:
            raise RefusedRequestError(400, "both Content-Length and Transfer-Encoding")
        self.has_body = self.chunked or bool(self.length)

    # What the server itself reads. True: it is no HTTP_… variable besides. Each may raise
    # RefusedRequestError.
    def read_content_length(self, value: str, limits: Limits) -> bool:
        if self.length is not None or not value.isascii() or not value.isdigit():
            raise RefusedRequestError(400, "Content-Length is not one number")
        if len(value) > 18 or int(value) > limits.body:
            raise RefusedRequestError(413, "the body is too long")
        self.length = int(value)
        self.environ["CONTENT_LENGTH"] = value
        return True

    def read_content_type(self, value: str, _limits: Limits) -> bool:
        if "CONTENT_TYPE" in self.environ:
            raise RefusedRequestError(400, "Content-Type is given twice")
        self.environ["CONTENT_TYPE"] = value
        return True

    def read_connection(self, value: str, _limits: Limits) -> bool:
        words = [word.strip() for word in value.lower().split(",")]
        if "close" in words:
            self.close = True
        elif "keep-alive" in words and self.close is None:
            self.close = False
        return False

    def read_expect(self, value: str, _limits: Limits) -> bool:
        if value.lower() != "100-continue":
            raise RefusedRequestError(417, "no expectation but 100-continue is known")
        self.expects = True
        return False

    def read_host(self, value: str, _limits: Limits) -> bool:
        self.hosts += 1
        if not is_host(value):
            raise RefusedRequestError(400, "Host names no host")
        return False


class RequestHead(msgspec.Struct, eq=False):
    """A request without its body."""

    method: str
    target: str
    version: int
    fields: HeaderFields

    def __repr__(self) -> str:
        return f"<Head {self.method} {self.target.partition('?')[0]}>"

    @property
    def keep(self) -> bool:
        """Whether the client wants the connection to stay open."""
        close = self.fields.close
        return self.version == 11 if close is None else not close


class HeadParser:
    """Reads heads. Equal header blocks are read once: a client repeats itself on a connection."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self._known: dict[bytes, HeaderFields] = {}

    def end_of(self, data: bytes | bytearray) -> int:
        """Where the head ends (behind its empty line), or 0. Raises RefusedRequestError."""
        end = data.find(b"\r\n\r\n")
        if end < 0:
            _check_begun(data)
            if len(data) > self.limits.head:
                raise RefusedRequestError(431, "the head is too long")
            if len(data) > self.limits.line and data.find(b"\r\n") < 0:
                raise RefusedRequestError(414, "the request line is too long")
            return 0
        if end > self.limits.head:
            raise RefusedRequestError(431, "the head is too long")
        return end + 4

    def parse(self, data: bytes) -> RequestHead:
        """A whole head, its empty line included. Raises RefusedRequestError."""
        at = data.index(b"\r\n")
        if not at:  # one empty line before a request is overlooked (RFC 9112 §2.2)
            data = data[2:]
            at = data.index(b"\r\n")
        if at > self.limits.line:
            raise RefusedRequestError(414, "the request line is too long")
        block = data[at + 2 : -2]
        fields = self._known.get(block)
        if fields is None:
            fields = self._read_fields(block.decode("latin-1"))
            if len(block) <= _CACHED_BYTES:
                if len(self._known) >= _CACHED_HEADS:
                    self._known.clear()
                self._known[block] = fields
        method, target, version = _request_line(data[:at].decode("latin-1"))
        if version == 11 and fields.hosts != 1:
            raise RefusedRequestError(400, "exactly one Host header is needed")
        if version == 10 and fields.chunked:
            raise RefusedRequestError(400, "HTTP/1.0 knows no chunks")
        return RequestHead(method, target, version, fields)

    def _read_fields(self, block: str) -> HeaderFields:
        fields = HeaderFields({}, None, False, None, False, 0)
        lines = block.split("\r\n")[:-1]
        if len(lines) > self.limits.headers:
            raise RefusedRequestError(431, "too many headers")
        for line in lines:
            name, colon, value = line.partition(":")
            if not colon or not _TOKEN.fullmatch(name):
                raise RefusedRequestError(400, "a header line can't be read")
            value = value.strip(" \t")
            if _BAD_VALUE.search(value):
                raise RefusedRequestError(400, "a control character in a header")
            fields.add(name, value, self.limits)
        fields.finish()
        return fields


def _check_codings(codings: str) -> None:
    """Raise RefusedRequestError for all but `chunked` (RFC 9112 §6.1, §6.3)."""
    *others, last = [coding.strip(" \t").lower() for coding in codings.split(",")]
    if last != "chunked" or "chunked" in others:
        raise RefusedRequestError(400, "the last transfer coding, and only that, must be chunked")
    if others:
        raise RefusedRequestError(501, "no transfer coding but chunked is known")


def is_host(text: str) -> bool:
    """Whether a text names a host and perhaps a port (RFC 3986 §3.2, without user and password)."""
    return _HOST.fullmatch(text) is not None


# Headers that mean something to the server itself.
_SPECIAL: Final[dict[str, Callable[[HeaderFields, str, Limits], bool]]] = {
    "CONTENT_LENGTH": HeaderFields.read_content_length,
    "CONTENT_TYPE": HeaderFields.read_content_type,
    "CONNECTION": HeaderFields.read_connection,
    "EXPECT": HeaderFields.read_expect,
    "HOST": HeaderFields.read_host,
}


def _request_line(line: str) -> tuple[str, str, int]:
    parts = line.split(" ")
    if len(parts) == 3 and parts[2] == "HTTP/1.1" and parts[0] in _METHODS:
        target = parts[1]  # what the pattern below says, for nearly all requests
        if target and target.isascii() and target.isprintable():
            return parts[0], target, 11
    match = _LINE.fullmatch(line)
    if match is None:
        if re.fullmatch(r"[^ ]+ [^ ]+ HTTP/[0-9]\.[0-9]", line) and "HTTP/1." not in line[-8:]:
            raise RefusedRequestError(505, "only HTTP/1.1 and HTTP/1.0 are spoken here")
        raise RefusedRequestError(400, "the request line can't be read")
    method, target, minor = match.groups()
    # A later minor version is read as the latest one that is known (RFC 9110 §2.5).
    return method, target, 10 if minor == "0" else 11


def _check_begun(data: bytes | bytearray) -> None:
    """Refuse at once what can't become a head, instead of waiting for its end. Raises
    RefusedRequestError."""
    whole, at_end = data.count(b"\r\n"), data.endswith(b"\r")
    if data.count(b"\n") != whole or data.count(b"\r") - at_end != whole:
        # RFC 9112 §2.2 allows to take a bare LF; two servers that differ on it can be played off.
        raise RefusedRequestError(400, "lines of a head end with CR LF")
    if data and data[0] < 0x20 and data[0] != 0x0D:
        raise RefusedRequestError(400, "this is not HTTP; TLS, perhaps: that is not spoken here")


class ChunkedDecoder:
    """Takes a chunked body apart (RFC 9112 §7.1); trailers are read and dropped."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._left = 0
        self._state = "size"
        self._trailer = 0
        self.total = 0
        self.done = False

    def feed(self, data: bytearray) -> bytes:
        """Take what belongs to the body off the front of `data`. Raises RefusedRequestError."""
        out: list[bytes] = []
        while not self.done and self._step(data, out):
            pass
        return b"".join(out)

    def _step(self, data: bytearray, out: list[bytes]) -> bool:
        if self._state == "data":
            piece = bytes(data[: self._left])
            del data[: len(piece)]
            self._left -= len(piece)
            out.append(piece)
            if self._left:
                return False
            self._state = "end"
            return True
        if self._state == "end":
            if len(data) < 2:
                return False
            if data[:2] != b"\r\n":
                raise RefusedRequestError(400, "a chunk is longer than it says")
            del data[:2]
            self._state = "size"
            return True
        line = self._line(data)
        if line is None:
            return False
        if self._state == "size":
            self._size(line)
        elif not line:
            self.done = True
        else:
            self._check_trailer(line)
        return True

    def _line(self, data: bytearray) -> bytes | None:
        end = data.find(b"\r\n")
        if end < 0:
            if len(data) > self._limits.line:
                raise RefusedRequestError(400, "a chunk line is too long")
            return None
        line = bytes(data[:end])
        if b"\n" in line or b"\r" in line:
            raise RefusedRequestError(400, "a bare line end in a chunk line")
        del data[: end + 2]
        return line

    def _size(self, line: bytes) -> None:
        size = _SIZE.match(line)
        end = size.end() if size else 0
        if size is None or len(line) - end > 256 or not _EXTENSION.fullmatch(line, end):
            raise RefusedRequestError(400, "a chunk size can't be read")
        self._left = int(size[0], 16)
        self.total += self._left
        if self.total > self._limits.body:
            raise RefusedRequestError(413, "the body is too long")
        self._state = "data" if self._left else "trailer"

    def _check_trailer(self, line: bytes) -> None:
        self._trailer += len(line)
        name = line.partition(b":")[0].decode("latin-1")
        if not _TOKEN.fullmatch(name) or self._trailer > self._limits.line:
            raise RefusedRequestError(400, "a trailer can't be read")
