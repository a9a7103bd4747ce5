"""`session.ws_connect(…)` as aiohttp has it, over our own WebSocket."""

import asyncio
import json
from dataclasses import dataclass
from enum import IntEnum
from types import TracebackType
from typing import Any, Self

from chapiteau.load.engine.websocket import WebSocket

__all__ = ["AioWebSocket", "Kind", "Received"]


class Kind(IntEnum):
    """The numbers of aiohttp.WSMsgType."""

    TEXT = 1
    BINARY = 2
    CLOSED = 257


@dataclass(frozen=True, slots=True)
class Received:
    """aiohttp.WSMessage."""

    type: Kind
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

    async def send_str(self, data: str, **_more: Any) -> None:
        """Send text."""
        self._socket.send(data)

    async def send_bytes(self, data: bytes, **_more: Any) -> None:
        """Send bytes."""
        self._socket.send(data)

    async def send_json(self, data: Any, **_more: Any) -> None:
        """Send JSON."""
        self._socket.send(json.dumps(data))

    async def ping(self, *_message: Any) -> None:
        """Send a ping; here its answer is awaited, too."""
        await self._socket.ping()

    async def receive(self, timeout: float | None = None) -> Received:
        """The next message; one of kind CLOSED after the end. Raises TimeoutError."""
        if timeout is None:
            data = await self._socket.receive()
        else:
            async with asyncio.timeout(timeout):
                data = await self._socket.receive()
        if data is None:
            self.closed = True
            return Received(Kind.CLOSED, None)
        return Received(Kind.TEXT if isinstance(data, str) else Kind.BINARY, data)

    async def receive_str(self, timeout: float | None = None) -> str:
        """The next message, which must be text. Raises TypeError."""
        message = await self.receive(timeout)
        if not isinstance(message.data, str):
            raise TypeError(f"a message of kind {message.type.name}, not text")
        return message.data

    async def receive_bytes(self, timeout: float | None = None) -> bytes:
        """The next message, which must be bytes. Raises TypeError."""
        message = await self.receive(timeout)
        if not isinstance(message.data, bytes):
            raise TypeError(f"a message of kind {message.type.name}, not bytes")
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

    async def __anext__(self) -> Received:
        message = await self.receive()
        if message.type is Kind.CLOSED:
            raise StopAsyncIteration
        return message
