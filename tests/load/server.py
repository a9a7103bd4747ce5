"""A server for tests whose every byte is the test's: a handler gets requests, gives raw bytes."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

Handler = Callable[["Asked"], Awaitable[bytes | None]]


@dataclass
class Asked:
    """A request as it came in."""

    method: str
    path: str
    head: str
    body: bytes
    connection: int  # number of the connection
    number: int  # number of the request on it


@dataclass
class Server:
    """What the test may look at."""

    url: str = ""
    port: int = 0
    connections: int = 0
    closed: int = 0
    resumed: int = 0  # TLS sessions
    asked: list[Asked] = field(default_factory=list)


def answer(body: bytes = b"ok", status: str = "200 OK", *fields: str) -> bytes:
    """A plain answer with a length."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *fields, "", ""]
    return "\r\n".join(lines).encode() + body


@asynccontextmanager
async def serving(
    handler: Handler,
    context: ssl.SSLContext | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
) -> AsyncIterator[Server]:
    """Serve on a free port; the handler's None closes the connection without a word."""
    state = Server()
    writers: list[asyncio.StreamWriter] = []

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        state.connections += 1
        me, count = state.connections, 0
        writers.append(writer)
        secure = writer.get_extra_info("ssl_object")
        state.resumed += bool(secure and secure.session_reused)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                length = next(
                    (int(line.split(":")[1]) for line in head.lower().split("\r\n")
                     if line.startswith("content-length:")), 0,
                )  # fmt: skip
                body = await reader.readexactly(length)
                count += 1
                method, path, _ = head.split(" ", 2)
                asked = Asked(method, path, head, body, me, count)
                state.asked.append(asked)
                data = await handler(asked)
                if data is None:
                    return
                writer.write(data)
                await writer.drain()
                if b"X-Then-Close" in data:
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            state.closed += 1
            writer.close()

    server = await asyncio.start_server(client, host, port, ssl=context, limit=1 << 24)
    state.port = server.sockets[0].getsockname()[1]
    state.url = f"{'https' if context else 'http'}://{host}:{state.port}"
    try:
        yield state
    finally:
        server.close()
        for writer in writers:
            writer.close()
        await asyncio.sleep(0)
