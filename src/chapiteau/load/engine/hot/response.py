"""An answer as a scenario sees it; nothing is parsed before somebody asks."""

import json
from typing import Any

from chapiteau.load.logic.data.picking import MISSING, form_fields, matched, picked
from chapiteau.load.logic.http.content import charset, decoded
from chapiteau.load.logic.http.http1 import Headers

__all__ = ["Response", "Views"]


class Views:
    """The ways to look at an answer; the same for both twins."""

    __slots__ = ()

    status: int
    url: object
    _head: bytes
    _body: bytes
    _fields: Headers | None

    @property
    def headers(self) -> Headers:
        """Header fields, by name in any case."""
        fields = getattr(self, "_fields", None)
        if fields is None:
            fields = self._fields = Headers(self._head)  # type: ignore[misc]  # of the subclass
        return fields

    @property
    def reason(self) -> str:
        """The words behind the status number."""
        line = self._head.split(b"\r\n", 1)[0]
        return line[13:].decode("latin-1")

    @property
    def body(self) -> bytes:
        """The body's bytes, content encodings undone. Raises BadAnswerError."""
        if b"content-encoding" in self._head.lower():
            return decoded(self._body, self.headers.get("content-encoding"))
        return self._body

    def text(self) -> str:
        """The body as text, in the charset that the answer names."""
        try:
            return self.body.decode(charset(self.headers.get("content-type")), "replace")
        except LookupError:
            return self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        """The body as JSON. Raises ValueError when it is none."""
        return json.loads(self.body)

    def pick(self, path: str, default: Any = MISSING) -> Any:
        """What the JSON body has at a path such as `items[0].id`. Raises LookupError."""
        return picked(self.json(), path, default)

    def match(self, pattern: str, default: Any = MISSING) -> str:
        """The first group of a regular expression in the text. Raises LookupError."""
        return matched(self.text(), pattern, default)

    def form(self, number: int = 0) -> dict[str, str]:
        """Fields of the page's form as they stand, hidden ones too. Raises LookupError."""
        return form_fields(self.text(), number)

    def __repr__(self) -> str:
        return f"<Response {self.status} {self.url} {len(self._body)} bytes>"


class Response(Views):
    """The answer to one request.

    `seconds` counts from the moment the request was meant to go out; `service_seconds` from the
    moment it went.
    """

    __slots__ = ("_body", "_fields", "_head", "good", "seconds", "service_seconds", "status", "url")

    def __init__(  # one for each request
        self,
        status: int,
        head: bytes,
        body: bytes,
        good: bool,
        url: object,
        seconds: float = 0.0,
        service_seconds: float = 0.0,
    ) -> None:
        self.status = status
        self.good = good  # the status is one that the request expected
        self.url = url  # text of it: str(response.url)
        self.seconds = seconds
        self.service_seconds = service_seconds
        self._head = head
        self._body = body
        self._fields: Headers | None = None
