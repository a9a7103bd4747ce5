"""One connection between a node and the hub: calls and streams both ways, as JSON lines.

    {"call": NAME, "id": N, "args": {…}}     a request
    {"re": N, "ok": VALUE}                   its result, or the end of its stream
    {"re": N, "error": {what, hint, code}}   its failure
    {"re": N, "item": VALUE}                 one item of its stream
    {"stop": N}                              cancels it
    {"beat": 1}                              heartbeat

Whoever receives decides what may be called: a call that is not among `handlers` is refused.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Final

import msgspec
from msgspec import UNSET, Struct

from chapiteau.core.errors import ChapiteauError
from chapiteau.dash.errors import NodeAwayError, NotAllowedError
from chapiteau.dash.nodes.transport import PushReader

__all__ = ["Args", "Handlers", "Link"]

Args = Mapping[str, Any]
# By name; a handler gives either one result or, as an async generator, a stream of items.
Handlers = Mapping[str, Callable[[Args], Awaitable[Any] | AsyncIterator[Any]]]

# A cut that nobody tells of is noticed within (MISSED + 1) * BEAT: 4.5 seconds.
BEAT: Final = 1.5  # seconds
MISSED: Final = 2  # beats after which the other side counts as gone
_MAX_WAITING: Final = 2_000  # items of one stream that may wait for their reader
_MAX_RUNNING: Final = 1_000  # requests of the peer at once
_MAX_LINE: Final = 8 << 20  # bytes of one message
_MAX_RATE: Final = 16 << 20  # bytes per second from one peer; more waits


class _Failure(Struct, omit_defaults=True):
    what: str
    hint: str = ""
    code: int = 1
    away: bool = False

    def error(self) -> ChapiteauError:
        if self.away:
            return NodeAwayError(self.what, hint=self.hint)
        return ChapiteauError(self.what, hint=self.hint, exit_code=self.code)


class _Frame(Struct, omit_defaults=True):
    call: str = ""
    id: int = 0
    args: dict[str, Any] = {}
    re: int = 0
    ok: Any = UNSET
    item: Any = UNSET
    error: _Failure | None = None
    stop: int = 0
    beat: int = 0


_DECODER: Final = msgspec.json.Decoder(_Frame)


class Link:
    """One side of a connection; `run` serves until it is closed."""

    def __init__(
        self, reader: PushReader, writer: asyncio.StreamWriter, handlers: Handlers, *, name: str
    ) -> None:
        self.name = name
        self._reader = reader
        self._writer = writer
        self._handlers = handlers
        self._count = 0
        self._received_at = self._sent_at = 0.0
        self._pending: dict[int, asyncio.Queue[_Frame]] = {}
        self._sinks: dict[int, Callable[[Any], None]] = {}
        self._rest = b""  # of a line whose end has not come
        self._loop = asyncio.get_running_loop()
        self._second, self._received = 0, 0
        self._running: dict[int, asyncio.Task[None]] = {}
        self._closed = asyncio.Event()
        self._reason = "the connection is closed"

    def __repr__(self) -> str:
        return f"<Link {self.name} {'closed' if self._closed.is_set() else 'open'}>"

    async def run(self) -> None:
        """Serve until the peer hangs up, falls silent or breaks the protocol; never raises."""
        beats = asyncio.create_task(self._send_heartbeats())
        try:
            self._reader.push_to(self._feed)
            await self._reader.read()  # returns at the end
        except OSError as exc:
            self._reason = str(exc) or type(exc).__name__
        finally:
            self._closed.set()
            beats.cancel()
            for task in list(self._running.values()):
                task.cancel()
            failure = _Failure(f"{self.name}: {self._reason}", away=True)
            for queue in self._pending.values():
                self._put(queue, _Frame(error=failure))
            # Not close(): TLS would wait up to 30 s for a peer that may be gone.
            self._writer.transport.abort()

    def close(self) -> None:
        """Hang up."""
        self._reason = "we hung up"
        self._writer.transport.abort()

    async def call(self, call: str, args: Args, *, timeout: float) -> Any:
        """The result of a call. Raises NodeAwayError, or what the peer refused with."""
        try:
            async with asyncio.timeout(timeout):
                async with contextlib.aclosing(self._request(call, args, last=True)) as results:
                    return await anext(results)
        except TimeoutError:
            raise NodeAwayError(f"{self.name}: no answer to {call} in {timeout:g} s") from None

    def stream(self, call: str, args: Args) -> AsyncGenerator[Any, None]:
        """Items until the peer ends the stream or the iteration stops."""
        return self._request(call, args, last=False)

    async def stream_to(self, call: str, args: Args, sink: Callable[[Any], None]) -> None:
        """Give every item to `sink` as soon as it is there, until the peer ends the stream.

        For streams that never pause: no task has to wake up for an item. `sink` must be quick.
        """
        async with contextlib.aclosing(self._request(call, args, last=False, sink=sink)) as rest:
            async for item in rest:
                sink(item)

    async def _request(
        self, call: str, args: Args, *, last: bool, sink: Callable[[Any], None] | None = None
    ) -> AsyncGenerator[Any, None]:
        self._count += 1
        number = self._count
        if sink is not None:
            self._sinks[number] = sink
        queue = self._pending[number] = asyncio.Queue[_Frame](_MAX_WAITING + 2)
        finished = False
        try:
            await self._send(_Frame(call=call, id=number, args=dict(args)))
            while True:
                frame = await queue.get()
                if frame.item is not UNSET:
                    yield frame.item
                    continue
                finished = True
                if frame.error is not None:
                    raise frame.error.error()
                if last:
                    yield None if frame.ok is UNSET else frame.ok
                return
        finally:
            del self._pending[number]
            self._sinks.pop(number, None)
            if not finished and not self._closed.is_set():
                with contextlib.suppress(NodeAwayError):
                    await self._send(_Frame(stop=number))

    def _feed(self, data: bytes) -> None:
        if self._closed.is_set():
            return
        self._received_at = self._loop.time()
        try:
            *lines, self._rest = (self._rest + data).split(b"\n")
            if max(map(len, lines), default=0) > _MAX_LINE or len(self._rest) > _MAX_LINE:
                raise ValueError(f"a line of more than {_MAX_LINE} bytes")
            for line in filter(None, lines):
                self._take(_DECODER.decode(line))
        except (ValueError, RecursionError) as exc:
            self._reason = str(exc) or type(exc).__name__
            self._closed.set()
            self._writer.transport.abort()
            return
        now = int(self._received_at)
        if now != self._second:
            self._second, self._received = now, 0
        self._received += len(data)
        if self._received > _MAX_RATE:
            # One loud node must not take the hub from the others: it waits, TCP tells it.
            self._received = 0
            self._pause()

    def _pause(self) -> None:
        transport: Any = self._writer.transport
        with contextlib.suppress(AttributeError, RuntimeError):  # a line over NATS has no pause
            transport.pause_reading()
            self._loop.call_later(1.0, transport.resume_reading)

    def _take(self, frame: _Frame) -> None:
        if frame.re:
            sink = self._sinks.get(frame.re)
            if sink is not None and frame.item is not UNSET:
                sink(frame.item)
            elif (queue := self._pending.get(frame.re)) is not None:
                self._put(queue, frame)
        elif frame.call:
            if frame.id not in self._running and len(self._running) < _MAX_RUNNING:
                task = asyncio.create_task(self._answer(frame))
                self._running[frame.id] = task
                task.add_done_callback(lambda _: self._running.pop(frame.id, None))
        elif frame.stop in self._running:
            self._running[frame.stop].cancel()

    def _put(self, queue: asyncio.Queue[_Frame], frame: _Frame) -> None:
        if queue.qsize() < _MAX_WAITING or (frame.item is UNSET and not queue.full()):
            queue.put_nowait(frame)
        elif queue.qsize() == _MAX_WAITING:
            # The reader is too slow. A stream that ended can be resumed after the last number
            # seen; a gap in the middle could not.
            queue.put_nowait(_Frame(error=_Failure(f"{self.name}: too much at once", away=True)))

    async def _answer(self, request: _Frame) -> None:
        number = request.id
        try:
            handler = self._handlers.get(request.call)
            if handler is None:
                raise NotAllowedError(f"{request.call!r} can't be called here")
            answer = handler(request.args)
            if isinstance(answer, AsyncIterator):
                async for item in answer:
                    await self._send(_Frame(re=number, item=item))
                await self._send(_Frame(re=number, ok=None))
            else:
                await self._send(_Frame(re=number, ok=await answer))
        except ChapiteauError as exc:
            away = isinstance(exc, NodeAwayError)
            failure = _Failure(exc.what, hint=exc.hint, code=exc.exit_code, away=away)
        except (KeyError, TypeError, ValueError) as exc:
            failure = _Failure(f"{request.call}: not understood ({exc!r})")
        else:
            return
        with contextlib.suppress(NodeAwayError):
            await self._send(_Frame(re=number, error=failure))

    async def _send_heartbeats(self) -> None:
        with contextlib.suppress(NodeAwayError):
            self._received_at = self._loop.time()
            while True:
                quiet = self._loop.time() - self._sent_at
                await asyncio.sleep(max(BEAT - quiet, BEAT / 4))
                if self._loop.time() - self._received_at > BEAT * MISSED:
                    self._reason = "silent for too long"
                    self._writer.transport.abort()
                # Whatever is sent is a sign of life: who talks anyway needs no beats.
                if self._loop.time() - self._sent_at >= BEAT * 0.99:
                    await self._send(_Frame(beat=1))

    async def _send(self, frame: _Frame) -> None:
        if self._closed.is_set():
            raise NodeAwayError(f"{self.name}: {self._reason}")
        self._sent_at = self._loop.time()
        try:
            self._writer.write(msgspec.json.encode(frame) + b"\n")
            await self._writer.drain()
        except (OSError, RuntimeError) as exc:
            raise NodeAwayError(f"{self.name}: {exc}") from exc
