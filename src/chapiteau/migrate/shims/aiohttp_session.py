"""A session and answers as aiohttp's client shows them, over our own session."""

import json
from collections.abc import Awaitable, Callable, Generator, Mapping
from types import SimpleNamespace
from typing import Any

from chapiteau.load.engine.response import Response
from chapiteau.load.engine.session import Session
from chapiteau.load.errors import ExchangeError
from chapiteau.load.protocols import urls
from chapiteau.migrate.shims.aiohttp_websocket import AioWebSocket
from chapiteau.migrate.shims.arguments import RequestArguments, read_arguments
from chapiteau.migrate.shims.responses import CaselessDict, HTTPError, error_class

__all__ = ["AioResponse", "AioSession"]

Tell = Callable[..., Awaitable[None]]


class AioResponse:
    """aiohttp.ClientResponse, as far as scenarios use it; the body is there already."""

    def __init__(self, request: RequestArguments, response: Response) -> None:
        self.status = response.status
        self.reason = response.reason
        self.headers = CaselessDict(response.headers)
        self.method = request.method
        self.url = str(response.url)
        self.real_url = self.url
        self.host = urls.parse(self.url).host
        self.request_info = SimpleNamespace(
            method=request.method, url=self.url, headers=request.headers, real_url=self.url
        )
        self.content = _Content(response)
        self.history: tuple[Any, ...] = ()
        self._response = response

    @property
    def ok(self) -> bool:
        """Whether the status is below 400."""
        return self.status < 400

    @property
    def content_type(self) -> str:
        """The media type, without its parameters."""
        return self.headers.get("content-type", "application/octet-stream").partition(";")[0]

    async def json(self, **_options: Any) -> Any:
        """The body as JSON, whatever content type it has."""
        return json.loads(self._response.body) if self._response.body.strip() else None

    async def text(self, *_encoding: Any, **_options: Any) -> str:
        """The body as text."""
        return self._response.text()

    async def read(self) -> bytes:
        """The body."""
        return self._response.body

    def raise_for_status(self) -> None:
        """Raise for a status from 400 up."""
        if not self.ok:
            kind = error_class("aiohttp", "ClientError", HTTPError)
            raise kind(f"{self.status}, message={self.reason!r}, url={self.url!r}")

    def release(self) -> None:
        """Nothing: the whole body has come already."""

    def close(self) -> None:
        """Nothing, as above."""

    def __repr__(self) -> str:
        return f"<ClientResponse({self.url}) [{self.status} {self.reason}]>"


class _Content:
    """response.content: a stream that is already whole."""

    def __init__(self, response: Response) -> None:
        self._rest = response.body

    async def read(self, size: int = -1) -> bytes:
        piece = self._rest if size < 0 else self._rest[:size]
        self._rest = self._rest[len(piece) :]
        return piece

    async def readline(self) -> bytes:
        head, mark, self._rest = self._rest.partition(b"\n")
        return head + mark

    def __aiter__(self) -> "_Content":
        return self

    async def __anext__(self) -> bytes:
        line = await self.readline()
        if not line:
            raise StopAsyncIteration
        return line


class _Call:
    """What `session.get(…)` gives: to be awaited, or entered with `async with`."""

    __slots__ = ("_work",)

    def __init__(self, work: Awaitable[AioResponse]) -> None:
        self._work = work

    def __await__(self) -> Generator[Any, None, AioResponse]:
        return self._work.__await__()

    async def __aenter__(self) -> AioResponse:
        return await self._work

    async def __aexit__(self, *_exc: object) -> None:
        return None


class AioSession:
    """aiohttp.ClientSession for one worker; other attributes are the scenario's own."""

    def __init__(self, session: Session, settings: Mapping[str, Any], tell: Tell) -> None:
        self.headers: dict[str, str] = dict(settings.get("headers") or {})
        self.closed = False
        self.statsd: Any = None  # what molotov had there before 2.0
        self.context: Any = None  # what molotov.get_context gives
        self.loop = None
        self._session = session
        self._settings = settings
        self._tell = tell
        base = settings.get("base_url")
        self._base = str(base) if base else ""
        for name, value in dict(settings.get("cookies") or {}).items():
            host = urls.parse(self._base or session.base).host
            session.cookies.set(name, str(value), host)

    def request(self, method: str, url: Any, **given: Any) -> _Call:
        """Any method."""
        return _Call(self._send(method, str(url), given))

    def get(self, url: Any, **given: Any) -> _Call:
        """GET."""
        return self.request("GET", url, **given)

    def post(self, url: Any, **given: Any) -> _Call:
        """POST."""
        return self.request("POST", url, **given)

    def put(self, url: Any, **given: Any) -> _Call:
        """PUT."""
        return self.request("PUT", url, **given)

    def patch(self, url: Any, **given: Any) -> _Call:
        """PATCH."""
        return self.request("PATCH", url, **given)

    def delete(self, url: Any, **given: Any) -> _Call:
        """DELETE."""
        return self.request("DELETE", url, **given)

    def head(self, url: Any, **given: Any) -> _Call:
        """HEAD."""
        return self.request("HEAD", url, **given)

    def options(self, url: Any, **given: Any) -> _Call:
        """OPTIONS."""
        return self.request("OPTIONS", url, **given)

    def ws_connect(self, url: Any, **given: Any) -> AioWebSocket:
        """A WebSocket, to be awaited or entered with `async with`."""
        at = urls.join(self._base, str(url)) if self._base else str(url)
        headers = {**self.headers, **(given.get("headers") or {})}
        protocols = tuple(given.get("protocols") or ())
        return AioWebSocket(self._session.websocket(at, protocols=protocols, headers=headers))

    async def close(self) -> None:
        """Nothing: connections belong to the load process."""
        self.closed = True

    async def _send(self, method: str, url: str, given: dict[str, Any]) -> AioResponse:
        merged: dict[str, Any] = {
            **given,
            "headers": {**self.headers, **(given.get("headers") or {})},
            "auth": given.get("auth") or self._settings.get("auth"),
            "timeout": given.get("timeout") or self._settings.get("timeout"),
        }
        if self._base:
            url = urls.join(self._base, url)
        asked = read_arguments(method, url, merged)
        await self._tell("sending_request", session=self, request=asked)
        try:
            response = await self._session.request(asked.method, asked.url, **asked.options)
        except ExchangeError as exc:
            kind = error_class("aiohttp", "ClientConnectionError", ExchangeError)
            if kind is ExchangeError:
                raise
            raise kind(exc.what) from exc
        answer = AioResponse(asked, response)
        await self._tell("response_received", session=self, response=answer, request=asked)
        return answer
