"""Load that is added while a test runs: orders from the test's file, carried out once a second."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Protocol

from chapiteau.core.problems import Problem
from chapiteau.load.execution.control import ControlMessage
from chapiteau.load.execution.storage import LiveFile
from chapiteau.load.scenario.shape import Shape
from chapiteau.load.settings import LoadTest

__all__ = [
    "AddedLoad",
    "ControlSource",
    "Headroom",
    "LoadController",
    "ReshapableWorkers",
    "added_load_marks",
    "added_load_section",
    "check_added_load",
    "headroom",
]


# More load than was planned, while a test runs: whether it may come, and what to call it.
#
# A running test tells what it can take as its `room`, so that who asks is answered at once; the
# test itself asks the same again when the order arrives.

_SEARCH: Final = "a search for the capacity chooses its rates itself"
_REPLAY: Final = "a replayed log decides by itself how much load there is"


@dataclass(frozen=True, slots=True, kw_only=True)
class Headroom:
    """What a running test can take: sessions a second (`is_open`) or users."""

    is_open: bool
    level: float  # now
    peak: float  # the highest one from now on
    most: float  # no load above this
    fixed: str = ""  # why none can be added at all; "" when it can

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any] | None) -> "Headroom":
        """As a test has told it; one that tells none takes none."""
        if not raw:
            return cls(is_open=True, level=0.0, peak=0.0, most=0.0, fixed=_SEARCH)
        return cls(**{name: raw[name] for name in cls.__dataclass_fields__})


@dataclass(frozen=True, slots=True, kw_only=True)
class AddedLoad:
    """What became of one order. `asked` is the moment of the order (since 1970), `t` when it took
    effect in seconds after the load's start; `refused` says why it did not, `level` what there was
    of it then."""

    asked: float
    t: float
    who: str
    users: int = 0
    rate: float = 0.0
    level: float = 0.0
    refused: str = ""

    @property
    def text(self) -> str:
        """For people: "+50 users", "+20/s"."""
        what = f"+{self.users} users" if self.users else f"+{self.rate:g}/s"
        return f"{what} refused: {self.refused}" if self.refused else what

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self) | {"text": self.text}


def headroom(test: LoadTest, shape: Shape, at: float, *, is_open: bool, replay: bool) -> Headroom:
    """What there is room for `at` seconds after the start."""
    most = min(test.ceiling, test.max_rate or math.inf) if is_open else test.most_users
    return Headroom(
        is_open=is_open,
        level=shape.level(at),
        peak=shape.peak_after(at),
        most=most,
        fixed=_REPLAY if replay else "",
    )


def check_added_load(room: Headroom, *, users: int = 0, rate: float = 0.0) -> Problem | None:
    """Why so much may not be added; None when it may. `users` and `rate` are what is asked for."""
    if room.fixed:
        return Problem("load", room.fixed, "end it and begin another test: chapiteau load stop")
    asked = users or rate
    if not (asked > 0 and math.isfinite(asked)) or (users and rate):
        return Problem("load", "say how much comes on top, of one kind", "--users 50 or --rate 20")
    if room.is_open and users:
        hint = "--rate 20 adds 20 sessions a second"
        return Problem("users", "this test has a rate, not a number of users (open model)", hint)
    if not room.is_open and not users:
        hint = "--users 50 adds 50 users"
        return Problem("rate", "this test has users, not a rate (closed model)", hint)
    if not room.peak:
        return Problem("load", "its load is over", "begin another test")
    whole = room.peak + asked
    if whole > room.most:
        unit, flag = ("/s", "ceiling") if room.is_open else (" users", "most_users")
        what = f"{whole:g}{unit} would be above the {room.most:g}{unit} that it may reach"
        flags = "--ceiling (and max_rate)" if room.is_open else "--most-users"
        return Problem(flag, what, f"{flags} is set when a test begins")
    return None


def added_load_section(found: Sequence[AddedLoad]) -> dict[str, Any]:
    """What a result document gets of the orders."""
    return {"added": [one.to_dict() for one in found]} if found else {}


def added_load_marks(found: Sequence[AddedLoad]) -> list[dict[str, Any]]:
    """The orders as marked moments, for charts and lists."""
    return [{"t": one.t, "who": one.who, "text": one.text} for one in found]


class ReshapableWorkers(Protocol):
    """A team whose step at hand can change its shape."""

    zero: float
    ahead: float

    def reshape(self, shape: Shape, /) -> None:
        """Go on along this shape."""
        ...


class ControlSource(Protocol):
    """Where orders come from, and who is told in words what was added or refused."""

    @property
    def live(self) -> LiveFile | None:
        """Their file."""
        ...

    @property
    def say(self) -> Callable[[str], None]:
        """Takes a line."""
        ...


class LoadController:
    """The shape of a run as it is, with all that was added so far."""

    def __init__(
        self, test: LoadTest, shape: Shape, watch: ControlSource, *, is_open: bool, replay: bool
    ) -> None:
        self.shape = shape
        self.added: list[AddedLoad] = []
        self._test = test
        self._is_open = is_open
        self._replay = replay
        self._live = watch.live
        self._say = watch.say

    def room(self, at: float) -> Headroom:
        """What can be added `at` seconds after the start."""
        return headroom(self._test, self.shape, at, is_open=self._is_open, replay=self._replay)

    def outline(self) -> list[str]:
        """The load over time in words, a line for each stage."""
        return self.shape.outline("/s" if self._is_open else " users")

    def carry_out(self, team: ReshapableWorkers) -> None:
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

    def _orders(self) -> Sequence[ControlMessage]:
        """Those that have not been answered yet."""
        if self._live is None:
            return ()
        return [r for r in self._live.remarks() if r.what == "add"][len(self.added) :]

    def _add(self, order: ControlMessage, at: float) -> None:
        problem = check_added_load(self.room(at), users=order.users, rate=order.rate)
        if problem is None:
            self.shape = self.shape.raised(at, order.users or order.rate)
        made = AddedLoad(
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
