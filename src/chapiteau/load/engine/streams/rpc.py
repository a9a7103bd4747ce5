"""gRPC through its own library, each unary call timed as a request."""

from collections.abc import Callable
from types import TracebackType
from typing import Any

from chapiteau.core.errors import UsageError
from chapiteau.load.engine.byways import Byways
from chapiteau.load.logic.urls import Address

__all__ = ["Rpc"]


class Rpc:
    """A channel: `async with session.grpc("127.0.0.1:50051") as channel`, then your own stubs.

    Unary calls are rows of the report, named after their method, and fail under gRPC's own code.
    Streams are yours to time: `session.timed(name, …)`.
    """

    def __init__(self, byways: Byways, at: str, *, credentials: Any, options: Any) -> None:
        """Raises UsageError without the extra `grpc`, TargetNotAllowedError."""
        try:
            import grpc
        except ImportError:
            raise UsageError("gRPC needs its library", hint="install chapiteau[grpc]") from None
        host, _, port = at.rpartition(":")
        if not host or not port.isdigit():
            raise UsageError(f"{at!r} is not HOST:PORT", hint="for example 127.0.0.1:50051")
        byways.origin(Address("http", host.strip("[]"), int(port), "/"))  # may it be loaded?

        class Timing(grpc.aio.UnaryUnaryClientInterceptor):  # type: ignore[misc]
            """Times every unary call."""

            async def intercept_unary_unary(
                self, continuation: Callable[..., Any], details: Any, request: Any
            ) -> Any:
                async def call() -> Any:
                    return await (await continuation(details, request))

                method = details.method
                name = method.decode() if isinstance(method, bytes) else method
                return await byways.timed(f"gRPC {name}", call())

        # Users of a process share no connection, as users of a service don't.
        given = [*(options or ()), ("grpc.use_local_subchannel_pool", 1)]
        made = {"options": given, "interceptors": [Timing()]}
        self._channel = (
            grpc.aio.insecure_channel(at, **made)
            if credentials is None
            else grpc.aio.secure_channel(at, credentials, **made)
        )

    async def __aenter__(self) -> Any:
        return self._channel

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._channel.close()
