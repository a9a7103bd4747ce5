"""A coroutine that the engine itself goes on with, as long as it waits for nothing but the engine.

A Task asks each future that it waits for for its loop, hands it a callback, and has it say what to
throw; that costs more than the engine's own part of a request. A Walk is driven by a real Task,
which stays asleep meanwhile: what the coroutine waits for calls `step`. When the coroutine waits
for anything else (a sleep, another library's future), the Task wakes up and waits for that.

To the coroutine there is no difference: the Task is the current one while it runs, in its own
context, and what cancels the Task cancels what the coroutine waits for.
"""

import asyncio
import contextvars

# Meant for this: see "Extending" in asyncio's documentation.
from asyncio.tasks import _enter_task, _leave_task
from collections.abc import Callable, Coroutine, Generator
from typing import Any

from chapiteau.load.engine.hot.wakeup import Wakeup

__all__ = ["Walk"]


class Walk(Wakeup):
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
        self._waiting: Wakeup | None = None
        self._found: Any = None  # what it waits for that is not the engine's, or what it returned
        self._raised: BaseException | None = None
        self._ended = False

    def __await__(self) -> Generator[Any, None, Any]:
        """Go along with the coroutine from within its Task."""
        task = asyncio.current_task(self._loop)
        if task is None:
            raise RuntimeError("a walk needs a Task")
        self._task = task
        error: BaseException | None = None
        while True:
            try:
                found = self._send(None) if error is None else self._throw(error)
            except StopIteration as stop:
                return stop.value
            error = None
            if isinstance(found, Wakeup):
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

    def _rest(self, found: Wakeup) -> "Walk":
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
            if isinstance(found, Wakeup) and not self.over:
                found._asyncio_future_blocking = False  # noqa: SLF001 — `taken`, written out
                found.walk = self
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
            waiting.walk = None
            waiting.cancel()


def _cancelled_too(found: Any, error: BaseException) -> bool:
    """As a Task does it: it cancels the future it would have waited for, and waits for its end."""
    return isinstance(error, asyncio.CancelledError) and asyncio.isfuture(found) and found.cancel()
