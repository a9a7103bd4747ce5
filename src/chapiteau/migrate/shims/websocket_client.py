"""ws4py's blocking WebSocket, as Loads' test cases have it, over the engine's own."""

import contextlib
import queue
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError
from typing import Any, Final

from chapiteau.load.engine.websocket import WebSocket
from chapiteau.load.errors import ExchangeError
from chapiteau.migrate.shims.blocking import BlockingSession, Cut

__all__ = ["Message", "WebSocketClient"]

_TIMEOUT: Final = 30.0


class Message:
    """What came: `data` in bytes, and whether it is text."""

    def __init__(self, data: str | bytes) -> None:
        self.is_text = isinstance(data, str)
        self.data = data.encode() if isinstance(data, str) else data

    def __str__(self) -> str:
        return self.data.decode("utf-8", "replace")

    def __bytes__(self) -> bytes:
        return self.data


class WebSocketClient:
    """An open connection. A thread reads; `callback` gets each message, and so does `receive`.

    `error` is what the callback has raised.
    """

    def __init__(
        self,
        blocking: BlockingSession,
        url: str,
        *,
        protocols: tuple[str, ...] = (),
        callback: Callable[[Message], Any] | None = None,
    ) -> None:
        """Raises TargetNotAllowedError, ExchangeError when there is no WebSocket."""
        self.error: Exception | None = None
        self._blocking = blocking
        self._callback = callback
        self._messages: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._closed = False
        self._socket = blocking.wait(self._open, url, protocols)
        self._count("websockets opened", 1)
        self._reader = threading.Thread(target=self._read, name="websocket", daemon=True)
        self._reader.start()

    async def _open(self, url: str, protocols: tuple[str, ...]) -> WebSocket:
        socket = self._blocking.session.websocket(url, protocols=protocols)
        return await socket.__aenter__()

    def send(self, data: str | bytes, binary: bool | None = None) -> None:
        """Send a message: text for a str, binary for bytes unless told otherwise."""
        if binary and isinstance(data, str):
            data = data.encode()
        elif binary is False and isinstance(data, bytes):
            data = data.decode()
        self._blocking.wait(self._send, data)

    async def _send(self, data: str | bytes) -> None:
        self._socket.send(data)

    def receive(self, block: bool = True, timeout: float = _TIMEOUT) -> Message | None:
        """The next message; None when the connection is closed or nothing came in time."""
        try:
            return self._messages.get(block, timeout)
        except queue.Empty:
            return None

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Say good-bye and close."""
        if not self._closed:
            with contextlib.suppress(ExchangeError):  # the other side was quicker
                self._blocking.wait(self._socket.close, code, reason)
            self._reader.join(2.0)

    def _read(self) -> None:
        try:
            while (data := self._blocking.wait(self._socket.receive)) is not None:
                message = Message(data)
                self._count("websocket bytes", len(message.data))
                self._messages.put(message)
                if self._callback is not None:
                    self._callback(message)
        except (ExchangeError, Cut, CancelledError):
            pass  # closed, by either side
        except Exception as exc:  # noqa: BLE001 — a callback's: raised when the test ends
            self.error = exc
        finally:
            self._closed = True
            self._messages.put(None)
            self._count("websockets closed", 1)

    def _count(self, name: str, value: float) -> None:
        with contextlib.suppress(RuntimeError):  # the run is over
            self._blocking.call(self._blocking.session.counter, name, value)
