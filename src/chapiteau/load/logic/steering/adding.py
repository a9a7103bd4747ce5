"""More load than was planned, while a test runs: whether it may come, and what to call it.

A running test tells what it can take as its `room`, so that who asks is answered at once; the test
itself asks the same again when the order arrives.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from chapiteau.core.problems import Problem
from chapiteau.load.logic.settings import LoadTest
from chapiteau.load.logic.shape import Shape

__all__ = ["Added", "Room", "added_marks", "added_part", "refusal", "room_of"]

_SEARCH: Final = "a search for the capacity chooses its rates itself"
_REPLAY: Final = "a replayed log decides by itself how much load there is"


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
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
    def from_dict(cls, raw: Mapping[str, Any] | None) -> "Room":
        """As a test has told it; one that tells none takes none."""
        if not raw:
            return cls(is_open=True, level=0.0, peak=0.0, most=0.0, fixed=_SEARCH)
        return cls(**{name: raw[name] for name in cls.__dataclass_fields__})


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
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


def room_of(test: LoadTest, shape: Shape, at: float, *, is_open: bool, replay: bool) -> Room:
    """What there is room for `at` seconds after the start."""
    most = min(test.ceiling, test.max_rate or math.inf) if is_open else test.most_users
    return Room(
        is_open=is_open,
        level=shape.level(at),
        peak=shape.peak_after(at),
        most=most,
        fixed=_REPLAY if replay else "",
    )


def refusal(room: Room, *, users: int = 0, rate: float = 0.0) -> Problem | None:
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


def added_part(found: Sequence[Added]) -> dict[str, Any]:
    """What a result document gets of the orders."""
    return {"added": [one.to_dict() for one in found]} if found else {}


def added_marks(found: Sequence[Added]) -> list[dict[str, Any]]:
    """The orders as marked moments, for charts and lists."""
    return [{"t": one.t, "who": one.who, "text": one.text} for one in found]
