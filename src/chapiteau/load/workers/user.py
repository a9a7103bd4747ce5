"""One virtual user: a Task that runs sessions and waits in between."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol

from chapiteau.load.engine.completion import Completion, CoroutineDriver
from chapiteau.load.engine.session import Session

__all__ = ["User", "UserHost"]


class UserHost(Protocol):
    """What a user needs of its pool."""

    loop: asyncio.AbstractEventLoop
    now: Callable[[], float]
    completion: Callable[[asyncio.AbstractEventLoop], Completion]
    driver: Callable[[asyncio.AbstractEventLoop, Coroutine[Any, Any, None]], CoroutineDriver]

    def session(self, number: int) -> Session:
        """A session object for this user."""
        ...

    def perform(self, user: "User", session: Session) -> Awaitable[None]:
        """Run the session that is due; while the user loops, one after the other."""
        ...

    def set_up(self, session: Session) -> Awaitable[bool]:
        """The user's set-up; false when it failed."""
        ...

    def tear_down_user(self, session: Session) -> Awaitable[bool]:
        """The user's tear-down."""
        ...

    def free(self, user: "User") -> None:
        """The user waits for its next session."""
        ...

    def remove(self, user: "User") -> None:
        """The user has left."""
        ...


class User:
    """Runs a session when called; with `looping`, one after the other until that is taken back."""

    __slots__ = (
        "_call",
        "_leaving",
        "_number",
        "_pool",
        "being_cut",
        "busy",
        "due",
        "looping",
        "resting",
        "task",
    )  # fmt: skip

    def __init__(self, pool: UserHost, number: int) -> None:
        self._pool = pool
        self._number = number
        self._call = pool.completion(pool.loop)
        self.due = 0.0
        self._leaving = False
        self.being_cut = False
        self.busy = False
        self.looping = False
        self.resting = False  # between two sessions of a loop
        self.task: asyncio.Task[None] | None = None

    def call(self, due: float, *, looping: bool = False) -> None:
        """Take a session that is due at this moment of the clock, or one after the other."""
        self.looping = looping
        self.due = due
        self.busy = True
        if self.task is None:
            self.task = self._pool.loop.create_task(
                _driven(self._pool.driver(self._pool.loop, self._live()))
            )
        elif asyncio.current_task(self._pool.loop) is None:
            self._call.wake()
        else:
            self._pool.loop.call_soon(self._call.wake)

    def stop_looping(self) -> None:
        """No further session after the one under way."""
        self.looping = False

    async def rest(self, seconds: float) -> None:
        """Wait between two sessions of a loop."""
        self.resting = True
        await asyncio.sleep(max(0.0, seconds))
        self.resting = False

    def cut(self) -> None:
        """End the session under way; the user stays."""
        self.looping = self.resting = False
        if self.busy and self.task is not None:
            self.being_cut = True
            self.task.cancel()

    def leave(self) -> None:
        """End, after the session under way."""
        self._leaving = True
        if self.busy:
            self.cut()
        else:
            self._pool.loop.call_soon(self._call.wake)

    async def _live(self) -> None:
        pool = self._pool
        session = pool.session(self._number)
        came = pool.now()
        try:
            if not await pool.set_up(session):
                return
            session.settle()
            self.due += pool.now() - came  # a log-in takes its time: no session is late for that
            while not self._leaving:
                try:
                    await pool.perform(self, session)
                except asyncio.CancelledError:
                    self._was_cut()
                if not self._leaving:
                    self._call.again()
                    self.busy = False
                    pool.free(self)
                    await self._call
            await pool.tear_down_user(session)
        finally:
            self.busy = False
            pool.remove(self)

    def _was_cut(self) -> None:
        """Only this session ends, and the Task must not stay marked as cancelled."""
        if not self.being_cut or self.task is None:
            raise  # noqa: PLE0704 — called while it is handled: the loop itself ends
        self.being_cut = False
        self.task.uncancel()


async def _driven(driver: CoroutineDriver) -> None:
    await driver
