"""One connection between a node and the hub: calls and streams both ways, as JSON lines.

    {"call": NAME, "id": N, "args": {…}}     ask
    {"re": N, "ok": VALUE}                   the answer, or the end of a stream
    {"re": N, "error": {what, hint, code}}   a refusal
    {"re": N, "item": VALUE}                 one item of a stream
    {"stop": N}                              the asker wants no more
    {"beat": 1}                              nothing to say, still here

Whoever receives decides what may be called: `answers` is a table, and what is not in it is refused.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Final

import msgspec

from chapiteau.core.errors import ChapiteauError
from chapiteau.dash.errors import NodeAwayError, NotAllowedError
from chapiteau.dash.nodes.transport import PushReader
from chapiteau.io.json_lines import FrameError, LineReader

__all__ = ["Args", "Handlers", "Link"]

Args = Mapping[str, Any]

BEAT: Final = 5.0  # seconds
MISSED: Final = 3  # beats after which the other side counts as gone
_WAITING: Final = 2_000  # items of one stream that may wait for their reader
_LARGEST: Final = 8 << 20  # bytes of one message
_MOST_BYTES: Final = 16 << 20  # per second from one peer; more waits
_DECODER: Final = msgspec.json.Decoder()  # three times as fast as json.loads


class Handlers:
    """What may be called over a link: plain calls, and calls that answer with many items."""

    def __init__(
        self,
        calls: Mapping[str, Callable[[Args], Awaitable[Any]]] | None = None,
        streams: Mapping[str, Callable[[Args], AsyncIterator[Any]]] | None = None,
    ) -> None:
        self.calls = dict(calls or {})
        self.streams = dict(streams or {})


class Link:
    """One side of a connection; `run` serves until it is over."""

    def __init__(
        self,
        reader: PushReader,
        writer: asyncio.StreamWriter,
        answers: Handlers,
        *,
        name: str,
    ) -> None:
        self.name = name
        self._reader = reader
        self._writer = writer
        self._answers = answers
        self._count = 0
        self._heard = 0.0
        self._asked: dict[int, asyncio.Queue[dict[str, Any]]] = {}
        self._sinks: dict[int, Callable[[Any], None]] = {}
        self._lines = LineReader(_LARGEST, _DECODER.decode)
        self._loop = asyncio.get_running_loop()
        self._second, self._taken = 0, 0
        self._working: dict[int, asyncio.Task[None]] = {}
        self._over = asyncio.Event()
        self._why = "the connection is closed"

    def __repr__(self) -> str:
        return f"<Link {self.name} {'over' if self._over.is_set() else 'up'}>"

    async def run(self) -> None:
        """Serve until the peer hangs up, falls silent or breaks the rules; never raises."""
        beats = asyncio.create_task(self._keep_beating())
        try:
            self._reader.pour(self._feed)
            await self._reader.read()  # comes back at the end
        except OSError as exc:
            self._why = str(exc) or type(exc).__name__
        finally:
            self._over.set()
            beats.cancel()
            for task in list(self._working.values()):
                task.cancel()
            for queue in self._asked.values():
                self._put(queue, {"error": {"what": f"{self.name}: {self._why}", "away": True}})
            # Not close(): TLS would wait up to 30 s for a peer that may be gone.
            self._writer.transport.abort()

    def close(self) -> None:
        """Hang up."""
        self._why = "we hung up"
        self._writer.transport.abort()

    async def call(self, call: str, args: Args, *, within: float) -> Any:
        """Ask, and wait for the answer. Raises NodeAwayError, or what the peer refused with."""
        try:
            async with asyncio.timeout(within):
                async with contextlib.aclosing(self._ask(call, args, last=True)) as answers:
                    return await anext(answers)
        except TimeoutError:
            raise NodeAwayError(f"{self.name}: no answer to {call} in {within:g} s") from None

    def stream(self, call: str, args: Args) -> AsyncGenerator[Any, None]:
        """Ask, and get items until the peer ends it or we stop iterating."""
        return self._ask(call, args, last=False)

    async def pour(self, call: str, args: Args, sink: Callable[[Any], None]) -> None:
        """Ask, and give every item to `sink` as soon as it is there, until the peer ends it.

        For streams that never pause: no task has to wake up for an item. `sink` must be quick.
        """
        async with contextlib.aclosing(self._ask(call, args, last=False, sink=sink)) as rest:
            async for item in rest:
                sink(item)

    async def _ask(
        self, call: str, args: Args, *, last: bool, sink: Callable[[Any], None] | None = None
    ) -> AsyncGenerator[Any, None]:
        self._count += 1
        number = self._count
        if sink is not None:
            self._sinks[number] = sink
        queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue(_WAITING + 2)
        self._asked[number] = queue
        finished = False
        try:
            await self._send({"call": call, "id": number, "args": dict(args)})
            while True:
                message = await queue.get()
                if "item" in message:
                    yield message["item"]
                    continue
                finished = True
                if "error" in message:
                    raise _error(message["error"])
                if last:
                    yield message.get("ok")
                return
        finally:
            del self._asked[number]
            self._sinks.pop(number, None)
            if not finished and not self._over.is_set():
                with contextlib.suppress(NodeAwayError):
                    await self._send({"stop": number})

    def _feed(self, data: bytes) -> None:
        if self._over.is_set():
            return
        self._heard = self._loop.time()
        try:
            for message in self._lines.feed(data):
                self._take(message)
        except (FrameError, KeyError, TypeError, ValueError) as exc:
            self._why = str(exc) or type(exc).__name__
            self._over.set()
            self._writer.transport.abort()
            return
        now = int(self._heard)
        if now != self._second:
            self._second, self._taken = now, 0
        self._taken += len(data)
        if self._taken > _MOST_BYTES:
            # One loud node must not take the hub from the others: it waits, TCP tells it.
            self._taken = 0
            self._pause()

    def _pause(self) -> None:
        transport: Any = self._writer.transport
        with contextlib.suppress(AttributeError, RuntimeError):
            transport.pause_reading()
            self._loop.call_later(1.0, transport.resume_reading)

    def _take(self, message: dict[str, Any]) -> None:
        if "call" in message:
            number = int(message["id"])
            if number not in self._working and len(self._working) < 1000:
                task = asyncio.create_task(self._answer(number, message))
                self._working[number] = task
                task.add_done_callback(lambda _: self._working.pop(number, None))
        elif "re" in message:
            number = message["re"]
            sink = self._sinks.get(number)
            if sink is not None and "item" in message:
                sink(message["item"])
                return
            queue = self._asked.get(number)
            if queue is not None:
                self._put(queue, message)
        elif "stop" in message and message["stop"] in self._working:
            self._working[message["stop"]].cancel()

    def _put(self, queue: asyncio.Queue[dict[str, Any]], message: dict[str, Any]) -> None:
        if queue.qsize() < _WAITING or ("item" not in message and not queue.full()):
            queue.put_nowait(message)
        elif queue.qsize() == _WAITING:
            # The reader is too slow. An end that is told can be taken up again from the last
            # number seen; a hole in the middle could not.
            queue.put_nowait({"error": {"what": f"{self.name}: too much at once", "away": True}})

    async def _answer(self, number: int, message: dict[str, Any]) -> None:
        call, args = str(message["call"]), message.get("args") or {}
        try:
            if call in self._answers.streams:
                async for item in self._answers.streams[call](args):
                    await self._send({"re": number, "item": item})
                await self._send({"re": number, "ok": None})
            elif call in self._answers.calls:
                value = await self._answers.calls[call](args)
                await self._send({"re": number, "ok": value})
            else:
                raise NotAllowedError(f"{call!r} can't be called here")
        except ChapiteauError as exc:
            told = {
                "what": exc.what,
                "hint": exc.hint,
                "code": exc.exit_code,
                "away": isinstance(exc, NodeAwayError),
            }
            with contextlib.suppress(NodeAwayError):
                await self._send({"re": number, "error": told})
        except (KeyError, TypeError, ValueError) as exc:
            told = {"what": f"{call}: not understood ({exc!r})"}
            with contextlib.suppress(NodeAwayError):
                await self._send({"re": number, "error": told})

    async def _keep_beating(self) -> None:
        with contextlib.suppress(NodeAwayError):
            self._heard = self._loop.time()
            while True:
                await asyncio.sleep(BEAT)
                if self._loop.time() - self._heard > BEAT * MISSED:
                    self._why = "silent for too long"
                    self._writer.transport.abort()
                await self._send({"beat": 1})

    async def _send(self, message: dict[str, Any]) -> None:
        if self._over.is_set():
            raise NodeAwayError(f"{self.name}: {self._why}")
        try:
            self._writer.write(msgspec.json.encode(message) + b"\n")
            await self._writer.drain()
        except (OSError, RuntimeError) as exc:
            raise NodeAwayError(f"{self.name}: {exc}") from exc


def _error(told: Mapping[str, Any]) -> ChapiteauError:
    what, hint = str(told.get("what", "refused")), str(told.get("hint", ""))
    if told.get("away"):
        return NodeAwayError(what, hint=hint)
    error = ChapiteauError(what, hint=hint)
    error.exit_code = int(told.get("code", 1))  # type: ignore[misc]
    return error
