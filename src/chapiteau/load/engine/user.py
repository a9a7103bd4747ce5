"""One virtual user: a Task that runs sessions and waits in between."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from chapiteau.load.engine.http.wakeup import Wakeup
from chapiteau.load.engine.session import Session

__all__ = ["Stagehand", "User"]

# A user whose session failed without sending anything would spin; a person would wait, too.
_AFTER_FAILURE: Final = 0.1


class Stagehand(Protocol):
    """What a user asks of whoever directs it."""

    loop: asyncio.AbstractEventLoop
    now: Callable[[], float]

    def session(self, number: int) -> Session:
        """A session object for this user."""
        ...

    def iterate(self, session: Session, due: float) -> Awaitable[bool]:
        """Run one session; true when it came to its end."""
        ...

    def greet(self, session: Session) -> Awaitable[bool]:
        """The user's set-up; false when it failed."""
        ...

    def bid_farewell(self, session: Session) -> Awaitable[bool]:
        """The user's tear-down."""
        ...

    def more(self) -> bool:
        """Whether another session of a looping user is wanted."""
        ...

    def free(self, user: "User") -> None:
        """The user waits for its next session."""
        ...

    def gone(self, user: "User") -> None:
        """The user has left."""
        ...


class User:
    """Runs a session when called; with `looping`, one after the other until that is taken back."""

    __slots__ = ("_call", "_cut", "_due", "_hand", "_leaving", "_number", "busy", "looping", "task")

    def __init__(self, hand: Stagehand, number: int) -> None:
        self._hand = hand
        self._number = number
        self._call = Wakeup(hand.loop)
        self._due = 0.0
        self._leaving = False
        self._cut = False
        self.busy = False
        self.looping = False
        self.task: asyncio.Task[None] | None = None

    def call(self, due: float) -> None:
        """Take a session that is due at this moment of the clock."""
        self._due = due
        self.busy = True
        if self.task is None:
            self.task = self._hand.loop.create_task(self._live())
        elif asyncio.current_task(self._hand.loop) is None:
            self._call.wake()
        else:
            self._hand.loop.call_soon(self._call.wake)

    def cut(self) -> None:
        """End the session at hand; the user stays."""
        self.looping = False
        if self.busy and self.task is not None:
            self._cut = True
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
        try:
            if not await hand.greet(session):
                return
            session.settle()
            while not self._leaving:
                await self._sessions(session)
                if not self._leaving:
                    self._call.again()
                    self.busy = False
                    hand.free(self)
                    await self._call
            await hand.bid_farewell(session)
        finally:
            self.busy = False
            hand.gone(self)

    async def _sessions(self, session: Session) -> None:
        due = self._due
        while True:
            try:
                good = await self._hand.iterate(session, due)
                if not self.looping or not self._hand.more():
                    return
                if not session.sent:
                    await asyncio.sleep(0 if good else _AFTER_FAILURE)
            except asyncio.CancelledError:
                if not self._cut or self.task is None:
                    raise  # the loop itself ends
                # Cut off: only this session ends. The Task must not stay marked as cancelled.
                self._cut = False
                self.task.uncancel()
                return
            due = self._hand.now()
