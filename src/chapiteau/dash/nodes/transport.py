"""Streams whose bytes go to the parser as soon as they arrive.

A StreamReader keeps them until a task wakes up; with a hundred nodes at the hub that costs as much
as understanding them.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from socket import socket
from typing import Any, Final

__all__ = ["PushReader", "dial", "serve"]

_BUFFER: Final = 16 << 10  # bytes: one TLS record

Connected = Callable[["PushReader", asyncio.StreamWriter], Awaitable[None]]


class PushReader(asyncio.StreamReader):
    """A StreamReader until `push_to` is called; then every piece goes there, in order."""

    _sink: Callable[[bytes], None] | None = None

    def push_to(self, sink: Callable[[bytes], None]) -> None:
        """Give `sink` what has arrived and all that follows. `read` then waits for the end."""
        waiting: bytearray = self._buffer  # type: ignore[attr-defined]
        data = bytes(waiting)
        waiting.clear()
        self._sink = sink
        if data:
            sink(data)

    def feed_data(self, data: Any) -> None:
        """As the transport calls it."""
        if self._sink is None:
            super().feed_data(data)
        else:
            self._sink(data)


class _Protocol(asyncio.StreamReaderProtocol, asyncio.BufferedProtocol):
    """TLS decrypts into our buffer: else asyncio takes 256 KiB of memory for each message."""

    def __init__(
        self, feed: PushReader, connected: Connected | None, loop: asyncio.AbstractEventLoop
    ) -> None:
        super().__init__(feed, connected, loop)  # type: ignore[arg-type]
        self._buffer_view = memoryview(bytearray(_BUFFER))

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the next bytes go."""
        return self._buffer_view

    def buffer_updated(self, nbytes: int) -> None:
        """They have arrived."""
        self.data_received(bytes(self._buffer_view[:nbytes]))


async def dial(
    host: str, port: int, context: ssl.SSLContext, name: str
) -> tuple[PushReader, asyncio.StreamWriter]:
    """asyncio.open_connection with a PushReader. Raises OSError, ssl.SSLError."""
    loop = asyncio.get_running_loop()
    feed = PushReader(loop=loop)
    protocol = _Protocol(feed, None, loop)
    transport, _ = await loop.create_connection(
        lambda: protocol, host, port, ssl=context, server_hostname=name
    )
    return feed, asyncio.StreamWriter(transport, protocol, feed, loop)


async def serve(
    connected: Connected, listener: socket, context: ssl.SSLContext, handshake: float
) -> asyncio.Server:
    """asyncio.start_server with PushReaders; `handshake`: seconds that one may take."""
    loop = asyncio.get_running_loop()

    def protocol() -> _Protocol:
        return _Protocol(PushReader(loop=loop), connected, loop)

    return await loop.create_server(
        protocol, sock=listener, ssl=context, ssl_handshake_timeout=handshake
    )
