"""One server for all that scenarios in the documentation ask for: HTTP, streams, TCP, UDP, gRPC."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import grpc
from aiohttp import WSMsgType, web

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

__all__ = ["everything"]


@contextmanager
def everything() -> Iterator[dict[str, str]]:
    """Where each of them listens, by the address that the documentation gives."""
    found: dict[str, str] = {}
    ready, loop = threading.Event(), asyncio.new_event_loop()
    ended = asyncio.Event()

    async def serve() -> None:
        async with contextlib.AsyncExitStack() as stack:
            found["http"] = await stack.enter_async_context(_http())
            found["127.0.0.1:6379"] = await stack.enter_async_context(_cache())
            found["127.0.0.1:53"] = await stack.enter_async_context(_names())
            found["127.0.0.1:50051"] = await stack.enter_async_context(_greeter())
            ready.set()
            await ended.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        assert ready.wait(60)
        yield found
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join()
        loop.close()


@contextlib.asynccontextmanager
async def _http() -> AsyncIterator[str]:
    async def plain(request: web.Request) -> web.Response:
        await request.read()
        if request.path == "/cities":
            return web.json_response([{"id": number} for number in range(10)])
        if (request.method, request.path) == ("GET", "/login"):
            form = '<form><input type="hidden" name="csrf" value="1"></form>'
            return web.Response(text=form, content_type="text/html")
        if request.path.startswith("/notes"):
            made = 201 if request.method == "POST" else 200
            return web.json_response(
                {"text": "milk"}, status=made, headers={"Location": "/notes/1"}
            )
        return web.json_response({"path": request.path}, headers={"Set-Cookie": "sid=1; Path=/"})

    async def chat(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(protocols=("chat",))
        await socket.prepare(request)
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                await socket.send_str("hello, too")
        return socket

    async def prices(request: web.Request) -> web.StreamResponse:
        stream = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await stream.prepare(request)
        for number in range(10):
            await stream.write(b"event: price\ndata: %d\n\n" % number)
        return stream

    app = web.Application()
    app.add_routes([web.get("/chat", chat), web.get("/prices", prices)])
    app.router.add_route("*", "/{any:.*}", plain)
    runner = web.AppRunner(app, shutdown_timeout=1.0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def _cache() -> AsyncIterator[str]:
    """GET of a cache that speaks as Redis does."""

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readline():
            writer.write(b"$4\r\npage\r\n")
        writer.close()

    server = await asyncio.start_server(client, "127.0.0.1", 0)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


class _Names(asyncio.DatagramProtocol):
    transport: asyncio.DatagramTransport

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.transport.sendto(data, addr)


@contextlib.asynccontextmanager
async def _names() -> AsyncIterator[str]:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(_Names, local_addr=("127.0.0.1", 0))
    try:
        yield f"127.0.0.1:{transport.get_extra_info('sockname')[1]}"
    finally:
        transport.close()


@contextlib.asynccontextmanager
async def _greeter() -> AsyncIterator[str]:
    async def say(request: bytes, _context: Any) -> bytes:
        return request

    handlers = {"Say": grpc.unary_unary_rpc_method_handler(say)}
    server = grpc.aio.server()
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("shop.Greeter", handlers),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)
