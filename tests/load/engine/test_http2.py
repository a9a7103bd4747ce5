"""HTTP/2 against nghttpd, the server of the nghttp2 project."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from chapiteau.load import ExchangeError
from chapiteau.load.engine.http.origin import Wiring
from tests.load.engine.server import answer, serving
from tests.load.engine.test_session import session, tls, totals
from tests.support import wait_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.load.engine.server import Asked

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
        session(f"http://127.0.0.1:{port}", wiring=Wiring(http2=True)) as s,
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
        session(f"http://127.0.0.1:{port}", wiring=Wiring(http2=True, streams=1)) as s,
    ):
        await asyncio.gather(*(s.get("/a") for _ in range(5)))
        assert s._client.connections == 5


async def test_alpn_chooses_http2(tmp_path: Path) -> None:
    async with nghttpd(tmp_path) as port:
        wiring = Wiring(http2=True, ca_file=str(tmp_path / "ca.pem"))
        async with session(f"https://127.0.0.1:{port}", wiring=wiring) as s:
            found = await asyncio.gather(*(s.get("/a") for _ in range(20)))
            assert {r.text() for r in found} == {"hello"}
            assert s._client.connections == 1


async def test_a_server_without_http2_is_spoken_to_in_http1(tmp_path: Path) -> None:
    async def ok(_asked: Asked) -> bytes:
        return answer()

    context, wiring, _ = tls(tmp_path)
    wiring = Wiring(http2=True, ca_file=wiring.ca_file)
    async with serving(ok, context) as server, session(server.url, wiring=wiring) as s:
        found = await asyncio.gather(*(s.get("/") for _ in range(3)))
        assert {r.text() for r in found} == {"ok"}
        assert (await s.get("/")).text() == "ok"
    assert len(server.asked) == 4


async def test_cancelled_and_late_requests_leave_the_others_alone(tmp_path: Path) -> None:
    async with (
        nghttpd(tmp_path, "--no-tls") as port,
        session(f"http://127.0.0.1:{port}", wiring=Wiring(http2=True)) as s,
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
        session(server.url, wiring=Wiring(http2=True), timeout=5) as s,
    ):
        with pytest.raises(ExchangeError, match="frame of"):
            await s.get("/")


async def test_a_silent_peer_has_a_limit() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        async with session(url, wiring=Wiring(http2=True), timeout=0.05) as s:
            with pytest.raises(ExchangeError, match="on an HTTP/2 stream"):
                await s.get("/")
