"""Content codings (RFC 9110 §8.4) that are known here: gzip; zstd and br when installed."""

import functools
import gzip
import threading
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from chapiteau.service.logic.invalid import MalformedRequestError
from chapiteau.service.logic.problem import ProblemError, problem_for

__all__ = ["Coding", "codings"]

_GZIP: Final = 31  # zlib's word for a gzip header and trailer
_MEMBERS: Final = 64  # frames of one body; each of them costs a copy of the rest
# 128 packed bytes of zstd hold 32 blocks of 128 KiB at most: so much may overshoot.
_STEP: Final = 128
_WINDOW: Final = 8 << 20  # bytes; what RFC 8878 tells everyone to support


@dataclass(frozen=True, slots=True)
class Coding:
    """One coding: its name, and functions that pack, and unpack at most so many bytes.

    `unpack` raises MalformedRequestError, or ProblemError (413) when there would be more.
    """

    name: str
    pack: Callable[[bytes], bytes]
    unpack: Callable[[bytes, int], bytes]


@functools.cache
def codings() -> dict[str, Coding]:
    """The codings by name; the first of those that a client likes equally well is taken.

    Looked for when the first packed body comes or goes, not at every start.
    """
    found = [_zstd(), _brotli(), Coding("gzip", _pack_gzip, _unpack_gzip)]
    return {one.name: one for one in found if one is not None}


def _too_long(most: int) -> ProblemError:
    return problem_for(413, f"a body may have {most} bytes here when it is unpacked")


def _pack_gzip(data: bytes) -> bytes:
    # mtime=0: the same value makes the same bytes, and so the same strong tag.
    return gzip.compress(data, compresslevel=5, mtime=0)


def _unpack_gzip(data: bytes, most: int) -> bytes:
    pieces: list[bytes] = []
    left = most
    while data:  # a gzip file may have several members (RFC 1952 §2.2)
        if len(pieces) == _MEMBERS:
            raise MalformedRequestError(f"a gzip body may have {_MEMBERS} members")
        reader = zlib.decompressobj(_GZIP)
        try:
            # One byte more than is allowed tells that there is more: no bomb goes further.
            piece = reader.decompress(data, left + 1)
        except zlib.error as exc:
            raise MalformedRequestError(f"the body is not gzip: {exc}") from None
        left -= len(piece)
        if left < 0:
            raise _too_long(most)
        if not reader.eof:
            raise MalformedRequestError("the gzip body ends early")
        pieces.append(piece)
        data = reader.unused_data
    return b"".join(pieces)


def _zstd() -> Coding | None:
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

    def unpack(data: bytes, most: int) -> bytes:
        made = _Frames(zstandard.ZstdDecompressor(max_window_size=_WINDOW), most)
        try:
            for at in range(0, len(data), _STEP):
                made.feed(data[at : at + _STEP])
        except zstandard.ZstdError as exc:
            raise MalformedRequestError(f"the body is not zstd: {exc}") from None
        return made.whole()

    return Coding("zstd", pack, unpack)


class _Frames:
    """The frames of a zstd body, fed in small steps."""

    def __init__(self, unpacker: Any, most: int) -> None:
        self._unpacker, self._most, self._left = unpacker, most, most
        self._pieces: list[bytes] = []
        self._frames = 0
        self._reader: Any = None

    def feed(self, step: bytes) -> None:
        while step:
            if self._reader is None:
                self._frames += 1
                if self._frames > _MEMBERS:
                    raise MalformedRequestError(f"a zstd body may have {_MEMBERS} frames")
                self._reader = self._unpacker.decompressobj()
            piece = self._reader.decompress(step)
            self._left -= len(piece)
            if self._left < 0:
                raise _too_long(self._most)
            self._pieces.append(piece)
            step = self._reader.unused_data
            if self._reader.eof:
                self._reader = None

    def whole(self) -> bytes:
        if self._reader is not None or not self._frames:
            raise MalformedRequestError("the zstd body ends early")
        return b"".join(self._pieces)


def _brotli() -> Coding | None:
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

    return Coding("br", pack, unpack)
