"""WebSocket (RFC 6455) in a scenario: each message timed and counted."""

import asyncio
import base64
import os
from typing import Any, Final, Self

from chapiteau.load.engine.slow_path import SlowPath
from chapiteau.load.engine.stream_connection import ResponseHead, StreamConnection
from chapiteau.load.errors import BadResponseError, ExchangeError
from chapiteau.load.protocols.websocket_frames import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    Deflate,
    Frames,
    Message,
    ProtocolError,
    accept_key,
    close_payload,
    encode_frame,
    parse_deflate,
)

__all__ = ["WebSocket"]

_GOOD_CLOSES: Final = frozenset({1000, 1001, 1005})
_FAREWELL: Final = 2.0  # seconds for the peer's answer to our close


class _Socket(StreamConnection[Message]):
    """The connection below."""

    def __init__(self, *args: Any, key: str, packed: bool) -> None:
        super().__init__(*args)
        self.protocol = ""
        self.close_code = 0  # what the peer has closed with; 1005: without a code
        self.close_reason = ""
        self.pongs: list[bytes] = []
        self.deflate: Deflate | None = None
        self.closing = False
        self._key = key
        self._packed = packed
        self._frames = Frames()

    def agreed(self, head: ResponseHead) -> None:
        """101 with the right key, or a refusal."""
        if head.status != 101:
            raise ExchangeError(f"status {head.status}", f"no WebSocket: status {head.status}")
        if head.headers.get("sec-websocket-accept") != accept_key(self._key):
            raise BadResponseError("the WebSocket handshake's key is not the right one")
        extensions = head.headers.get("sec-websocket-extensions")
        if extensions and not self._packed:
            raise BadResponseError(f"an extension that nobody asked for: {extensions[:80]!r}")
        self.deflate = parse_deflate(extensions)
        self.protocol = head.headers.get("sec-websocket-protocol")
        self._frames = Frames(self.deflate)

    def came(self, data: bytes) -> None:
        """Frames."""
        for message in self._frames.feed(data):
            if message.kind == PING:
                self.say(PONG, message.data)
            elif message.kind == PONG:
                self.pongs.append(message.data)
            elif message.kind == CLOSE:
                self._closed(message.data)
                return
            else:
                self.put(message)

    def _closed(self, payload: bytes) -> None:
        self.close_code = int.from_bytes(payload[:2], "big") if payload else 1005
        self.close_reason = payload[2:].decode("utf-8", "replace")
        self.farewell(payload[:2])
        bad = self.close_code not in _GOOD_CLOSES
        what = f"closed with {self.close_code} {self.close_reason}".strip()
        self.end(ExchangeError(f"websocket {self.close_code}", what) if bad else None)

    def refuse(self, error: ExchangeError) -> None:
        """Say why, as the protocol wants it."""
        if isinstance(error, ProtocolError):
            self.farewell(close_payload(error.code))
        self.end(error)

    def lost(self, error: ExchangeError) -> None:
        """After a close of ours, the end of the connection is no trouble."""
        if self.closing:
            self.over = True
        super().lost(error)

    def farewell(self, payload: bytes) -> None:
        """Send a close frame, once."""
        if not self.closing:
            self.closing = True
            self.say(CLOSE, payload)

    def say(self, kind: int, data: bytes) -> None:
        """Send a frame."""
        packed = kind in {TEXT, BINARY} and self.deflate is not None
        if packed and self.deflate is not None:
            data = self.deflate.pack(data)
        self.emit(encode_frame(kind, data, os.urandom(4), packed=packed))

    async def changed(self) -> None:
        """Something has come, or it has ended."""
        await self._change.wait()


class WebSocket:
    """An open WebSocket: `async with session.websocket("/chat") as ws`.

    The handshake is a row of the report; `ask` and `ping` are rows of their own. Messages are
    counted as "websocket messages sent" and "… received". `close_code` is the peer's.
    """

    def __init__(
        self,
        slow_path: SlowPath,
        url: str,
        *,
        protocols: tuple[str, ...],
        headers: dict[str, str],
        compress: bool,
        name: str,
        timeout: float | None,
    ) -> None:
        key = base64.b64encode(os.urandom(16)).decode()
        fields = {
            **headers,
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Key": key,
            "Sec-WebSocket-Version": "13",
        }
        if protocols:
            fields["Sec-WebSocket-Protocol"] = ", ".join(protocols)
        if compress:
            fields["Sec-WebSocket-Extensions"] = "permessage-deflate"
        if url.startswith(("ws://", "wss://")):
            url = "http" + url.removeprefix("ws")
        self._slow_path = slow_path
        self._prepared = slow_path.opening(url, fields, "WS", name, timeout)
        self._row = self._prepared.row.name
        self._line = _Socket(
            self._prepared, slow_path.with_session_headers(self._prepared), key=key, packed=compress
        )

    # ── opening and closing ───────────────────────────────────────────────────────────────────
    async def __aenter__(self) -> Self:
        await self._slow_path.timed(self._row, self._line.connect())
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_exc: object) -> None:
        if kind is not None and issubclass(kind, asyncio.CancelledError):
            self._line.end()
            return
        await self.close()

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Say good-bye, and wait two seconds at most for the peer to do the same."""
        line = self._line
        if not line.over and not line.closing:
            line.farewell(close_payload(code, reason))
            try:
                async with asyncio.timeout(_FAREWELL):
                    while not line.over:
                        await line.changed()
            except TimeoutError:
                pass
        line.end()

    # ── messages ──────────────────────────────────────────────────────────────────────────────
    def send(self, message: str | bytes) -> None:
        """Send text or bytes. Raises ExchangeError when the connection has ended."""
        line = self._line
        if line.over or line.closing:
            raise line.error or ExchangeError("websocket closed", "the WebSocket is closed")
        text = isinstance(message, str)
        data = message.encode() if isinstance(message, str) else message
        line.say(TEXT if text else BINARY, data)
        self._slow_path.counter("websocket messages sent")

    async def receive(self, timeout: float | None = None) -> str | bytes | None:
        """The next message; None when the peer has closed. Raises ExchangeError, after `timeout`
        seconds too."""
        message = await self._slow_path.within(
            timeout, self._line.item(), "no message came in time"
        )
        if message is None:
            return None
        self._slow_path.counter("websocket messages received")
        self._prepared.row.add_received(len(message.data))
        return message.data.decode() if message.kind == TEXT else message.data

    async def ask(
        self, message: str | bytes, *, name: str = "", timeout: float | None = None
    ) -> str | bytes:
        """Send a message and wait for the next one: a request in the report, "WS … ask".

        Raises ExchangeError when the connection ends instead.
        """

        async def exchange() -> str | bytes:
            self.send(message)
            answer = await self.receive(timeout)
            if answer is None:
                raise ExchangeError("websocket closed", "closed instead of an answer")
            return answer

        return await self._slow_path.timed(name or f"{self._row} ask", exchange())

    async def ping(self, timeout: float | None = None) -> float:
        """Seconds until the peer's pong: a request in the report, "WS … ping"."""
        line, data = self._line, os.urandom(4)
        now = self._slow_path.now

        async def pong() -> None:
            while data not in line.pongs:
                if line.over:
                    raise line.error or ExchangeError("websocket closed", "closed before a pong")
                await line.changed()
            line.pongs.clear()

        begun = now()
        line.say(PING, data)
        limited = self._slow_path.within(timeout, pong(), "no pong came in time")
        await self._slow_path.timed(f"{self._row} ping", limited)
        return now() - begun

    async def __aiter__(self) -> Any:
        while (message := await self.receive()) is not None:
            yield message

    @property
    def protocol(self) -> str:
        """The subprotocol that the service has chosen."""
        return self._line.protocol

    @property
    def close_code(self) -> int:
        """What the peer has closed with: 0 while it has not, 1005 without a code."""
        return self._line.close_code

    @property
    def close_reason(self) -> str:
        """The peer's words to its close."""
        return self._line.close_reason
