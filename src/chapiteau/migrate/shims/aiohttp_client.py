"""aiohttp's client as scenarios of Molotov use it, over our own session."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Generator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from types import SimpleNamespace, TracebackType
from typing import Any, Self

from chapiteau.load.engine.response import Response
from chapiteau.load.engine.session import Session
from chapiteau.load.engine.websocket import WebSocket
from chapiteau.load.errors import ExchangeError
from chapiteau.load.protocols import urls
from chapiteau.migrate.shims.arguments import RequestArguments, read_arguments
from chapiteau.migrate.shims.responses import CaselessDict, HTTPError, error_class

__all__ = ["AioResponse", "AioSession", "AioWebSocket"]

Notify = Callable[..., Awaitable[None]]


class AioResponse:
    """aiohttp.ClientResponse, as far as scenarios use it; the body is there already."""

    def __init__(self, request: RequestArguments, response: Response) -> None:
        self.status = response.status
        self.reason = response.reason
        self.headers = CaselessDict(response.headers)
        self.method = request.method
        self.url = self.real_url = str(response.url)
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

    def close(self) -> None:
        """Nothing: the whole body is there."""

    release = close

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

    def __aiter__(self) -> Self:
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


def _verb(method: str) -> Callable[..., _Call]:
    def call(self: "AioSession", url: Any, **given: Any) -> _Call:
        return self.request(method, url, **given)

    return call


class AioSession:
    """aiohttp.ClientSession for one worker; other attributes are the scenario's own.

    `settings` are the keyword arguments that the scenario's set-up gives for it.
    """

    def __init__(
        self, session: Session, settings: Mapping[str, Any], notify: Notify, context: Any
    ) -> None:
        self.headers: dict[str, str] = dict(settings.get("headers") or {})
        self.closed = False
        self.context = context  # what molotov.get_context gives
        self.statsd = context.statsd  # where molotov had it before 2.0
        self.loop = None
        self._session = session
        self._settings = settings
        self._notify = notify
        self._base = str(settings.get("base_url") or "")
        for name, value in dict(settings.get("cookies") or {}).items():
            host = urls.parse(self._base or session.base).host
            session.cookies.set(name, str(value), host)

    def request(self, method: str, url: Any, **given: Any) -> _Call:
        """Any method."""
        return _Call(self._send(method, self._absolute(url), given))

    get, post, put, patch = _verb("GET"), _verb("POST"), _verb("PUT"), _verb("PATCH")
    delete, head, options = _verb("DELETE"), _verb("HEAD"), _verb("OPTIONS")

    def ws_connect(self, url: Any, **given: Any) -> "AioWebSocket":
        """A WebSocket, to be awaited or entered with `async with`."""
        headers = {**self.headers, **(given.get("headers") or {})}
        protocols = tuple(given.get("protocols") or ())
        at = self._absolute(url)
        return AioWebSocket(self._session.websocket(at, protocols=protocols, headers=headers))

    async def close(self) -> None:
        """Nothing: connections belong to the load process."""
        self.closed = True

    def _absolute(self, url: Any) -> str:
        return urls.join(self._base, str(url)) if self._base else str(url)

    async def _send(self, method: str, url: str, given: Mapping[str, Any]) -> AioResponse:
        merged: dict[str, object] = {
            **given,
            "headers": {**self.headers, **(given.get("headers") or {})},
            "auth": given.get("auth") or self._settings.get("auth"),
            "timeout": given.get("timeout") or self._settings.get("timeout"),
        }
        request = read_arguments(method, url, merged)
        await self._notify("sending_request", session=self, request=request)
        try:
            found = await self._session.request(request.method, request.url, **request.options)
        except ExchangeError as exc:
            kind = error_class("aiohttp", "ClientConnectionError", ExchangeError)
            if kind is ExchangeError:
                raise
            raise kind(exc.what) from exc
        response = AioResponse(request, found)
        await self._notify("response_received", session=self, response=response, request=request)
        return response


class _MessageType(IntEnum):
    """The numbers of aiohttp.WSMsgType."""

    TEXT = 1
    BINARY = 2
    CLOSED = 257


@dataclass(frozen=True, slots=True)
class _Message:
    """aiohttp.WSMessage."""

    type: _MessageType
    data: Any
    extra: str = ""

    def json(self, **_options: Any) -> Any:
        """The text as JSON."""
        return json.loads(self.data)


class AioWebSocket:
    """aiohttp.ClientWebSocketResponse, as far as scenarios use it."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket
        self.closed = False

    def __await__(self) -> Any:
        return self.__aenter__().__await__()

    async def __aenter__(self) -> Self:
        await self._socket.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.closed = True
        await self._socket.__aexit__(kind, error, at)

    @property
    def close_code(self) -> int | None:
        """What the peer has closed with."""
        return self._socket.close_code or None

    async def send_str(self, data: str | bytes, **_more: Any) -> None:
        """Send text."""
        self._socket.send(data)

    send_bytes = send_str

    async def send_json(self, data: Any, **_more: Any) -> None:
        """Send JSON."""
        self._socket.send(json.dumps(data))

    async def ping(self, *_message: Any) -> None:
        """Send a ping; here its answer is awaited, too."""
        await self._socket.ping()

    async def receive(self, timeout: float | None = None) -> _Message:
        """The next message; one of type CLOSED after the end. Raises TimeoutError."""
        async with asyncio.timeout(timeout):
            data = await self._socket.receive()
        if data is None:
            self.closed = True
            return _Message(_MessageType.CLOSED, None)
        return _Message(_MessageType.TEXT if isinstance(data, str) else _MessageType.BINARY, data)

    async def receive_str(self, timeout: float | None = None) -> str:
        """The next message, which must be text. Raises TypeError."""
        message = await self.receive(timeout)
        if not isinstance(message.data, str):
            raise TypeError(f"a message of type {message.type.name}, not text")
        return message.data

    async def receive_bytes(self, timeout: float | None = None) -> bytes:
        """The next message, which must be bytes. Raises TypeError."""
        message = await self.receive(timeout)
        if not isinstance(message.data, bytes):
            raise TypeError(f"a message of type {message.type.name}, not bytes")
        return message.data

    async def receive_json(self, timeout: float | None = None) -> Any:
        """The next message as JSON."""
        return json.loads(await self.receive_str(timeout))

    async def close(self, **_more: Any) -> bool:
        """Close it."""
        if not self.closed:
            await self.__aexit__(None, None, None)
        return True

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> _Message:
        message = await self.receive()
        if message.type is _MessageType.CLOSED:
            raise StopAsyncIteration
        return message
