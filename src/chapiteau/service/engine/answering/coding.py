"""Bodies that come packed, answers that leave packed (RFC 9110 §8.4)."""

import re
from typing import Any, Final

from chapiteau.service.engine.answering.packing import codings
from chapiteau.service.engine.answering.reply import Reply
from chapiteau.service.logic.problem import problem_for
from chapiteau.service.logic.wire.negotiate import best_coding

__all__ = ["Packer", "unpacked"]

# The entity tag of a packed answer ends with its coding: other bytes, other tag.
_MARK: Final = re.compile(r'-(?:zstd|br|gzip)(?=")')
_TAGS: Final = ("HTTP_IF_MATCH", "HTTP_IF_NONE_MATCH")
_SENT: Final = "chapiteau.tags"

Environ = dict[str, Any]


def unpacked(environ: Environ, data: bytes, most: int) -> bytes:
    """The body without its coding; never more than `most` bytes. Raises ProblemError."""
    name = environ["HTTP_CONTENT_ENCODING"].strip().lower()
    if name in ("", "identity"):
        return data
    known = codings()
    coding = known.get("gzip" if name == "x-gzip" else name)
    if coding is None:
        accepted = {"Accept-Encoding": ", ".join([*known, "identity"])}
        raise problem_for(415, f"a body in {name} can't be read here", headers=accepted)
    return coding.unpack(data, most)


class Packer:
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
        known = codings()
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
    marked = (_marked(header, coding) for coding in codings())
    return next((one for one in marked if header[0] == "ETag" and one[1] in sent), header)


def _varied(header: tuple[str, str]) -> tuple[str, str]:
    name, value = header
    return (name, f"{value}, Accept-Encoding") if name == "Vary" else header
