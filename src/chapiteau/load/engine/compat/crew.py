"""Threads for scenario code that blocks: a free one takes each call, or a new one does.

They are daemons: a scenario that sleeps for an hour does not hold the load process back at its
end, as the threads of concurrent.futures would.
"""

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ["Crew"]

T = TypeVar("T")
_Work = tuple[Callable[[], Any], "asyncio.Future[Any]", asyncio.AbstractEventLoop]


class Crew:
    """Runs blocking calls for the loop."""

    def __init__(self) -> None:
        self._free: list[_Hand] = []  # touched in the loop's thread only

    async def run(self, function: Callable[[], T]) -> T:
        """What the function returns or raises, without holding the loop up."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        hand = self._free.pop() if self._free else _Hand()
        hand.take(function, future, loop, lambda: self._free.append(hand))
        return await future


class _Hand:
    """One thread, with one call at a time."""

    def __init__(self) -> None:
        self._work: queue.SimpleQueue[tuple[_Work, Callable[[], None]]] = queue.SimpleQueue()
        threading.Thread(target=self._live, name="scenario", daemon=True).start()

    def take(
        self,
        function: Callable[[], Any],
        future: "asyncio.Future[Any]",
        loop: asyncio.AbstractEventLoop,
        done: Callable[[], None],
    ) -> None:
        self._work.put(((function, future, loop), done))

    def _live(self) -> None:
        while True:
            (function, future, loop), done = self._work.get()
            error: BaseException | None = None
            value: Any = None
            try:
                value = function()
            except BaseException as exc:  # noqa: BLE001 — it is raised where it is awaited
                error = exc
            try:
                loop.call_soon_threadsafe(_settle, future, value, error, done)
            except RuntimeError:
                return  # the loop is closed: the run is over
            # Kept in no variable: a traceback would hold the scenario's objects until the next.
            del function, future, value, error, done


def _settle(
    future: "asyncio.Future[Any]", value: Any, error: BaseException | None, done: Callable[[], None]
) -> None:
    done()
    if future.done():
        return  # cut off meanwhile
    if error is None:
        future.set_result(value)
    elif isinstance(error, StopIteration):
        future.set_exception(RuntimeError("the scenario raised StopIteration"))
    else:
        future.set_exception(error)
