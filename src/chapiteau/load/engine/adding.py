"""Load that is added while a test runs: orders from the test's file, carried out once a second."""

import time
from collections.abc import Callable, Sequence
from typing import Protocol

from chapiteau.load.engine.store import LiveFile
from chapiteau.load.logic.settings import LoadTest
from chapiteau.load.logic.shape import Shape
from chapiteau.load.logic.steering.adding import Added, Room, refusal, room_of
from chapiteau.load.logic.steering.remarks import Remark

__all__ = ["Adding", "Growing", "Listening"]


class Growing(Protocol):
    """A team whose step at hand can change its shape."""

    zero: float
    ahead: float

    def reshape(self, shape: Shape, /) -> None:
        """Go on along this shape."""
        ...


class Listening(Protocol):
    """Where orders come from, and who is told in words what was added or refused."""

    @property
    def live(self) -> LiveFile | None:
        """Their file."""
        ...

    @property
    def say(self) -> Callable[[str], None]:
        """Takes a line."""
        ...


class Adding:
    """The shape of a run as it is, with all that was added so far."""

    def __init__(
        self, test: LoadTest, shape: Shape, watch: Listening, *, is_open: bool, replay: bool
    ) -> None:
        self.shape = shape
        self.added: list[Added] = []
        self._test = test
        self._is_open = is_open
        self._replay = replay
        self._live = watch.live
        self._say = watch.say

    def room(self, at: float) -> Room:
        """What can be added `at` seconds after the start."""
        return room_of(self._test, self.shape, at, is_open=self._is_open, replay=self._replay)

    def outline(self) -> list[str]:
        """The load over time in words, a line for each stage."""
        return self.shape.outline("/s" if self._is_open else " users")

    def carry_out(self, team: Growing) -> None:
        """Do what has been asked for since the last time."""
        orders = self._orders()
        if not orders:
            return
        # Load processes hear of it a little later: before that, nothing may change.
        at = round(time.monotonic() - team.zero + team.ahead, 1)
        shape = self.shape
        for order in orders:
            self._add(order, at)
        if self.shape != shape:
            team.reshape(self.shape)

    def _orders(self) -> Sequence[Remark]:
        """Those that have not been answered yet."""
        if self._live is None:
            return ()
        return [r for r in self._live.remarks() if r.what == "add"][len(self.added) :]

    def _add(self, order: Remark, at: float) -> None:
        problem = refusal(self.room(at), users=order.users, rate=order.rate)
        if problem is None:
            self.shape = self.shape.raised(at, order.users or order.rate)
        made = Added(
            asked=order.time,
            t=at,
            who=order.who,
            users=order.users,
            rate=order.rate,
            level=self.shape.level(at),
            refused="" if problem is None else problem.what,
        )
        self.added.append(made)
        self._say(f"{made.text} by {made.who}, {at:g} s after the start")
