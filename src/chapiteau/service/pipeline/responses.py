"""From what a handler returns to a Reply: encoded, tagged, perhaps 304."""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any

import msgspec
from webob.response import Response as BaseResponse

from chapiteau.service.declare.operation import Operation
from chapiteau.service.declare.pydantic_types import encode_unknown, is_pydantic, json_dumper
from chapiteau.service.declare.signature import Answer
from chapiteau.service.errors import WrongAnswerError
from chapiteau.service.pipeline.codecs import JSON, encoder_for
from chapiteau.service.pipeline.reply import (
    HeaderTemplate,
    Reply,
    StreamReply,
    request_id,
    status_line,
)
from chapiteau.service.pipeline.streams import File, Stream
from chapiteau.service.protocol.conditional import (
    check_read_precondition,
    deprecation_headers,
    http_date,
    is_fresh,
    quote_tag,
)
from chapiteau.service.protocol.headers import Environ, return_preference
from chapiteau.service.protocol.negotiation import choose_media
from chapiteau.service.protocol.problem import problem_for

__all__ = ["Encoding", "ResponsePlan", "apply_return_preference"]

Encoding = tuple[str, Callable[[Any], bytes], HeaderTemplate]
_READY = (Answer, Stream, File, BaseResponse, Reply, StreamReply)
_MOST_TYPES = 64
_json = msgspec.json.Encoder(enc_hook=encode_unknown).encode
_Version = tuple[str | None, datetime | None]
_REMEMBERED = 64  # Accept headers whose answer is kept


class ResponsePlan:
    """How to answer for one operation."""

    def __init__(
        self,
        operation: Operation,
        *,
        check: bool = False,
        headers: Iterable[tuple[str, str]] = (),
        media: Callable[[str], str] = str,
        varies: bool = False,
    ) -> None:
        self.check = check  # whether answers are held against the declared type
        self._operation = operation
        self._declared = _proof_of(operation.answer)
        self._status = status_line(operation.status)
        self._reads = operation.method in ("GET", "HEAD")
        etag = operation.options.etag
        self._tag_of = etag if callable(etag) else None
        self._tag_content = etag == "content"
        self._modified_of = operation.options.modified
        self._plain = etag is None and self._modified_of is None
        self._always = [("X-Content-Type-Options", "nosniff")]
        self._always += deprecation_headers(
            operation.options.deprecated, operation.options.sunset, operation.options.successor
        )
        self._always += headers
        if operation.options.minimal or operation.options.later:
            self._always.append(("Vary", "Prefer"))
        if (varies or len(operation.offers) > 1) and ("Vary", "Accept") not in self._always:
            self._always.append(("Vary", "Accept"))
        offers = operation.offers
        ready, kind = bool(operation.raw_media), operation.answer
        self._offers: dict[str, Encoding] = {
            m: _encoding(media(m), _json if ready else encoder_for(m, kind), self._always)
            for m in offers
        }
        self._anything = offers == ("*/*",)  # the handler decides, nothing can be refused before
        self._first = self._offers[offers[0]]
        self._known: dict[str, Encoding] = {
            "*/*": self._first,
            JSON: self._offers.get(JSON, self._first),
        }
        if JSON not in self._offers:
            del self._known[JSON]
        self._values: set[type] = set()  # types of answers that are nothing but values

    def choose(self, accept: str | None) -> Encoding:
        """How to encode for this Accept header. Raises ProblemError (406).

        Asked before the handler runs: nothing may be done whose outcome can't be told.
        """
        if accept is None or self._anything:
            return self._first
        known = self._known.get(accept)
        if known is not None:
            return known
        chosen = choose_media(accept, tuple(self._offers))
        if chosen is None:
            words = f"offered here: {', '.join(self._offers)}"
            raise problem_for(406, words, headers={"Vary": "Accept"})
        if len(self._known) < _REMEMBERED:
            self._known[accept] = self._offers[chosen]
        return self._offers[chosen]

    def reply(self, value: Any, environ: Environ, encoding: Encoding) -> Any:
        """A Reply; a Response that the handler made itself stays as it is."""
        status = self._status
        extra = tag = modified = None
        if type(value) not in self._values and self._is_ready(value):
            if not isinstance(value, Answer):
                return self._ready(value, environ)
            if value.status is not None:
                status = status_line(value.status)
            extra, tag, modified = value.headers, value.etag, value.modified
            value = value.value
        own = request_id(environ)
        if value is None and status.startswith("204"):
            body = b""
            headers = [("X-Request-ID", own), *self._always]
        else:
            if self.check:
                self._prove(value)
            body = encoding[1](value)
            if self._plain and not (extra or tag or modified):
                return Reply(status, None, body, encoding[2], own)
            headers = encoding[2].listed(len(body), own)
        if extra:
            headers.extend(_unbroken(extra))
        if tag is None and self._plain and modified is None:
            return Reply(status, headers, body)
        if modified is None and self._modified_of is not None and value is not None:
            modified = self._modified_of(value)
        return self._tagged(Reply(status, headers, body), value, (tag, modified), environ)

    def _is_ready(self, value: Any) -> bool:
        """Whether the handler has made more than a value; remembers the types of mere values."""
        if isinstance(value, _READY):
            return True
        if len(self._values) < _MOST_TYPES:
            self._values.add(type(value))
        return False

    def _prove(self, value: Any) -> None:
        """Raises WrongAnswerError when the document would be wrong about this answer."""
        if self._declared is None:
            return
        try:
            self._declared(value)
        except (msgspec.ValidationError, ValueError) as exc:
            raise WrongAnswerError(
                f"{self._operation.where} returned another type than it declares: {exc}",
                hint="mend the handler, or the type behind its ->",
            ) from None

    def accepted(self, job: Answer[Any], environ: Environ) -> Reply:
        """The answer for work that is done later (202)."""
        body = _json(job.value)
        headers = [
            ("Content-Type", JSON),
            ("Content-Length", str(len(body))),
            ("X-Request-ID", request_id(environ)),
            *self._always,
            *(job.headers or {}).items(),
        ]
        return Reply(status_line(202), headers, body)

    def _ready(self, value: Any, environ: Environ) -> Any:
        """What the handler has made itself."""
        if isinstance(value, Stream):
            return self._stream(value, environ)
        if isinstance(value, File):
            return value.reply(environ, [("X-Request-ID", request_id(environ)), *self._always])
        return value

    def _stream(self, stream: Stream, environ: Environ) -> StreamReply:
        headers = [
            ("Content-Type", stream.media),
            ("X-Request-ID", request_id(environ)),
            *self._always,
            *stream.headers.items(),
        ]
        return StreamReply(self._status, headers, stream.pieces())

    def _tagged(self, reply: Reply, value: Any, version: _Version, environ: Environ) -> Reply:
        """With ETag and Last-Modified, and as 304 when the client has this version."""
        tag, modified = version
        if tag is None and self._tag_of is not None and value is not None:
            made = self._tag_of(value)
            tag = None if made is None else str(made)
        if tag is None and self._tag_content:
            tag = blake2b(reply.body, digest_size=8).hexdigest()
        quoted = None if tag is None else quote_tag(tag)
        if quoted is not None:
            reply.headers.append(("ETag", quoted))
        if modified is not None:
            modified = modified if modified.tzinfo else modified.replace(tzinfo=UTC)
            reply.headers.append(("Last-Modified", http_date(modified)))
        if self._reads and ("HTTP_IF_MATCH" in environ or "HTTP_IF_UNMODIFIED_SINCE" in environ):
            check_read_precondition(environ, tag, modified)
        if self._reads and is_fresh(environ, quoted, modified):
            kept = [h for h in reply.headers if h[0] not in ("Content-Type", "Content-Length")]
            return Reply("304 Not Modified", kept, b"")
        return reply


def apply_return_preference(reply: Reply, environ: Environ) -> Reply:
    """A good answer as the client would rather have it (RFC 7240): with a body, or without."""
    wish = return_preference(environ.get("HTTP_PREFER"))
    if wish is None or reply.status[:3] not in ("200", "201") or not reply.body:
        return reply
    if not wish:
        reply.headers.append(("Preference-Applied", "return=representation"))
        return reply
    kept = [h for h in reply.headers if h[0] not in ("Content-Type", "Content-Length")]
    kept.append(("Preference-Applied", "return=minimal"))
    if reply.status.startswith("200"):
        return Reply("204 No Content", kept, b"")
    return Reply(reply.status, [*kept, ("Content-Length", "0")], b"")


def _proof_of(kind: Any) -> Callable[[Any], Any] | None:
    """What complains (ValueError) about a value that is not of the type."""
    if kind in (None, Any):
        return None
    if is_pydantic(kind):
        return json_dumper(kind, check=True)
    decode = msgspec.json.Decoder(kind).decode
    return lambda value: decode(_json(value))


def _encoding(
    media: str, encode: Callable[[Any], bytes], always: Iterable[tuple[str, str]]
) -> Encoding:
    return media, encode, HeaderTemplate(media, always)


def _unbroken(headers: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    """The headers of an answer. Raises WrongAnswerError for one that would forge others."""
    for name, value in headers.items():
        if "\n" in value or "\r" in value or "\0" in value:
            raise WrongAnswerError(
                f"the header {name} of an answer holds a line end: {value!r}",
                hint="quote what a client has sent: urllib.parse.quote(text)",
            )
    return headers.items()
