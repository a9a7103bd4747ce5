"""A small blocking WebSocket client (RFC 6455) for scenarios that were written for ws4py."""

import base64
import contextlib
import hashlib
import os
import queue
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from typing import Any, Final

from chapiteau.load.errors import ScenarioError, TargetNotAllowedError
from chapiteau.load.protocols import urls

__all__ = ["Message", "WebSocket"]

_GUID: Final = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_TEXT, _BINARY, _CLOSE, _PING, _PONG = 1, 2, 8, 9, 10
_MOST: Final = 64 << 20  # bytes in one message
_TIME: Final = 30.0


class Message:
    """What came: `data` in bytes, `text` when it is text."""

    def __init__(self, data: bytes, *, is_text: bool) -> None:
        self.data = data
        self.is_text = is_text

    def __str__(self) -> str:
        return self.data.decode("utf-8", "replace")

    def __bytes__(self) -> bytes:
        return self.data


class WebSocket:
    """An open connection. A thread reads; `callback` gets each message, and so does `receive`."""

    def __init__(
        self,
        url: str,
        *,
        protocols: tuple[str, ...] = (),
        callback: Callable[[Message], Any] | None = None,
        allowed: Callable[[str], bool] = urls.is_loopback,
        tell: Callable[[str, float], None] = lambda _name, _value: None,
    ) -> None:
        """Raises TargetNotAllowedError, ScenarioError when the server does not agree, OSError."""
        at = urls.parse("http" + url[2:] if url.startswith("ws") else url)
        if not allowed(at.host):
            raise TargetNotAllowedError(
                f"{at.host} is not this machine, and may be somebody else's",
                hint=f"if you may put load on it: --allow {at.host}",
            )
        self.error: Exception | None = None
        self._tell = tell
        self._callback = callback
        self._messages: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._sending = threading.Lock()
        self._closed = False
        self._socket = socket.create_connection((at.host, at.port), timeout=_TIME)
        if at.scheme == "https":
            context = ssl.create_default_context()
            self._socket = context.wrap_socket(self._socket, server_hostname=at.host)
        self._stream = self._socket.makefile("rb")
        self._shake_hands(at, protocols)
        self._socket.settimeout(None)  # silence is allowed from here on
        tell("websockets opened", 1)
        self._reader = threading.Thread(target=self._read, name="websocket", daemon=True)
        self._reader.start()

    def send(self, data: str | bytes, binary: bool | None = None) -> None:
        """Send a message: text for a str, binary for bytes unless told otherwise."""
        is_text = isinstance(data, str) if binary is None else not binary
        self._frame(_TEXT if is_text else _BINARY, data.encode() if isinstance(data, str) else data)

    def receive(self, block: bool = True, timeout: float = _TIME) -> Message | None:
        """The next message; None when the connection is closed or nothing came in time."""
        try:
            return self._messages.get(block, timeout)
        except queue.Empty:
            return None

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Say good-bye and close."""
        if not self._closed:
            with contextlib.suppress(OSError):  # the other side was quicker
                self._frame(_CLOSE, struct.pack("!H", code) + reason.encode())
            self._reader.join(2.0)
        self._shut()

    def _shake_hands(self, at: urls.Address, protocols: tuple[str, ...]) -> None:
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [
            f"GET {at.path} HTTP/1.1",
            f"Host: {at.netloc}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {key}",
            "Sec-WebSocket-Version: 13",
            *([f"Sec-WebSocket-Protocol: {', '.join(protocols)}"] if protocols else []),
        ]
        self._socket.sendall("\r\n".join([*lines, "", ""]).encode())
        status = self._stream.readline(8192).decode("latin-1").strip()
        fields: dict[str, str] = {}
        while line := self._stream.readline(8192).strip():
            name, _, value = line.decode("latin-1").partition(":")
            fields[name.strip().lower()] = value.strip()
        wanted = base64.b64encode(hashlib.sha1((key + _GUID).encode()).digest()).decode()  # noqa: S324
        if " 101" not in status or fields.get("sec-websocket-accept") != wanted:
            self._shut()
            raise ScenarioError(f"{at}: no WebSocket there ({status or 'no answer'})")

    def _frame(self, kind: int, data: bytes) -> None:
        size = len(data)
        if size < 126:
            head = struct.pack("!BB", 0x80 | kind, 0x80 | size)
        elif size < 1 << 16:
            head = struct.pack("!BBH", 0x80 | kind, 0x80 | 126, size)
        else:
            head = struct.pack("!BBQ", 0x80 | kind, 0x80 | 127, size)
        mask = os.urandom(4)
        stretched = (mask * (size // 4 + 1))[:size]
        masked = int.from_bytes(data, "big") ^ int.from_bytes(stretched, "big")
        with self._sending:
            self._socket.sendall(head + mask + masked.to_bytes(size, "big"))

    def _read(self) -> None:
        try:
            self._read_messages()
        except (OSError, ValueError, struct.error):
            pass  # closed, by either side
        except Exception as exc:  # noqa: BLE001 — a callback's: raised when the test ends
            self.error = exc
        finally:
            self._closed = True
            self._messages.put(None)
            self._tell("websockets closed", 1)

    def _read_messages(self) -> None:
        kind, parts = 0, b""
        while True:
            first, second = self._exactly(2)
            size = second & 0x7F
            if size >= 126:
                size = int.from_bytes(self._exactly(2 if size == 126 else 8), "big")
            if size + len(parts) > _MOST:
                raise ValueError("the message is too long")
            data = self._exactly(size)
            code = first & 0x0F
            if code == _PING:
                self._frame(_PONG, data)
            elif code == _CLOSE:
                self._frame(_CLOSE, data)
                return
            elif code != _PONG:
                kind, parts = code or kind, parts + data
                if first & 0x80:
                    self._arrived(Message(parts, is_text=kind == _TEXT))
                    parts = b""

    def _exactly(self, size: int) -> bytes:
        data = self._stream.read(size)
        if len(data) < size:
            raise OSError("the connection is closed")
        return data

    def _arrived(self, message: Message) -> None:
        self._tell("websocket messages", 1)
        self._tell("websocket bytes", len(message.data))
        self._messages.put(message)
        if self._callback is not None:
            self._callback(message)

    def _shut(self) -> None:
        self._closed = True
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
