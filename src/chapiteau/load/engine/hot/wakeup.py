"""Something to await whose end wakes the waiting Task at once, without a turn of the loop.

asyncio accepts any object that has `_asyncio_future_blocking` and the methods below as a future
(see asyncio.isfuture). A Future's callbacks go through `loop.call_soon`, which costs a Handle and
a turn of the loop for each request; a Wakeup calls the Task's own wake-up directly.

Law: `wake` may be called only from a callback of the loop, never while a Task of the same loop is
running; asyncio would find two running Tasks and refuse.
"""

import asyncio
from collections.abc import Callable, Generator
from contextvars import Context
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chapiteau.load.engine.hot.walk import Walk

__all__ = ["Wakeup"]


class Wakeup:
    """Awaited by one Task (or several, through gather and the like)."""

    __slots__ = ("_asyncio_future_blocking", "_error", "_loop", "_more", "_waiter", "over", "walk")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._asyncio_future_blocking = False
        self._loop = loop
        self._waiter: tuple[Callable[[Any], object], Context | None] | None = None
        self._more: list[tuple[Callable[[Any], object], Context | None]] | None = None
        self.over = False
        self._error: BaseException | None = None
        self.walk: Walk | None = None  # whose coroutine waits

    def __await__(self) -> Generator[Any, None, None]:
        """A tuple's iterator, not a generator: a Task asks `result` when it is woken, and throws
        what that raises in where it waits."""
        if not self.over:
            self._asyncio_future_blocking = True
            return iter((self,))  # type: ignore[return-value]  # all that `await` asks for
        if self._error is not None:
            raise self._error
        return iter(())  # type: ignore[return-value]

    __iter__ = __await__

    def wake(self) -> None:
        """It has happened: let who waits go on, before this returns."""
        self.over = True
        walk = self.walk
        if walk is not None:
            self.walk = None
            if self._waiter is None:
                walk.step(self._error)
                return
            self._loop.call_soon(walk.step, self._error)
        waiter, more = self._waiter, self._more
        if waiter is not None:
            self._waiter = None
            waiter[1].run(waiter[0], self) if waiter[1] is not None else waiter[0](self)
            if more is not None:
                self._wake_more()

    def _wake_more(self) -> None:
        more, self._more = self._more or [], None
        for callback, context in more:
            context.run(callback, self) if context is not None else callback(self)

    def fail(self, error: BaseException) -> None:
        """It can't happen any more: raise this where it is awaited.

        May be called by a running Task too; who waits is then woken in the loop's next turn.
        """
        self._error = error
        waited = self._waiter is not None or self.walk is not None
        if waited and asyncio.current_task(self._loop) is not None:
            self.over = True
            self._loop.call_soon(self.wake)
        else:
            self.wake()

    def again(self) -> None:
        """Make it awaitable once more."""
        self.over = False
        self._error = None

    def taken(self, walk: "Walk") -> None:
        """This is who waits, instead of a Task."""
        self._asyncio_future_blocking = False
        self.walk = walk

    # ── what asyncio asks of a future ─────────────────────────────────────────────────────────
    def add_done_callback(
        self, callback: Callable[[Any], object], *, context: Context | None = None
    ) -> None:
        """Called when it is over; at once in the loop's next turn when it already is."""
        if self.over:
            self._loop.call_soon(callback, self, context=context)
        elif self._waiter is None:
            self._waiter = (callback, context)
        else:
            self._more = [*(self._more or ()), (callback, context)]

    def remove_done_callback(self, callback: Callable[[Any], object]) -> int:
        """How many of the callbacks were taken off."""
        every = [w for w in (self._waiter, *(self._more or ())) if w is not None]
        kept = [w for w in every if w[0] != callback]
        self._waiter = kept[0] if kept else None
        self._more = kept[1:] or None
        return len(every) - len(kept)

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """The loop it belongs to."""
        return self._loop

    def done(self) -> bool:
        """Whether it is over."""
        return self.over

    def cancelled(self) -> bool:
        """Whether it ended by cancellation."""
        return isinstance(self._error, asyncio.CancelledError)

    def result(self) -> None:
        """Nothing; raises what it failed with."""
        if not self.over:
            raise asyncio.InvalidStateError("not over yet")
        if self._error is not None:
            raise self._error

    def exception(self) -> BaseException | None:
        """What it failed with."""
        return self._error

    def cancel(self, msg: object = None) -> bool:
        """End it with CancelledError; false when it is over already."""
        if self.over:
            return False
        self.dropped()
        self._error = asyncio.CancelledError() if msg is None else asyncio.CancelledError(msg)
        self.over = True
        self._loop.call_soon(self.wake)
        return True

    def dropped(self) -> None:
        """Nobody waits any more: a subclass lets go of what it holds."""
