"""Protocols of one's own, and other libraries, with our timing."""

from __future__ import annotations

import asyncio
import enum
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from chapiteau.core.errors import UsageError
from chapiteau.load import ExchangeError
from chapiteau.load.errors import TargetNotAllowedError
from tests.load.engine.test_session import session, tls, totals

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("twin")]


@asynccontextmanager
async def lines(context: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """Answers each line with itself in capitals; "bye" ends."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while (line := await reader.readline()) not in {b"", b"bye\n"}:
            if line != b"hush\n":
                writer.write(line.upper())
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def test_a_protocol_of_lines(tmp_path: Path) -> None:
    context, settings, _ = tls(tmp_path)
    for secure in (None, context):
        async with lines(secure) as at, session("", settings=settings) as s:
            async with s.tcp(at, tls=secure is not None, name="open") as line:

                async def shout(text: bytes) -> bytes:
                    line.send(text + b"\n")
                    return await line.read_until(b"\n", timeout=5)

                assert await s.timed("shout", shout(b"a")) == b"A\n"
                line.send(b"bc\nde\n")
                assert await line.read(1) == b"B"
                assert await line.read(5) == b"C\nDE\n"
                with pytest.raises(ExchangeError, match="in time") as late:
                    await s.timed("hush", line.read(1, timeout=0.01))
                with pytest.raises(ExchangeError) as gone:
                    await s.timed("bye", shout(b"bye"))
                with pytest.raises(ExchangeError):
                    line.send(b"x")
            counted = totals(s)
            assert s._client.connections == 0
        assert (late.value.kind, gone.value.kind) == ("timeout", "closed early")
        assert {name: row.bad for name, row in counted.rows.items()} == {
            "open": 0, "shout": 0, "hush": 1, "bye": 1,
        }  # fmt: skip


async def test_datagrams() -> None:
    loop = asyncio.get_running_loop()

    class Echo(asyncio.DatagramProtocol):
        def connection_made(self, transport: Any) -> None:
            self.transport = transport

        def datagram_received(self, data: bytes, addr: Any) -> None:
            if data != b"hush":
                self.transport.sendto(data.upper(), addr)

    transport, _ = await loop.create_datagram_endpoint(Echo, ("127.0.0.1", 0))
    port = transport.get_extra_info("sockname")[1]
    async with session("") as s, s.udp(f"127.0.0.1:{port}", name="dns") as peer:
        assert await peer.ask(b"a") == b"A"
        with pytest.raises(ExchangeError, match="no datagram"):
            await peer.ask(b"hush", timeout=0.01)
        transport.close()
        await asyncio.sleep(0)
        with pytest.raises(ExchangeError) as refused:
            await peer.ask(b"a")
        counted = totals(s)
    assert refused.value.kind == "connection refused"
    assert counted.rows["dns"].failures == {"timeout": 1, "connection refused": 1}
    assert counted.rows["dns"].count == 3


async def test_another_librarys_work_and_its_errors_are_counted() -> None:
    class Status(enum.Enum):
        UNAVAILABLE = 14

    class RpcError(Exception):
        def code(self) -> Status:
            return Status.UNAVAILABLE

    async def work(error: Exception | None = None) -> str:
        await asyncio.sleep(0)
        if error is not None:
            raise error
        return "done"

    async with session("") as s:
        assert await s.timed("job", work()) == "done"
        with pytest.raises(ZeroDivisionError):
            await s.timed("job", work(ZeroDivisionError()))
        with pytest.raises(RpcError):
            await s.timed("job", work(RpcError()))
        row = totals(s).rows["job"]
    assert (row.count, row.bad) == (3, 2)
    assert row.failures == {"ZeroDivisionError": 1, "UNAVAILABLE": 1}


async def test_only_what_is_allowed_and_well_written() -> None:
    async with session("") as s:
        with pytest.raises(TargetNotAllowedError):
            s.tcp("192.0.2.1:80")
        with pytest.raises(UsageError, match="HOST:PORT"):
            s.udp("localhost")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            at = f"127.0.0.1:{probe.getsockname()[1]}"
        with pytest.raises(ExchangeError) as caught:
            async with s.tcp(at):
                pass
        assert caught.value.kind == "connection refused"
