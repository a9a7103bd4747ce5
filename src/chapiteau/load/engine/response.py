"""An answer as a scenario sees it; nothing is parsed before somebody asks."""

import json
import re
from collections.abc import Mapping, Sequence
from html.parser import HTMLParser
from typing import Any, Final

import msgspec

from chapiteau.load.protocols.content import charset, decode_body
from chapiteau.load.protocols.http1 import Headers

__all__ = ["MISSING", "Response", "ResponseViews", "form_fields", "match_pattern", "pick_path"]


# Picks values out of answers, for the requests that follow (correlation).

MISSING: Final = object()
_STEP: Final = re.compile(r"\[(-?\d+)\]|([^.\[\]]+)")


def pick_path(value: Any, path: str, default: Any = MISSING) -> Any:
    """What lies at a path like `items[0].id` or `data.users[-1].name`.

    Steps are names joined by dots and [indexes]. Raises LookupError saying how far it came.
    """
    at = value
    seen = ""
    for index, name in _steps(path):
        try:
            at = _step(at, index, name)
        except LookupError:
            if default is not MISSING:
                return default
            raise LookupError(f"no {path} in the answer: {_there(at, seen)}") from None
        seen += f"[{index}]" if index is not None else f".{name}" if seen else name
    return at


def _steps(path: str) -> list[tuple[int | None, str]]:
    steps, end = [], 0
    for match in _STEP.finditer(path):
        if path[end : match.start()] not in {"", "."}:
            break
        steps.append((int(match[1]) if match[1] else None, match[2] or ""))
        end = match.end()
    if end != len(path) or not steps:
        raise LookupError(f"{path!r} is no path; for example items[0].id")
    return steps


def _step(at: Any, index: int | None, name: str) -> Any:
    if index is not None:
        if isinstance(at, Sequence) and not isinstance(at, str):
            return at[index]
        raise LookupError
    if isinstance(at, Mapping):
        return at[name]
    raise LookupError


def _there(at: Any, seen: str) -> str:
    place = seen or "it"
    if isinstance(at, Mapping):
        return f"{place} has {', '.join(map(str, list(at)[:10])) or 'nothing'}"
    if isinstance(at, Sequence) and not isinstance(at, str):
        return f"{place} has {len(at)} items"
    return f"{place} is {type(at).__name__}"


def match_pattern(text: str, pattern: str, default: Any = MISSING) -> str:
    """The first group (or all) of the first place where a regular expression matches.

    Raises LookupError when there is none.
    """
    found = re.search(pattern, text)
    if found is None:
        if default is not MISSING:
            return str(default)
        raise LookupError(f"nothing in the answer matches {pattern!r}")
    return str(found[1] if found.re.groups else found[0])


def form_fields(html: str, number: int = 0) -> dict[str, str]:
    """Names and values of a page's form as a browser would send them untouched, hidden ones too.

    Raises LookupError when the page has no such form.
    """
    reader = _Forms()
    reader.feed(html)
    if number >= len(reader.forms):
        raise LookupError(f"the page has {len(reader.forms)} forms")
    return reader.forms[number]


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[dict[str, str]] = []
        self._select = ""
        self._area = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append({})
        if not self.forms:
            return
        name, form = given.get("name", ""), self.forms[-1]
        if tag == "input" and name:
            kind = given.get("type", "text").lower()
            if kind in {"submit", "button", "image", "reset", "file"}:
                return
            if kind not in {"checkbox", "radio"} or "checked" in given:
                form[name] = given.get("value", "on" if kind in {"checkbox", "radio"} else "")
        elif tag == "select":
            self._select = name
        elif tag == "option" and self._select:
            if "selected" in given or self._select not in form:
                form[self._select] = given.get("value", "")
        elif tag == "textarea" and name:
            self._area = name
            form[name] = ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "select":
            self._select = ""
        elif tag == "textarea":
            self._area = ""

    def handle_data(self, data: str) -> None:
        if self._area:
            self.forms[-1][self._area] += data


class ResponseViews:
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
        """The body's bytes, content encodings undone. Raises BadResponseError."""
        if b"content-encoding" in self._head.lower():
            return decode_body(self._body, self.headers.get("content-encoding"))
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
        return pick_path(self.json(), path, default)

    def match(self, pattern: str, default: Any = MISSING) -> str:
        """The first group of a regular expression in the text. Raises LookupError."""
        return match_pattern(self.text(), pattern, default)

    def form(self, number: int = 0) -> dict[str, str]:
        """Fields of the page's form as they stand, hidden ones too. Raises LookupError."""
        return form_fields(self.text(), number)

    def __repr__(self) -> str:
        return f"<Response {self.status} {self.url} {len(self._body)} bytes>"


class Response(ResponseViews, msgspec.Struct, eq=False):  # a Struct: one for each request
    """The answer to one request.

    `seconds` counts from the moment the request was meant to go out; `service_seconds` from the
    moment it went.
    """

    status: int
    _head: bytes
    _body: bytes
    good: bool  # the status is one that the request expected
    url: object  # text of it: str(response.url)
    seconds: float = 0.0
    service_seconds: float = 0.0
    _fields: Headers | None = None
