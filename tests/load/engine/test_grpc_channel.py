"""gRPC against a server of grpcio's own."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from chapiteau.core.errors import UsageError
from chapiteau.load.errors import TargetNotAllowedError
from tests.load.engine.test_session import session, totals

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

grpc = pytest.importorskip("grpc", reason="grpcio is not installed (extra `grpc`)")

pytestmark = pytest.mark.slow


@asynccontextmanager
async def echo() -> AsyncIterator[str]:
    async def say(request: bytes, context: Any) -> bytes:
        context.set_trailing_metadata([("cost", "3")])
        if request == b"no":
            await context.abort(grpc.StatusCode.NOT_FOUND, "nothing")
        return request.upper()

    async def count(request: bytes, context: Any) -> AsyncIterator[bytes]:
        if request == b"no":
            await context.abort(grpc.StatusCode.NOT_FOUND, "nothing")
        for number in range(3):
            yield b"%d" % number

    async def join(requests: AsyncIterator[bytes], _context: Any) -> bytes:
        return b"".join([each async for each in requests])

    async def back(requests: AsyncIterator[bytes], _context: Any) -> AsyncIterator[bytes]:
        async for each in requests:
            yield each

    handlers = {
        "Say": grpc.unary_unary_rpc_method_handler(say),
        "Count": grpc.unary_stream_rpc_method_handler(count),
        "Join": grpc.stream_unary_rpc_method_handler(join),
        "Back": grpc.stream_stream_rpc_method_handler(back),
    }
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Echo", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)


async def test_unary_calls_are_timed_and_fail_under_their_code() -> None:
    async with echo() as at, session("") as s:
        async with s.grpc(at) as channel:
            say = channel.unary_unary("/test.Echo/Say")
            assert await say(b"hello") == b"HELLO"
            with pytest.raises(grpc.aio.AioRpcError, match="nothing"):
                await say(b"no")
        row = totals(s).rows["gRPC /test.Echo/Say"]
    assert (row.count, row.bad, row.failures) == (2, 1, {"NOT_FOUND": 1})
    assert 0 < row.latency.high < 10_000_000


async def test_streams_are_timed_too_and_their_messages_counted() -> None:
    async def parts() -> AsyncIterator[bytes]:
        for part in (b"a", b"b"):
            yield part

    async with echo() as at, session("") as s:
        async with s.grpc(at) as channel:
            count = channel.unary_stream("/test.Echo/Count")
            assert [each async for each in count(b"")] == [b"0", b"1", b"2"]
            assert await channel.stream_unary("/test.Echo/Join")(parts()) == b"ab"
            back = channel.stream_stream("/test.Echo/Back")(parts())
            assert [each async for each in back] == [b"a", b"b"]
            by_hand = channel.stream_stream("/test.Echo/Back")()
            await by_hand.write(b"c")
            assert await by_hand.read() == b"c"
            await by_hand.done_writing()
            assert await by_hand.read() == grpc.aio.EOF
            with pytest.raises(grpc.aio.AioRpcError, match="nothing"):
                assert [each async for each in count(b"no")] == []
        counted = totals(s)
    assert {name: (row.count, row.bad) for name, row in counted.rows.items()} == {
        "gRPC /test.Echo/Count": (2, 1),
        "gRPC /test.Echo/Join": (1, 0),
        "gRPC /test.Echo/Back": (2, 0),
    }
    assert counted.metrics["gRPC messages received"].value == 6


async def test_what_the_service_says_beside_its_answer_is_there() -> None:
    async with echo() as at, session("") as s, s.grpc(at) as channel:
        call = channel.unary_unary("/test.Echo/Say")(b"hello")
        assert await call == b"HELLO"
        assert await call.code() == grpc.StatusCode.OK
        assert dict(await call.trailing_metadata()) == {"cost": "3"}


async def test_only_what_is_allowed_is_called() -> None:
    async with session("") as s:
        with pytest.raises(TargetNotAllowedError):
            s.grpc("192.0.2.1:80")
        with pytest.raises(UsageError, match="HOST:PORT"):
            s.grpc("localhost")
