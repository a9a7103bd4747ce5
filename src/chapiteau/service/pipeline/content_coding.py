"""Bodies that come packed, answers that leave packed (RFC 9110 §8.4)."""

import functools
import gzip
import re
import threading
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from chapiteau.service.pipeline.reply import Reply
from chapiteau.service.protocol.headers import Environ
from chapiteau.service.protocol.negotiation import best_coding
from chapiteau.service.protocol.problem import MalformedRequestError, ProblemError, problem_for

__all__ = ["Compressor", "ContentCoding", "content_codings", "decode_content"]


# Content codings (RFC 9110 §8.4) that are known here: gzip; zstd and br when installed.

_GZIP: Final = 31  # zlib's word for a gzip header and trailer
_MEMBERS: Final = 64  # frames of one body; each of them costs a copy of the rest
# 128 packed bytes of zstd hold 32 blocks of 128 KiB at most: so much may overshoot.
_STEP: Final = 128
_WINDOW: Final = 8 << 20  # bytes; what RFC 8878 tells everyone to support


@dataclass(frozen=True, slots=True)
class ContentCoding:
    """One coding: its name, and functions that pack, and unpack at most so many bytes.

    `unpack` raises MalformedRequestError, or ProblemError (413) when there would be more.
    """

    name: str
    pack: Callable[[bytes], bytes]
    unpack: Callable[[bytes, int], bytes]


@functools.cache
def content_codings() -> dict[str, ContentCoding]:
    """The codings by name; the first of those that a client likes equally well is taken.

    Looked for when the first packed body comes or goes, not at every start.
    """
    found = [_zstd(), _brotli(), _gzip()]
    return {one.name: one for one in found if one is not None}


def _too_long(most: int) -> ProblemError:
    return problem_for(413, f"a body may have {most} bytes here when it is unpacked")


def _unpack_frames(
    name: str,
    error: type[Exception],
    new_reader: Callable[[], Any],
    read: Callable[[Any, bytes, int], tuple[list[bytes], bytes]],
) -> Callable[[bytes, int], bytes]:
    """An `unpack` for bodies of one or more frames; `read` gives a frame and what is behind it."""

    def unpack(data: bytes, most: int) -> bytes:
        pieces: list[bytes] = []
        left, frames = most, 0
        while data:
            frames += 1
            if frames > _MEMBERS:
                raise MalformedRequestError(f"a {name} body may have {_MEMBERS} frames")
            reader = new_reader()
            try:
                found, data = read(reader, data, left)
            except error as exc:
                raise MalformedRequestError(f"the body is not {name}: {exc}") from None
            left -= sum(map(len, found))
            if left < 0:
                raise _too_long(most)
            if not reader.eof:
                raise MalformedRequestError(f"the {name} body ends early")
            pieces += found
        return b"".join(pieces)

    return unpack


def _gzip() -> ContentCoding:
    def pack(data: bytes) -> bytes:
        # mtime=0: the same value makes the same bytes, and so the same strong tag.
        return gzip.compress(data, compresslevel=5, mtime=0)

    def read(reader: Any, data: bytes, left: int) -> tuple[list[bytes], bytes]:
        # One byte more than is allowed tells that there is more: no bomb goes further.
        piece = reader.decompress(data, left + 1)
        return [piece], reader.unused_data  # several members: RFC 1952 §2.2

    unpack = _unpack_frames("gzip", zlib.error, lambda: zlib.decompressobj(_GZIP), read)
    return ContentCoding("gzip", pack, unpack)


def _zstd() -> ContentCoding | None:
    try:
        import zstandard
    except ImportError:
        return None
    local = threading.local()  # a compressor belongs to one thread at a time

    def pack(data: bytes) -> bytes:
        packer = getattr(local, "packer", None)
        if packer is None:
            packer = local.packer = zstandard.ZstdCompressor(level=3)
        made: bytes = packer.compress(data)
        return made

    def read(reader: Any, data: bytes, left: int) -> tuple[list[bytes], bytes]:
        pieces: list[bytes] = []
        at = 0
        while at < len(data) and not reader.eof and left >= 0:
            pieces.append(reader.decompress(data[at : at + _STEP]))
            left -= len(pieces[-1])
            at += _STEP
        return pieces, reader.unused_data + data[at:]

    unpacker = functools.partial(zstandard.ZstdDecompressor, max_window_size=_WINDOW)
    unpack = _unpack_frames("zstd", zstandard.ZstdError, lambda: unpacker().decompressobj(), read)
    return ContentCoding("zstd", pack, unpack)


def _brotli() -> ContentCoding | None:
    try:
        import brotli
    except ImportError:
        return None

    def pack(data: bytes) -> bytes:
        made: bytes = brotli.compress(data, quality=4)
        return made

    def unpack(data: bytes, most: int) -> bytes:
        reader = brotli.Decompressor()
        made = bytearray()
        try:
            made += reader.process(data, output_buffer_limit=most + 1)
            while not reader.is_finished() and len(made) <= most:
                piece = reader.process(b"", output_buffer_limit=most + 1 - len(made))
                if not piece:
                    break
                made += piece
        except brotli.error as exc:
            raise MalformedRequestError(f"the body is not brotli: {exc}") from None
        if len(made) > most:
            raise _too_long(most)
        if not reader.is_finished():
            raise MalformedRequestError("the brotli body ends early")
        return bytes(made)

    return ContentCoding("br", pack, unpack)


# The entity tag of a packed answer ends with its coding: other bytes, other tag.
_MARK: Final = re.compile(r'-(?:zstd|br|gzip)(?=")')
_TAGS: Final = ("HTTP_IF_MATCH", "HTTP_IF_NONE_MATCH")
_SENT: Final = "chapiteau.tags"


def decode_content(environ: Environ, data: bytes, most: int) -> bytes:
    """The body without its coding; never more than `most` bytes. Raises ProblemError."""
    name = environ["HTTP_CONTENT_ENCODING"].strip().lower()
    if name in ("", "identity"):
        return data
    known = content_codings()
    coding = known.get("gzip" if name == "x-gzip" else name)
    if coding is None:
        accepted = {"Accept-Encoding": ", ".join([*known, "identity"])}
        raise problem_for(415, f"a body in {name} can't be read here", headers=accepted)
    return coding.unpack(data, most)


class Compressor:
    """Packs answers of at least `least` bytes for clients that take a coding that we know."""

    def __init__(self, least: int) -> None:
        self._least = least

    @staticmethod
    def unmark(environ: Environ) -> None:
        """Add, to the tags that a client sends back, the same without our mark: one version.

        They stay as they were too, for an application may end its own tags as it likes.
        """
        for name in _TAGS:
            given = environ.get(name)
            if given is not None and _MARK.search(given):
                environ[_SENT] = given
                environ[name] = f"{given}, {_MARK.sub('', given)}"

    def pack(self, reply: Reply, environ: Environ) -> Reply:
        """The reply, packed when that pays and the client wants it."""
        headers = [_varied(h) for h in reply.headers]
        if not any(name == "Vary" for name, _ in headers):
            headers.append(("Vary", "Accept-Encoding"))
        reply.headers = headers
        if reply.status[:3] == "304":
            # The tag that the client knows is the one that stays good.
            sent = environ.get(_SENT, "")
            reply.headers = [_as_sent(h, sent) for h in headers] if sent else headers
            return reply
        wanted = environ.get("HTTP_ACCEPT_ENCODING", "")
        if not wanted or len(reply.body) < self._least:
            return reply
        if any(name == "Content-Encoding" for name, _ in headers):
            return reply  # the handler has done it
        known = content_codings()
        coding = known.get(best_coding(wanted, tuple(known)))
        if coding is None:
            return reply
        body = coding.pack(reply.body)
        kept = [_marked(h, coding.name) for h in headers if h[0] != "Content-Length"]
        kept += [("Content-Encoding", coding.name), ("Content-Length", str(len(body)))]
        return Reply(reply.status, kept, body)


def _marked(header: tuple[str, str], coding: str) -> tuple[str, str]:
    name, value = header
    return (name, f'{value[:-1]}-{coding}"') if name == "ETag" else header


def _as_sent(header: tuple[str, str], sent: str) -> tuple[str, str]:
    marked = (_marked(header, coding) for coding in content_codings())
    return next((one for one in marked if header[0] == "ETag" and one[1] in sent), header)


def _varied(header: tuple[str, str]) -> tuple[str, str]:
    name, value = header
    return (name, f"{value}, Accept-Encoding") if name == "Vary" else header
