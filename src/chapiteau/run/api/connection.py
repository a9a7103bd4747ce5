"""One connection to the control API: its requests in order, HTTP/1.0 and 1.1."""

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from http import HTTPStatus
from typing import Any, Final

from chapiteau.run.api.request import (
    MalformedError,
    Request,
    Response,
    StreamedResponse,
    problem_response,
    read_request,
)

__all__ = ["ControlConnection", "RequestHandler", "stream_response"]

_log = logging.getLogger("chapiteau.run.control")

_IDLE_TIMEOUT: Final = 75.0  # seconds until the next request must be complete
_WRITE_TIMEOUT: Final = 60.0  # seconds until a client that reads nothing is disconnected
_MAX_BUFFERED: Final = 2 << 20  # bytes that a client may send before its requests are answered

RequestHandler = Callable[[Request, asyncio.BaseTransport], Awaitable[Response | StreamedResponse]]


class ControlConnection(asyncio.Protocol):
    """`respond` answers a request; `connections` is the set that it joins while it is open.

    When the client disconnects, the response in progress is cancelled: that ends streams.
    """

    def __init__(self, respond: RequestHandler, connections: "set[ControlConnection]") -> None:
        self._respond, self._connections = respond, connections
        self._buffer = bytearray()
        self._task: asyncio.Task[None] | None = None
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._ending = False

    # ── asyncio.Protocol ───────────────────────────────────────────────────────────────────
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has connected."""
        if not isinstance(transport, asyncio.Transport):
            raise TypeError("a stream transport is needed")
        self._transport = transport
        self._connections.add(self)
        self._start_idle_timer()

    def data_received(self, data: bytes) -> None:
        """More bytes of a request, or of the next."""
        self._buffer += data
        if len(self._buffer) > _MAX_BUFFERED and self._transport is not None:
            self._transport.abort()
        elif self._task is None:
            self._handle_next()

    def pause_writing(self) -> None:
        """The client reads more slowly than we write."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """It has caught up."""
        self._writable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is closed."""
        self._connections.discard(self)
        self._transport = None
        self._stop_idle_timer()
        if self._task is not None:
            self._task.cancel()

    # ── requests ────────────────────────────────────────────────────────────────────────────
    def _start_idle_timer(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(_IDLE_TIMEOUT, self.end)

    def _stop_idle_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _handle_next(self) -> None:
        """Begin to answer the next request, if it is complete."""
        try:
            request = read_request(self._buffer)
        except MalformedError as exc:
            self._write(problem_response(exc.status, exc.what, exit_code=2), keep_alive=False)
            self.end()
            return
        if request is not None:
            self._stop_idle_timer()
            self._task = asyncio.get_running_loop().create_task(self._answer(request))

    async def _answer(self, request: Request) -> None:
        try:
            if self._transport is None:
                return
            answer = await self._respond(request, self._transport)
            keep_alive = request.keep_alive and not self._ending
            if isinstance(answer, Response):
                self._write(answer, keep_alive=keep_alive)
            else:
                keep_alive = keep_alive and request.http11
                await self._send_stream(answer, chunked=request.http11, keep_alive=keep_alive)
        except (ConnectionError, TimeoutError):
            self.abort()
            return
        except Exception:  # noqa: BLE001 — one that broke off must not look as if more would come
            _log.exception("the response to %s %s broke off", request.method, request.path)
            self.abort()
            return
        self._task = None
        if not keep_alive:
            self.end()
        elif self._transport is not None:
            self._start_idle_timer()
            self._handle_next()

    def end(self) -> None:
        """Take no further request; the response in progress is finished."""
        self._ending = True
        if self._task is None and self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()

    @property
    def task(self) -> "asyncio.Task[None] | None":
        """The response in progress."""
        return self._task

    # ── answers ─────────────────────────────────────────────────────────────────────────────
    def _write(self, answer: Response, *, keep_alive: bool) -> None:
        if self._transport is not None:
            more = (*answer.headers, ("Content-Length", str(len(answer.body))))
            self._transport.write(_head(answer.status, answer.kind, more, keep_alive) + answer.body)

    async def _send_stream(
        self, response: StreamedResponse, *, chunked: bool, keep_alive: bool
    ) -> None:
        more = (("Cache-Control", "no-store"), *((_CHUNKED,) if chunked else ()))
        async with contextlib.aclosing(response.pieces) as pieces:
            await self._send(_head(200, response.kind, more, keep_alive))
            async for piece in pieces:
                await self._send(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
            if chunked:
                await self._send(b"0\r\n\r\n")

    async def _send(self, data: bytes) -> None:
        """Write, and wait while the client is behind. Raises TimeoutError."""
        if self._transport is None or self._transport.is_closing():
            raise ConnectionResetError
        self._transport.write(data)
        if not self._writable.is_set():
            async with asyncio.timeout(_WRITE_TIMEOUT):
                await self._writable.wait()


_CHUNKED: Final = ("Transfer-Encoding", "chunked")


def _head(status: int, kind: str, more: tuple[tuple[str, str], ...], keep_alive: bool) -> bytes:
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", f"Content-Type: {kind}"]
    lines += [f"{name}: {value}" for name, value in more]
    lines.append(f"Connection: {'keep-alive' if keep_alive else 'close'}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


# Streams: NDJSON, or server-sent events where the client accepts them.

_HEARTBEAT: Final = 15.0  # seconds of silence after which an empty line is sent
_DRAIN: Final = 0.01  # seconds for items still to come when the server closes


def stream_response(
    request: Request, items: AsyncIterator[Any], closing: asyncio.Event
) -> StreamedResponse:
    """Send each item as soon as it comes; a Gap becomes `{"lost": n}`.

    The number of an event becomes its SSE id, so that `Last-Event-ID` continues there.
    `closing` is set when the server closes.
    """
    sse = "text/event-stream" in request.headers.get("accept", "")

    async def pieces() -> AsyncGenerator[bytes, None]:
        async with contextlib.aclosing(_with_heartbeats(items, closing)) as source:
            async for item in source:
                yield _encode(item, sse=sse)

    kind = "text/event-stream" if sse else "application/x-ndjson"
    return StreamedResponse(kind=kind, pieces=pieces())


def _encode(item: Any, *, sse: bool) -> bytes:
    if item is None:
        return b": still here\n\n" if sse else b"\n"
    data = item if isinstance(item, dict) else item.to_dict()
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False)
    if not sse:
        return text.encode() + b"\n"
    head = f"id: {data['seq']}\nevent: {data['kind']}\n" if "seq" in data else ""
    return f"{head}data: {text}\n\n".encode()


async def _with_heartbeats(
    items: AsyncIterator[Any], closing: asyncio.Event
) -> AsyncGenerator[Any, None]:
    """The items, and None after each long silence: so a dead connection is noticed.

    When the server closes, items that are already there are still sent.
    """
    end = asyncio.ensure_future(closing.wait())
    waiting: asyncio.Future[Any] | None = None
    try:
        while True:
            waiting = waiting or asyncio.ensure_future(anext(items))
            limit = _DRAIN if closing.is_set() else _HEARTBEAT
            await asyncio.wait({waiting, *(() if end.done() else (end,))}, timeout=limit,
                               return_when=asyncio.FIRST_COMPLETED)  # fmt: skip
            if not waiting.done():
                if limit == _DRAIN:
                    return
                if not end.done():
                    yield None
                continue
            try:
                item = waiting.result()
            except StopAsyncIteration:
                return
            finally:
                waiting = None
            yield item
    finally:
        for task in (end, waiting):
            if task is not None:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, StopAsyncIteration):
                    await task
        if isinstance(items, AsyncGenerator):
            await items.aclose()
