"""HTTP/2 against nghttpd, the server of the nghttp2 project."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import shutil
import socket
import struct
import subprocess
from collections.abc import Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import hpack
import pytest
import trustme

from chapiteau.load import ExchangeError
from chapiteau.load.engine.origin import ConnectionSettings
from tests.load.engine.test_session import session, tls, totals
from tests.load.protocols.test_http2 import frame
from tests.load.server import answer, serving
from tests.support import wait_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.load.server import Asked

NGHTTPD = shutil.which("nghttpd", path="/usr/sbin:/usr/bin:/usr/local/bin")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("twin"),
    pytest.mark.skipif(NGHTTPD is None, reason="nghttpd is not here (Debian: nghttp2-server)"),
]


@asynccontextmanager
async def nghttpd(folder: Path, *options: str) -> AsyncIterator[int]:
    (folder / "a").write_bytes(b"hello")
    (folder / "large").write_bytes(b"x" * 3_000_000)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(NGHTTPD), "-a", "127.0.0.1", "-d", str(folder), *options, str(port)]
    if "--no-tls" not in options:
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(folder / "ca.pem"))
        leaf = authority.issue_cert("127.0.0.1")
        leaf.private_key_pem.write_to_path(str(folder / "key.pem"))
        leaf.cert_chain_pems[0].write_to_path(str(folder / "cert.pem"))
        command += [str(folder / "key.pem"), str(folder / "cert.pem")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        await asyncio.to_thread(wait_for, lambda: listens(port))
        yield port
    finally:
        process.kill()
        process.wait()


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


async def test_many_requests_share_a_connection(tmp_path: Path) -> None:
    async with (
        nghttpd(tmp_path, "--no-tls", "--echo-upload") as port,
        session(f"http://127.0.0.1:{port}", settings=ConnectionSettings(http2=True)) as s,
    ):
        first = await s.get("/a")
        assert (first.status, first.text(), first.reason) == (200, "hello", "")
        assert first.headers["server"].startswith("nghttpd")
        found = await asyncio.gather(*(s.get("/a") for _ in range(200)))
        assert {r.text() for r in found} == {"hello"}
        assert len((await s.get("/large")).body) == 3_000_000
        sent = b"y" * 500_000
        assert (await s.post("/echo", data=sent)).body == sent
        assert (await s.get("/none")).status == 404
        assert (await s.head("/a")).status == 200
        assert 1 <= s._client.connections <= 3
        counted = totals(s)
    assert counted.rows["GET /a"].count == 201
    assert counted.rows["GET /none"].bad == 1


async def test_a_stream_at_a_time_is_a_connection_for_each(tmp_path: Path) -> None:
    async with (
        nghttpd(tmp_path, "--no-tls") as port,
        session(
            f"http://127.0.0.1:{port}", settings=ConnectionSettings(http2=True, streams=1)
        ) as s,
    ):
        await asyncio.gather(*(s.get("/a") for _ in range(5)))
        assert s._client.connections == 5


async def test_alpn_chooses_http2(tmp_path: Path) -> None:
    async with nghttpd(tmp_path) as port:
        settings = ConnectionSettings(http2=True, ca_file=str(tmp_path / "ca.pem"))
        async with session(f"https://127.0.0.1:{port}", settings=settings) as s:
            found = await asyncio.gather(*(s.get("/a") for _ in range(20)))
            assert {r.text() for r in found} == {"hello"}
            assert s._client.connections == 1


async def test_a_server_without_http2_is_spoken_to_in_http1(tmp_path: Path) -> None:
    async def ok(_asked: Asked) -> bytes:
        return answer()

    context, settings, _ = tls(tmp_path)
    settings = ConnectionSettings(http2=True, ca_file=settings.ca_file)
    async with serving(ok, context) as server, session(server.url, settings=settings) as s:
        found = await asyncio.gather(*(s.get("/") for _ in range(3)))
        assert {r.text() for r in found} == {"ok"}
        assert (await s.get("/")).text() == "ok"
    assert len(server.asked) == 4


async def test_cancelled_and_late_requests_leave_the_others_alone(tmp_path: Path) -> None:
    async with (
        nghttpd(tmp_path, "--no-tls") as port,
        session(f"http://127.0.0.1:{port}", settings=ConnectionSettings(http2=True)) as s,
    ):
        await s.get("/a")
        task: asyncio.Task[Any] = asyncio.ensure_future(s.get("/large"))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await s.get("/a")).text() == "hello"
        assert s._client.connections == 1


async def test_a_peer_that_speaks_something_else_is_told() -> None:
    async def odd(_asked: Asked) -> bytes:
        return b"HTTP/1.1 400 Bad Request\r\n\r\n" + b"x" * 20_000

    async with (
        serving(odd) as server,
        session(server.url, settings=ConnectionSettings(http2=True), timeout=5) as s,
    ):
        with pytest.raises(ExchangeError, match="answers in HTTP/1") as caught:
            await s.get("/")
    assert caught.value.kind == "no HTTP/2"


Act = Callable[[int, int, bytes], bytes]  # connection, stream, head → frames


@asynccontextmanager
async def peer(act: Act, settings: bytes = b"") -> AsyncIterator[str]:
    """A service of HTTP/2 whose every frame is the test's."""
    connections = itertools.count(1)

    clients: list[asyncio.Task[None] | None] = []

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        clients.append(asyncio.current_task())
        number = next(connections)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            await reader.readexactly(24)
            writer.write(frame(4, 0, 0, settings))
            while True:
                head = await reader.readexactly(9)
                body = await reader.readexactly(int.from_bytes(head[:3], "big"))
                data = act(number, int.from_bytes(head[5:], "big"), body) if head[3] == 1 else b""
                writer.write(data)
                if data[3:4] == b"\x07":  # GOAWAY
                    break
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(client, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        await asyncio.gather(*filter(None, clients))


def good(stream: int, *more: tuple[str, str]) -> bytes:
    block = hpack.Encoder().encode([(":status", "200"), *more])
    return frame(1, 4, stream, block) + frame(0, 1, stream, b"ok")


async def test_an_answer_has_a_time_to_begin() -> None:
    settings = ConnectionSettings(http2=True, first_byte_timeout=0.05)
    async with peer(lambda _c, _s, _b: b"") as url, session(url, settings=settings, timeout=9) as s:
        with pytest.raises(ExchangeError, match="waiting for the answer") as caught:
            await s.get("/")
        row = totals(s).rows["GET /"]
    assert caught.value.kind == "first byte timeout"
    assert row.failures == {"first byte timeout": 1}
    assert 50_000 <= row.latency.high < 5_000_000


async def test_an_answer_that_does_not_end_is_a_read_timeout() -> None:
    async with (
        peer(lambda _c, s, _b: good(s)[:-11]) as url,
        session(url, settings=ConnectionSettings(http2=True), timeout=0.5) as s,
    ):
        with pytest.raises(ExchangeError, match="reading the answer") as caught:
            await s.get("/")
    assert caught.value.kind == "read timeout"


async def test_a_body_that_the_peer_does_not_let_in_is_a_write_timeout() -> None:
    closed = struct.pack("!HI", 4, 0)  # a window of nothing
    async with (
        peer(lambda _c, _s, _b: b"", closed) as url,
        session(url, settings=ConnectionSettings(http2=True), timeout=0.2) as s,
    ):
        with pytest.raises(ExchangeError) as caught:
            await s.post("/", data=b"x" * 100_000)
    assert caught.value.kind == "write timeout"


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_service_that_takes_few_streams_loses_no_request(method: str) -> None:
    """What was sent before its settings came is refused, and goes out again."""
    open_now: dict[int, int] = {}

    def act(connection: int, stream: int, _body: bytes) -> bytes:
        open_now[connection] = open_now.get(connection, 0) + 1
        if open_now[connection] > 2 and stream < 41:
            return frame(3, 0, stream, struct.pack("!I", 7))
        return good(stream)

    few = struct.pack("!HI", 3, 2)
    async with peer(act, few) as url, session(url, settings=ConnectionSettings(http2=True)) as s:
        found = await asyncio.gather(*(s.request(method, "/") for _ in range(20)))
    assert {each.text() for each in found} == {"ok"}


async def test_a_service_that_refuses_all_is_told() -> None:
    def act(_connection: int, stream: int, _body: bytes) -> bytes:
        return frame(3, 0, stream, struct.pack("!I", 7))

    async with peer(act) as url, session(url, settings=ConnectionSettings(http2=True)) as s:
        with pytest.raises(ExchangeError) as caught:
            await s.get("/")
    assert caught.value.kind == "http2 REFUSED_STREAM"


async def test_why_the_service_ends_the_connection_is_told() -> None:
    def act(_connection: int, stream: int, _body: bytes) -> bytes:
        return frame(7, 0, 0, struct.pack("!II", stream, 11) + b"too many pings")

    async with peer(act) as url, session(url, settings=ConnectionSettings(http2=True)) as s:
        with pytest.raises(ExchangeError, match="too many pings") as caught:
            await s.get("/")
    assert caught.value.kind == "http2 ENHANCE_YOUR_CALM"


async def test_a_silent_peer_has_a_limit() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        async with session(url, settings=ConnectionSettings(http2=True), timeout=0.05) as s:
            with pytest.raises(ExchangeError, match="while waiting for the answer"):
                await s.get("/")
