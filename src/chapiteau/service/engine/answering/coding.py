"""Content codings (RFC 9110 §8.4): bodies that come packed, answers that leave packed."""

import gzip
import zlib
from typing import Any, Final

from chapiteau.service.engine.answering.reply import Reply
from chapiteau.service.logic.invalid import MalformedRequestError
from chapiteau.service.logic.problem import problem_for
from chapiteau.service.logic.wire.negotiate import coding_quality

__all__ = ["Packer", "unpacked"]

_GZIP: Final = 31  # zlib's word for a gzip header and trailer
_MARK: Final = '-gzip"'  # ends the entity tag of a packed answer: other bytes, other tag
_MEMBERS: Final = 64  # each of them costs a copy of the rest
_TAGS: Final = ("HTTP_IF_MATCH", "HTTP_IF_NONE_MATCH")

Environ = dict[str, Any]


def unpacked(environ: Environ, data: bytes, most: int) -> bytes:
    """The body without its coding; never more than `most` bytes. Raises ProblemError."""
    coding = environ["HTTP_CONTENT_ENCODING"].strip().lower()
    if coding in ("", "identity"):
        return data
    if coding not in ("gzip", "x-gzip"):
        accepted = {"Accept-Encoding": "gzip, identity"}
        raise problem_for(415, f"a body in {coding} can't be read here", headers=accepted)
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
            raise problem_for(413, f"a body may have {most} bytes here when it is unpacked")
        if not reader.eof:
            raise MalformedRequestError("the gzip body ends early")
        pieces.append(piece)
        data = reader.unused_data
    return b"".join(pieces)


class Packer:
    """Packs answers of at least `least` bytes for clients that take gzip."""

    def __init__(self, least: int) -> None:
        self._least = least

    @staticmethod
    def unmark(environ: Environ) -> None:
        """Take our mark off the tags that a client sends back: they mean the same version."""
        for name in _TAGS:
            given = environ.get(name)
            if given is not None and _MARK in given:
                environ[name] = given.replace(_MARK, '"')

    def pack(self, reply: Reply, environ: Environ) -> Reply:
        """The reply, packed when that pays and the client wants it."""
        headers = [_varied(h) for h in reply.headers]
        if not any(name == "Vary" for name, _ in headers):
            headers.append(("Vary", "Accept-Encoding"))
        reply.headers = headers
        wanted = environ.get("HTTP_ACCEPT_ENCODING", "")
        if not wanted or coding_quality(wanted, "gzip") <= 0:
            return reply
        if reply.status[:3] == "304":
            reply.headers = [_marked(h) for h in headers]
            return reply
        if len(reply.body) < self._least:
            return reply
        # mtime=0: the same value makes the same bytes, and so the same strong tag.
        body = gzip.compress(reply.body, compresslevel=5, mtime=0)
        kept = [_marked(h) for h in headers if h[0] != "Content-Length"]
        kept += [("Content-Encoding", "gzip"), ("Content-Length", str(len(body)))]
        return Reply(reply.status, kept, body)


def _marked(header: tuple[str, str]) -> tuple[str, str]:
    name, value = header
    return (name, value[:-1] + _MARK) if name == "ETag" else header


def _varied(header: tuple[str, str]) -> tuple[str, str]:
    name, value = header
    return (name, f"{value}, Accept-Encoding") if name == "Vary" else header
