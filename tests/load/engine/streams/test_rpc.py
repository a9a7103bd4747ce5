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
        if request == b"no":
            await context.abort(grpc.StatusCode.NOT_FOUND, "nothing")
        return request.upper()

    handlers = {"Say": grpc.unary_unary_rpc_method_handler(say)}
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


async def test_only_what_is_allowed_is_called() -> None:
    async with session("") as s:
        with pytest.raises(TargetNotAllowedError):
            s.grpc("192.0.2.1:80")
        with pytest.raises(UsageError, match="HOST:PORT"):
            s.grpc("localhost")
