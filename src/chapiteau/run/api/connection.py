"""One connection to the control API: its requests one after the other, HTTP/1.0 and 1.1."""

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
    problem_answer,
    read_request,
)

__all__ = ["ControlConnection", "RequestHandler", "stream_response"]

_log = logging.getLogger("chapiteau.run.control")

_IDLE: Final = 75.0  # seconds in which the next request must have come, whole
_STUCK: Final = 60.0  # seconds after which a reader that takes nothing is let go
_AHEAD: Final = 2 << 20  # bytes that a client may send ahead of the answers

RequestHandler = Callable[[Request, asyncio.BaseTransport], Awaitable[Response | StreamedResponse]]


class ControlConnection(asyncio.Protocol):
    """`respond` answers a request; `those` is where it signs in and out.

    When the client hangs up, the answer that is being made is cancelled: streams end so.
    """

    def __init__(self, respond: RequestHandler, those: "set[ControlConnection]") -> None:
        self._respond, self._those = respond, those
        self._buffer = bytearray()
        self._task: asyncio.Task[None] | None = None
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._room = asyncio.Event()
        self._room.set()
        self._ending = False

    # ── what the transport tells ────────────────────────────────────────────────────────────
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody is there."""
        if not isinstance(transport, asyncio.Transport):
            raise TypeError("a stream is needed")
        self._transport = transport
        self._those.add(self)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """More of a request, or of the next."""
        self._buffer += data
        if len(self._buffer) > _AHEAD and self._transport is not None:
            self._transport.abort()
        elif self._task is None:
            self._next()

    def pause_writing(self) -> None:
        """The client takes less than it gets."""
        self._room.clear()

    def resume_writing(self) -> None:
        """It takes more again."""
        self._room.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        self._those.discard(self)
        self._transport = None
        self._stop_waiting()
        if self._task is not None:
            self._task.cancel()

    # ── requests ────────────────────────────────────────────────────────────────────────────
    def _wait(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(_IDLE, self.end)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _next(self) -> None:
        """Begin to answer the next request, if it is all there."""
        try:
            request = read_request(self._buffer)
        except MalformedError as exc:
            self._write(problem_answer(exc.status, exc.what, exit_code=2), stays=False)
            self.end()
            return
        if request is not None:
            self._stop_waiting()
            self._task = asyncio.get_running_loop().create_task(self._answer(request))

    async def _answer(self, request: Request) -> None:
        try:
            if self._transport is None:
                return
            answer = await self._respond(request, self._transport)
            stays = request.stays and not self._ending
            if isinstance(answer, Response):
                self._write(answer, stays=stays)
            else:
                stays = stays and request.modern
                await self._pour(answer, chunked=request.modern, stays=stays)
        except (ConnectionError, TimeoutError):
            self.abort()
            return
        except Exception:  # noqa: BLE001 — one that broke off must not look as if more would come
            _log.exception("%s %s broke off", request.method, request.path)
            self.abort()
            return
        self._task = None
        if not stays:
            self.end()
        elif self._transport is not None:
            self._wait()
            self._next()

    def end(self) -> None:
        """No further request; what is being answered still is."""
        self._ending = True
        if self._task is None and self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Let go at once."""
        if self._transport is not None:
            self._transport.abort()

    @property
    def task(self) -> "asyncio.Task[None] | None":
        """The answer that is being made."""
        return self._task

    # ── answers ─────────────────────────────────────────────────────────────────────────────
    def _write(self, answer: Response, *, stays: bool) -> None:
        if self._transport is not None:
            more = (*answer.headers, ("Content-Length", str(len(answer.body))))
            self._transport.write(_head(answer.status, answer.kind, more, stays) + answer.body)

    async def _pour(self, flow: StreamedResponse, *, chunked: bool, stays: bool) -> None:
        more = (("Cache-Control", "no-store"), *((_CHUNKED,) if chunked else ()))
        async with contextlib.aclosing(flow.pieces) as pieces:
            await self._send(_head(200, flow.kind, more, stays))
            async for piece in pieces:
                await self._send(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
            if chunked:
                await self._send(b"0\r\n\r\n")

    async def _send(self, data: bytes) -> None:
        """Write, and wait until the client has taken enough. Raises TimeoutError."""
        if self._transport is None or self._transport.is_closing():
            raise ConnectionResetError
        self._transport.write(data)
        if not self._room.is_set():
            async with asyncio.timeout(_STUCK):
                await self._room.wait()


_CHUNKED: Final = ("Transfer-Encoding", "chunked")


def _head(status: int, kind: str, more: tuple[tuple[str, str], ...], stays: bool) -> bytes:
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", f"Content-Type: {kind}"]
    lines += [f"{name}: {value}" for name, value in more]
    lines.append(f"Connection: {'keep-alive' if stays else 'close'}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


# Endless answers: NDJSON, or server-sent events for those who ask for them.

_BEAT: Final = 15.0  # seconds of silence after which a line without meaning is sent
_LAST: Final = 0.01  # seconds for items that are still on their way when the server goes


def stream_response(
    request: Request, items: AsyncIterator[Any], closing: asyncio.Event
) -> StreamedResponse:
    """Send each item as soon as it comes; a Gap becomes `{"lost": n}`.

    The number of an event becomes its SSE id, so that `Last-Event-ID` continues there.
    `closing` is set when the server goes.
    """
    sse = "text/event-stream" in request.headers.get("accept", "")

    async def pieces() -> AsyncGenerator[bytes, None]:
        async with contextlib.aclosing(_with_beats(items, closing)) as source:
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


async def _with_beats(
    items: AsyncIterator[Any], closing: asyncio.Event
) -> AsyncGenerator[Any, None]:
    """The items, and None after each long silence: that is how a dead connection is noticed.

    When the server goes, what is there already still comes, and then the end.
    """
    end = asyncio.ensure_future(closing.wait())
    waiting: asyncio.Future[Any] | None = None
    try:
        while True:
            waiting = waiting or asyncio.ensure_future(anext(items))
            limit = _LAST if closing.is_set() else _BEAT
            await asyncio.wait({waiting, *(() if end.done() else (end,))}, timeout=limit,
                               return_when=asyncio.FIRST_COMPLETED)  # fmt: skip
            if not waiting.done():
                if limit == _LAST:
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
