"""One virtual user: a Task that runs sessions and waits in between."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol

from chapiteau.load.engine.completion import Completion, CoroutineDriver
from chapiteau.load.engine.session import Session

__all__ = ["User", "UserHost"]


class UserHost(Protocol):
    """What a user asks of whoever directs it."""

    loop: asyncio.AbstractEventLoop
    now: Callable[[], float]
    wakeup: Callable[[asyncio.AbstractEventLoop], Completion]
    walk: Callable[[asyncio.AbstractEventLoop, Coroutine[Any, Any, None]], CoroutineDriver]

    def session(self, number: int) -> Session:
        """A session object for this user."""
        ...

    def perform(self, user: "User", session: Session) -> Awaitable[None]:
        """Run the session that is due; while the user loops, one after the other."""
        ...

    def greet(self, session: Session) -> Awaitable[bool]:
        """The user's set-up; false when it failed."""
        ...

    def bid_farewell(self, session: Session) -> Awaitable[bool]:
        """The user's tear-down."""
        ...

    def free(self, user: "User") -> None:
        """The user waits for its next session."""
        ...

    def gone(self, user: "User") -> None:
        """The user has left."""
        ...


class User:
    """Runs a session when called; with `looping`, one after the other until that is taken back."""

    __slots__ = (
        "_call", "_hand", "_leaving", "_number", "being_cut", "busy", "due", "looping", "resting",
        "task",
    )  # fmt: skip

    def __init__(self, hand: UserHost, number: int) -> None:
        self._hand = hand
        self._number = number
        self._call = hand.wakeup(hand.loop)
        self.due = 0.0
        self._leaving = False
        self.being_cut = False
        self.busy = False
        self.looping = False
        self.resting = False  # between two sessions of a loop
        self.task: asyncio.Task[None] | None = None

    def call(self, due: float) -> None:
        """Take a session that is due at this moment of the clock."""
        self.due = due
        self.busy = True
        if self.task is None:
            self.task = self._hand.loop.create_task(
                _walked(self._hand.walk(self._hand.loop, self._live()))
            )
        elif asyncio.current_task(self._hand.loop) is None:
            self._call.wake()
        else:
            self._hand.loop.call_soon(self._call.wake)

    def cut(self) -> None:
        """End the session at hand; the user stays."""
        self.looping = self.resting = False
        if self.busy and self.task is not None:
            self.being_cut = True
            self.task.cancel()

    def leave(self) -> None:
        """Go home."""
        self._leaving = True
        if self.busy:
            self.cut()
        else:
            self._hand.loop.call_soon(self._call.wake)

    async def _live(self) -> None:
        hand = self._hand
        session = hand.session(self._number)
        came = hand.now()
        try:
            if not await hand.greet(session):
                return
            session.settle()
            self.due += hand.now() - came  # a log-in takes its time: no session is late for that
            while not self._leaving:
                try:
                    await hand.perform(self, session)
                except asyncio.CancelledError:
                    self._was_cut()
                if not self._leaving:
                    self._call.again()
                    self.busy = False
                    hand.free(self)
                    await self._call
            await hand.bid_farewell(session)
        finally:
            self.busy = False
            hand.gone(self)

    def _was_cut(self) -> None:
        """Only this session ends, and the Task must not stay marked as cancelled."""
        if not self.being_cut or self.task is None:
            raise  # noqa: PLE0704 — called while it is handled: the loop itself ends
        self.being_cut = False
        self.task.uncancel()


async def _walked(walk: CoroutineDriver) -> None:
    await walk
