"""From what a handler returns to a Reply: encoded, tagged, perhaps 304."""

from hashlib import blake2b
from typing import Any

import msgspec
from webob.response import Response as BaseResponse

from chapiteau.service.engine.reply import Reply, request_id, status_line
from chapiteau.service.logic.answer import Answer
from chapiteau.service.logic.conditional import not_modified, quote_tag
from chapiteau.service.logic.operation import Operation

__all__ = ["AnswerPlan"]

Environ = dict[str, Any]
_READY = (Answer, BaseResponse, Reply)


class AnswerPlan:
    """How to answer for one operation."""

    def __init__(self, operation: Operation) -> None:
        self._encode = msgspec.json.Encoder().encode
        self._status = status_line(operation.status)
        self._reads = operation.method in ("GET", "HEAD")
        etag = operation.options.etag
        self._tag_of = etag if callable(etag) else None
        self._tag_content = etag == "content"
        self._plain = etag is None

    def reply(self, value: Any, environ: Environ) -> Any:
        """A Reply; a Response that the handler made itself stays as it is."""
        status = self._status
        extra = tag = None
        if isinstance(value, _READY):
            if not isinstance(value, Answer):
                return value
            if value.status is not None:
                status = status_line(value.status)
            extra, tag, value = value.headers, value.etag, value.value
        own = request_id(environ)
        if value is None and status.startswith("204"):
            body = b""
            headers = [("X-Request-ID", own)]
        else:
            body = self._encode(value)
            headers = [
                ("Content-Type", "application/json"),
                ("Content-Length", str(len(body))),
                ("X-Request-ID", own),
            ]
        if extra:
            headers.extend(extra.items())
        if tag is None and self._plain:
            return Reply(status, headers, body)
        return self._tagged(Reply(status, headers, body), value, tag, environ)

    def _tagged(self, reply: Reply, value: Any, tag: str | None, environ: Environ) -> Reply:
        if tag is None and self._tag_of is not None and value is not None:
            made = self._tag_of(value)
            tag = None if made is None else str(made)
        if tag is None and self._tag_content:
            tag = blake2b(reply.body, digest_size=8).hexdigest()
        if tag is None:
            return reply
        quoted = quote_tag(tag)
        reply.headers.append(("ETag", quoted))
        if self._reads and not_modified(environ.get("HTTP_IF_NONE_MATCH"), quoted):
            kept = [h for h in reply.headers if h[0] not in ("Content-Type", "Content-Length")]
            return Reply("304 Not Modified", kept, b"")
        return reply
