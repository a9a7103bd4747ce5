"""What every Python client has: types, the wire, and the heads of its classes."""

from typing import Final

__all__ = ["ASYNC", "BASE", "CLASS", "HEAD"]

HEAD: Final = '''"""Client of {title}. Written by `chapiteau service client`: don't edit."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import secrets
import select
import ssl
import threading
from collections.abc import AsyncGenerator, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, NotRequired, TypeAlias, TypedDict, TypeVar
from urllib.parse import quote, urlencode, urlsplit

_ = (Literal, NotRequired, TypeAlias)  # not every document needs all of them
T = TypeVar("T")
Pieces: TypeAlias = Generator[bytes, None, None]
AsyncPieces: TypeAlias = AsyncGenerator[bytes, None]
'''

BASE: Final = '''

@dataclass(frozen=True)
class Answer(Generic[T]):
    """A good answer: the value, and what its headers say."""

    value: T
    status: int
    headers: Mapping[str, str] = field(repr=False)

    @property
    def etag(self) -> str | None:
        """Version to send back as If-Match."""
        return self.headers.get("etag")

    @property
    def links(self) -> dict[str, str]:
        """Targets of the Link header by relation: `links.get("next")`."""
        found = {}
        for part in self.headers.get("link", "").split(", <"):
            target, _, rest = part.strip("< ").partition(">")
            if 'rel="' in rest:
                found[rest.partition('rel="')[2].partition('"')[0]] = target
        return found


class ApiError(Exception):
    """An answer of 400 or more; `problem` is its document (RFC 9457)."""

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        super().__init__(f"{status} {problem.get('detail') or problem.get('title') or ''}".strip())
        self.status = status
        self.problem = problem


@dataclass(frozen=True)
class Upload:
    """A file to send in a form."""

    name: str
    data: bytes = field(repr=False)
    media: str = "application/octet-stream"


def _quote(value: object) -> str:
    return quote(_text(value), safe="")


def _text(value: object) -> str:
    if isinstance(value, list):
        return ",".join(map(_text, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _cookies(given: Mapping[str, Any]) -> str | None:
    return "; ".join(f"{name}={_text(v)}" for name, v in given.items() if v is not None) or None


def _pairs(fields: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return [
        (name, item)
        for name, value in fields.items()
        if value is not None
        for item in (value if isinstance(value, list) else [value])
    ]


def _pieces(connection: http.client.HTTPConnection, response: http.client.HTTPResponse) -> Pieces:
    """A stream as it comes; closing it, or its end, closes the connection."""
    try:
        while piece := response.read1(65536):
            yield piece
    finally:
        connection.close()


def _later(answer: Answer[Pieces]) -> Answer[AsyncPieces]:
    async def pieces() -> AsyncPieces:
        try:
            while (piece := await asyncio.to_thread(next, answer.value, None)) is not None:
                yield piece
        finally:
            with contextlib.suppress(ValueError):  # a thread still waits for the next piece
                answer.value.close()

    return Answer(pieces(), answer.status, answer.headers)


def _is_json(media: str) -> bool:
    """Whether it is one JSON value: `application/x-ndjson` holds many."""
    kind = media.partition(";")[0].strip().lower()
    return kind == "application/json" or kind.endswith("+json")


def _encoded(body: Any, media: str) -> tuple[bytes, str]:
    """A body as bytes, and its content type."""
    if isinstance(body, bytes):
        return body, media
    if media == "application/x-www-form-urlencoded":
        return urlencode([(k, _text(v)) for k, v in _pairs(body)]).encode(), media
    if media == "multipart/form-data":
        mark = secrets.token_hex(16)
        data = b"".join(_part(mark, name, value) for name, value in _pairs(body))
        return data + f"--{mark}--\\r\\n".encode(), f"{media}; boundary={mark}"
    return json.dumps(body).encode(), media


def _refused(status: int, raw: bytes, isjson: bool) -> ApiError:
    problem = json.loads(raw) if raw and isjson else None
    return ApiError(status, problem if isinstance(problem, dict) else {})


def _part(mark: str, name: str, value: Any) -> bytes:
    head = f'--{mark}\\r\\nContent-Disposition: form-data; name="{name}"'
    if not isinstance(value, Upload):
        return f"{head}\\r\\n\\r\\n{_text(value)}\\r\\n".encode()
    filename = quote(value.name, safe=" ")
    head += f'; filename="{filename}"\\r\\nContent-Type: {value.media}\\r\\n\\r\\n'
    return head.encode() + value.data + b"\\r\\n"
'''

CLASS: Final = '''

class {name}:
    """{title}. One connection per thread; safe to share between threads."""

    def __init__(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float = 30.0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._url = urlsplit(url)
        self._headers = dict(headers or {{}})
        self._timeout = timeout
        self._tls = tls
        self._local = threading.local()

    def close(self) -> None:
        """Close this thread's connection."""
        connection = getattr(self._local, "connection", None)
        if connection is not None:
            connection.close()

    def _opened(self) -> http.client.HTTPConnection:
        host, port = self._url.hostname or "localhost", self._url.port
        if self._url.scheme == "https":
            return http.client.HTTPSConnection(host, port, timeout=self._timeout, context=self._tls)
        return http.client.HTTPConnection(host, port, timeout=self._timeout)

    def _connection(self) -> http.client.HTTPConnection:
        found: http.client.HTTPConnection | None = getattr(self._local, "connection", None)
        if found is None:
            found = self._local.connection = self._opened()
        elif found.sock is not None and select.select([found.sock], [], [], 0)[0]:
            found.close()  # nothing was asked, so what is there to read is its end
        return found

    def _request(
        self,
        path: str,
        query: Mapping[str, Any],
        headers: Mapping[str, Any],
        body: Any,
        media: str,
        accept: str,
    ) -> tuple[str, bytes | None, dict[str, str]]:
        pairs = [(name, _text(item)) for name, item in _pairs(query)]
        target = self._url.path.rstrip("/") + path + ("?" + urlencode(pairs) if pairs else "")
        sent = {{**self._headers, "Accept": accept}}
        sent.update({{name: _text(value) for name, value in headers.items() if value is not None}})
        data = None
        if body is not None:
            data, sent["Content-Type"] = _encoded(body, media)
        return target, data, sent

    def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any],
        headers: Mapping[str, Any],
        *,
        body: Any = None,
        media: str = "application/json",
        accept: str = "application/json",
    ) -> Answer[Any]:
        target, data, sent = self._request(path, query, headers, body, media, accept)
        response, raw = self._exchange(method, target, data, sent)
        fields = {{name.lower(): value for name, value in response.getheaders()}}
        isjson = bool(raw) and _is_json(fields.get("content-type", ""))
        if response.status >= 400:
            raise _refused(response.status, raw, isjson)
        if not _is_json(accept):
            return Answer(raw, response.status, fields)
        return Answer(json.loads(raw) if isjson else None, response.status, fields)

    def _stream(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any],
        headers: Mapping[str, Any],
        *,
        body: Any = None,
        media: str = "application/json",
        accept: str,
    ) -> Answer[Pieces]:
        target, data, sent = self._request(path, query, headers, body, media, accept)
        connection = self._opened()  # of its own: a stream may never end
        try:
            connection.request(method, target, data, sent)
            response = connection.getresponse()
            fields = {{name.lower(): value for name, value in response.getheaders()}}
            if response.status >= 400:
                raise _refused(
                    response.status, response.read(), _is_json(fields.get("content-type", ""))
                )
        except BaseException:
            connection.close()
            raise
        return Answer(_pieces(connection, response), response.status, fields)

    def _exchange(
        self, method: str, target: str, data: bytes | None, headers: Mapping[str, str]
    ) -> tuple[http.client.HTTPResponse, bytes]:
        try:
            return self._ask(method, target, data, headers)
        except (http.client.HTTPException, ConnectionError):
            # A kept connection may have been closed meanwhile; asking again is safe only when
            # asking twice does no harm.
            if method not in ("GET", "HEAD", "PUT", "DELETE", "OPTIONS"):
                raise
        return self._ask(method, target, data, headers)

    def _ask(
        self, method: str, target: str, data: bytes | None, headers: Mapping[str, str]
    ) -> tuple[http.client.HTTPResponse, bytes]:
        connection = self._connection()
        try:
            connection.request(method, target, data, dict(headers))
            response = connection.getresponse()
            return response, response.read()
        except BaseException:
            connection.close()  # half an answer may be left in it
            raise
'''

ASYNC: Final = '''

class Async{name}:
    """{title}, for asyncio: every call runs in a thread of the loop's pool."""

    def __init__(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float = 30.0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._client = {name}(url, headers=headers, timeout=timeout, tls=tls)
'''
