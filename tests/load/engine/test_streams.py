"""WebSocket and server-sent events against a server of others (aiohttp)."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import WSMsgType, web

from chapiteau.load import ExchangeError
from chapiteau.load.engine.origin import ConnectionSettings
from chapiteau.load.protocols.server_sent_events import Event
from tests.load.engine.test_session import session, tls, totals

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("twin")]


@asynccontextmanager
async def served(context: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_get("/echo", echo)
    app.router.add_get("/events", events)
    app.router.add_get("/none", none)
    app.router.add_get("/plain", plain)
    app.router.add_get("/moved", moved)
    app.router.add_get("/private", private)
    app.router.add_get("/around", around)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    port = runner.addresses[0][1]
    try:
        yield f"{'https' if context else 'http'}://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


async def echo(request: web.Request) -> web.WebSocketResponse:
    ws = web.WebSocketResponse(protocols=("chat",))
    await ws.prepare(request)
    async for message in ws:
        if message.data == "close":
            await ws.close(code=4001, message=b"enough")
        elif message.data == "who":
            await ws.send_str(request.headers.get("X-Who", "") + request.cookies.get("c", ""))
        elif message.data == "three":
            for n in range(3):
                await ws.send_str(str(n))
            await ws.close()
        elif message.data == "vanish" and request.transport is not None:
            request.transport.abort()
        elif message.type == WSMsgType.TEXT:
            await ws.send_str(message.data)
        elif message.type == WSMsgType.BINARY:
            await ws.send_bytes(message.data)
    return ws


async def events(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
    await response.prepare(request)
    for n in range(3):
        await response.write(b"event: tick\nid: %d\ndata: %d\n\n" % (n, n))
    if request.query.get("hang"):
        await asyncio.Event().wait()
    return response


async def moved(_request: web.Request) -> web.Response:
    gone = web.HTTPTemporaryRedirect("/private")
    gone.set_cookie("c", "yes")
    raise gone


async def private(request: web.Request) -> web.StreamResponse:
    if request.headers.get("X-Who") != "me" or request.cookies.get("c") != "yes":
        return web.Response(status=403)
    return await events(request)


async def around(_request: web.Request) -> web.Response:
    raise web.HTTPFound("/around")


async def plain(_request: web.Request) -> web.Response:
    return web.Response(text="just text")


async def none(_request: web.Request) -> web.Response:
    return web.Response(status=403, text="no")


@pytest.mark.parametrize("compress", [False, True])
async def test_messages_go_both_ways_and_are_counted(compress: bool) -> None:
    async with served() as url, session(url) as s:
        s.headers["X-Who"] = "me"
        s.cookies.set("c", "d", "127.0.0.1")
        async with s.websocket("/echo", protocols=("chat",), compress=compress) as ws:
            assert ws.protocol == "chat"
            assert await ws.ask("häh" * 1000) == "häh" * 1000
            assert await ws.ask(b"\0" * 200_000) == b"\0" * 200_000
            assert await ws.ask("who", name="who") == "med"
            assert await ws.ping() > 0
            ws.send("three")
            assert [message async for message in ws] == ["0", "1", "2"]
            assert ws.close_code == 1000
        counted = totals(s)
    rows = {name: row.count for name, row in counted.rows.items()}
    assert rows == {"WS /echo": 1, "WS /echo ask": 2, "WS /echo ping": 1, "who": 1}
    assert counted.bad == 0
    assert counted.metrics["websocket messages sent"].value == 4
    assert counted.metrics["websocket messages received"].value == 6
    assert counted.rows["WS /echo"].received > 200_000


async def test_tls_and_a_full_address(tmp_path: Path) -> None:
    context, settings, _ = tls(tmp_path)
    async with served(context) as url, session("", settings=settings) as s:
        async with s.websocket(url.replace("https", "wss") + "/echo", name="chat") as ws:
            assert await ws.ask("x" * 100_000) == "x" * 100_000
        async with s.events(f"{url}/events") as stream:
            assert (await stream.next()) == Event("tick", "0", "0")
        assert set(totals(s).rows) == {"chat", "chat ask", "SSE /events"}


async def test_a_close_with_a_bad_code_is_a_failure() -> None:
    async with served() as url, session(url) as s:
        async with s.websocket("/echo") as ws:
            with pytest.raises(ExchangeError, match="4001 enough") as caught:
                await ws.ask("close")
            assert (ws.close_code, ws.close_reason) == (4001, "enough")
            with pytest.raises(ExchangeError):
                ws.send("more")
        counted = totals(s)
    assert caught.value.kind == "websocket 4001"
    assert counted.rows["WS /echo ask"].failures == {"websocket 4001": 1}


async def test_a_connection_that_breaks_is_a_failure() -> None:
    async with served() as url, session(url) as s, s.websocket("/echo") as ws:
        with pytest.raises(ExchangeError) as caught:
            await ws.ask("vanish")
    assert caught.value.kind == "closed early"


async def test_a_refused_handshake_is_a_failure() -> None:
    async with served() as url, session(url) as s:
        for opening in (s.websocket("/none"), s.events("/none")):
            with pytest.raises(ExchangeError, match="status 403"):
                async with opening:
                    raise AssertionError("it opened")
        with pytest.raises(ExchangeError, match="not a stream"):
            async with s.events("/plain"):
                pass
        counted = totals(s)
    assert counted.rows["WS /none"].failures == {"status 403": 1}
    assert counted.rows["SSE /plain"].failures == {"no events": 1}


async def test_silence_has_a_limit() -> None:
    async with served() as url, session(url) as s:
        async with s.websocket("/echo") as ws:
            with pytest.raises(ExchangeError, match="no message came"):
                await ws.receive(timeout=0.01)
            assert await ws.ask("still there") == "still there"
        async with s.events("/events?hang=1") as stream:
            assert [(await stream.next()) for _ in range(3)][2] == Event("tick", "2", "2")
            with pytest.raises(ExchangeError, match="no event came"):
                await stream.next(timeout=0.01)
        assert s._client.connections == 0


async def test_events_come_and_the_stream_ends() -> None:
    async with served() as url, session(url) as s:
        async with s.events("/events") as stream:
            found = [event async for event in stream]
        counted = totals(s)
    assert found == [Event("tick", str(n), str(n)) for n in range(3)]
    assert counted.rows["SSE /events"].count == 1
    assert counted.metrics["events received"].value == 3
    assert counted.metrics["seconds between events"].values.count == 3


async def test_an_opening_goes_where_answers_point_to() -> None:
    """With the session's headers and cookies, and as one request."""
    async with served() as url, session(url) as s:
        s.headers["X-Who"] = "me"
        async with s.events("/moved") as stream:
            found = [event async for event in stream]
        with pytest.raises(ExchangeError, match="more than 10 redirects"):
            async with s.events("/around"):
                pass
        counted = totals(s)
        assert s._client.connections == 0
    assert len(found) == 3
    assert {name: (row.count, row.bad) for name, row in counted.rows.items()} == {
        "SSE /moved": (1, 0),
        "SSE /around": (1, 1),
    }


async def test_nobody_there_and_no_answer_are_failures_of_the_opening() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        async with session("") as s:
            with pytest.raises(ExchangeError, match="not opened in time"):
                async with s.websocket(f"ws://127.0.0.1:{silent.getsockname()[1]}/", timeout=0.05):
                    pass
    async with session("http://nowhere.invalid", allowed=lambda _h: True) as other:
        with pytest.raises(ExchangeError, match="nowhere"):
            async with other.events("/"):
                pass
    settings = ConnectionSettings(resolve=(("shop.test", "127.0.0.1"),))
    async with (
        served() as url,
        session("", settings=settings, allowed=lambda _h: True) as s,
        s.websocket(url.replace("127.0.0.1", "shop.test") + "/echo") as ws,
    ):
        assert await ws.ask("a") == "a"


async def test_a_name_that_is_never_found_is_waited_for_no_longer_than_an_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def never(*_args: object, **_more: object) -> list[object]:
        await asyncio.Event().wait()
        return []

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", never)
    async with session("http://somewhere.test", allowed=lambda _host: True) as s:
        with pytest.raises(ExchangeError, match="not opened in time"):
            async with s.events("/", timeout=0.02):
                pass
        assert totals(s).rows["SSE /"].failures == {"timeout": 1}


async def test_a_cancelled_scenario_leaves_no_connection() -> None:
    async with served() as url, session(url) as s:
        opened = asyncio.Event()

        async def listen() -> Any:
            async with s.websocket("/echo") as ws:
                opened.set()
                await ws.receive()

        task = asyncio.create_task(listen())
        await opened.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert s._client.connections == 0
