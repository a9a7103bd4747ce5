"""gRPC through its own library, each call timed as a request."""

from collections.abc import AsyncIterator, Callable
from typing import Any, Final

from chapiteau.core.errors import UsageError
from chapiteau.load.engine.slow_path import SlowPath
from chapiteau.load.protocols.urls import Address

__all__ = ["GrpcChannel"]

_END: Final = object()


class GrpcChannel:
    """A channel: `async with session.grpc("127.0.0.1:50051") as channel`, then your own stubs.

    Calls are rows of the report, named after their method, and fail under gRPC's own code. A call
    that answers once is timed to its answer, one that answers with a stream to its first message;
    the stream's messages are counted.
    """

    def __init__(self, slow_path: SlowPath, at: str, *, credentials: Any, options: Any) -> None:
        """Raises UsageError without the extra `grpc`, TargetNotAllowedError."""
        try:
            import grpc
        except ImportError:
            raise UsageError("gRPC needs its library", hint="install chapiteau[grpc]") from None
        host, _, port = at.rpartition(":")
        if not host or not port.isdigit():
            raise UsageError(f"{at!r} is not HOST:PORT", hint="for example 127.0.0.1:50051")
        slow_path.origin(Address("http", host.strip("[]"), int(port), "/"))  # may it be loaded?

        # Users of a process share no connection, as users of a service don't.
        given = [*(options or ()), ("grpc.use_local_subchannel_pool", 1)]
        made = {"options": given, "interceptors": _timing(grpc.aio, slow_path)}
        self._channel = (
            grpc.aio.insecure_channel(at, **made)
            if credentials is None
            else grpc.aio.secure_channel(at, credentials, **made)
        )

    async def __aenter__(self) -> Any:
        return self._channel

    async def __aexit__(self, *_exc: object) -> None:
        await self._channel.close()


def _timing(aio: Any, slow_path: SlowPath) -> list[Any]:
    """What grpc.aio calls around each kind of call: it wants a class for each."""

    async def once(continuation: Callable[..., Any], details: Any, request: Any) -> Any:
        call = await continuation(details, request)
        await slow_path.timed(_row(details), call)
        return call  # and not the answer: it knows the metadata, too

    async def streamed(continuation: Callable[..., Any], details: Any, request: Any) -> Any:
        return _messages(slow_path, _row(details), await continuation(details, request))

    class Unary(aio.UnaryUnaryClientInterceptor):  # type: ignore[misc]
        """One message out, one in."""

        intercept_unary_unary = staticmethod(once)

    class Sent(aio.StreamUnaryClientInterceptor):  # type: ignore[misc]
        """A stream out, one message in."""

        intercept_stream_unary = staticmethod(once)

    class Received(aio.UnaryStreamClientInterceptor):  # type: ignore[misc]
        """One message out, a stream in."""

        intercept_unary_stream = staticmethod(streamed)

    class Both(aio.StreamStreamClientInterceptor):  # type: ignore[misc]
        """A stream out, a stream in."""

        intercept_stream_stream = staticmethod(streamed)

    return [Unary(), Sent(), Received(), Both()]


def _row(details: Any) -> str:
    method = details.method
    return f"gRPC {method.decode() if isinstance(method, bytes) else method}"


async def _messages(slow_path: SlowPath, name: str, call: Any) -> AsyncIterator[Any]:
    stream = aiter(call)
    message = await slow_path.timed(name, anext(stream, _END))
    while message is not _END:
        slow_path.counter("gRPC messages received")
        yield message
        message = await anext(stream, _END)
