"""Something to await whose end wakes the waiting Task at once, without a turn of the loop.

asyncio accepts any object that has `_asyncio_future_blocking` and the methods below as a future
(see asyncio.isfuture). A Future's callbacks go through `loop.call_soon`, which costs a Handle and
a turn of the loop for each request; a Wakeup calls the Task's own wake-up directly.

Law: `wake` may be called only from a callback of the loop, never while a Task of the same loop is
running; asyncio would find two running Tasks and refuse.
"""

import asyncio
import contextvars
from asyncio.tasks import _enter_task, _leave_task
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context
from typing import Any

__all__ = ["Completion", "CoroutineDriver"]


class Completion:
    """Awaited by one Task (or several, through gather and the like)."""

    __slots__ = (
        "_asyncio_future_blocking",
        "_error",
        "_loop",
        "_more",
        "_waiter",
        "driver",
        "over",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._asyncio_future_blocking = False
        self._loop = loop
        self._waiter: tuple[Callable[[Any], object], Context | None] | None = None
        self._more: list[tuple[Callable[[Any], object], Context | None]] | None = None
        self.over = False
        self._error: BaseException | None = None
        self.driver: CoroutineDriver | None = None  # whose coroutine waits

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
        driver = self.driver
        if driver is not None:
            self.driver = None
            if self._waiter is None:
                driver.step(self._error)
                return
            self._loop.call_soon(driver.step, self._error)
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
        waited = self._waiter is not None or self.driver is not None
        if waited and asyncio.current_task(self._loop) is not None:
            self.over = True
            self._loop.call_soon(self.wake)
        else:
            self.wake()

    def again(self) -> None:
        """Make it awaitable once more."""
        self.over = False
        self._error = None

    def taken(self, driver: "CoroutineDriver") -> None:
        """This is who waits, instead of a Task."""
        self._asyncio_future_blocking = False
        self.driver = driver

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

    def abandon(self) -> None:
        """Who waited, in a Task's stead, waits no more."""
        self.driver = None
        self.cancel()

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


# A coroutine that the engine itself goes on with, as long as it waits for nothing but the engine.
#
# A Task asks each future that it waits for for its loop, hands it a callback, and has it say what
# to throw; that costs more than the engine's own part of a request. A Walk is driven by a real
# Task, which stays asleep meanwhile: what the coroutine waits for calls `step`. When the coroutine
# waits for anything else (a sleep, another library's future), the Task wakes up and waits for that.
#
# To the coroutine there is no difference: the Task is the current one while it runs, in its own
# context, and what cancels the Task cancels what the coroutine waits for.

# Meant for this: see "Extending" in asyncio's documentation.


class CoroutineDriver(Completion):
    """Awaited by the Task, once; over when the coroutine has ended or waits for something else."""

    __slots__ = ("_ended", "_found", "_raised", "_run", "_send", "_task", "_throw", "_waiting")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any]
    ) -> None:
        super().__init__(loop)
        self._send = coroutine.send
        self._throw = coroutine.throw
        self._task: asyncio.Task[Any]
        self._run: Callable[..., Any] | None = None  # in the Task's context
        self._waiting: Completion | None = None
        self._found: Any = None  # what it waits for that is not the engine's, or what it returned
        self._raised: BaseException | None = None
        self._ended = False

    def __await__(self) -> Generator[Any, None, Any]:
        """Go along with the coroutine from within its Task."""
        task = asyncio.current_task(self._loop)
        if task is None:
            raise RuntimeError("must be awaited inside an asyncio task")
        self._task = task
        error: BaseException | None = None
        while True:
            try:
                found = self._send(None) if error is None else self._throw(error)
            except StopIteration as stop:
                return stop.value
            error = None
            if isinstance(found, Completion):
                try:
                    yield self._rest(found)
                except BaseException as exc:  # noqa: BLE001 — the coroutine's to deal with
                    error = exc
                    self.dropped()
                if self._ended:
                    # Cancelled by itself on the last part of its way: as with a Task, it is then.
                    if (raised := self._raised or error) is not None:
                        raise raised
                    return self._found
                found, self._found = self._found, None
                if error is not None and not _cancelled_too(found, error):
                    continue
                error = None
            try:
                yield found
            except BaseException as exc:  # noqa: BLE001 — as above
                error = exc

    def _rest(self, found: Completion) -> "CoroutineDriver":
        """Wait for something of the engine's; what the Task then waits for."""
        self.again()
        found.taken(self)
        self._waiting = found
        self._asyncio_future_blocking = True
        return self

    def step(self, error: BaseException | None) -> None:
        """What it waited for is over."""
        run = self._run
        if run is None:
            run = self._first()
        loop, task = self._loop, self._task
        self._waiting = None
        _enter_task(loop, task)
        try:
            found = run(self._send, None) if error is None else run(self._throw, error)
        except StopIteration as stop:
            self._found = stop.value
            self._ended = True
        except BaseException as exc:  # noqa: BLE001 — its Task raises it
            self._raised = exc
            self._ended = True
        else:
            if isinstance(found, Completion) and not self.over:
                found._asyncio_future_blocking = False  # noqa: SLF001 — `taken`, written out
                found.driver = self
                self._waiting = found
                _leave_task(loop, task)
                return
            self._found = found
        _leave_task(loop, task)
        if not self.over:  # else it was cancelled while it ran: its Task will come by
            self.wake()

    def _first(self) -> Callable[..., Any]:
        context = self._waiter[1] if self._waiter is not None else None
        self._run = run = (context or contextvars.copy_context()).run
        return run

    def dropped(self) -> None:
        """The Task is cancelled, and with it what the coroutine waits for."""
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.abandon()


def _cancelled_too(found: Any, error: BaseException) -> bool:
    """As a Task does it: it cancels the future it would have waited for, and waits for its end."""
    return isinstance(error, asyncio.CancelledError) and asyncio.isfuture(found) and found.cancel()
