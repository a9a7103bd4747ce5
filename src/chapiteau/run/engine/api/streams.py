"""Endless answers: NDJSON, or server-sent events for those who ask for them."""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Any, Final

from chapiteau.run.engine.api.request import Flow, Request
from chapiteau.run.logic.messages import Lost

__all__ = ["stream"]

_BEAT: Final = 15.0  # seconds of silence after which a line without meaning is sent
_LAST: Final = 0.01  # seconds for items that are still on their way when the server goes

Shape = Callable[[Any], dict[str, Any]]


def stream(
    request: Request,
    items: AsyncIterator[Any],
    shape: Shape,
    closing: asyncio.Event,
    *,
    numbered: bool = False,
) -> Flow:
    """Send each item as soon as it comes; `Lost` becomes `{"lost": n}`.

    With `numbered`, an item's `seq` becomes the SSE id, so that `Last-Event-ID` continues there.
    `closing` is set when the server goes.
    """
    sse = "text/event-stream" in request.headers.get("accept", "")

    async def pieces() -> AsyncGenerator[bytes, None]:
        async with contextlib.aclosing(_with_beats(items, closing)) as source:
            async for item in source:
                yield _encode(item, shape, sse=sse, numbered=numbered)

    kind = "text/event-stream" if sse else "application/x-ndjson"
    return Flow(kind=kind, pieces=pieces())


def _encode(item: Any, shape: Shape, *, sse: bool, numbered: bool) -> bytes:
    if item is None:
        return b": still here\n\n" if sse else b"\n"
    data = {"lost": item.count} if isinstance(item, Lost) else shape(item)
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=False)
    if not sse:
        return text.encode() + b"\n"
    head = f"id: {data['seq']}\nevent: {data['kind']}\n" if numbered and "seq" in data else ""
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
