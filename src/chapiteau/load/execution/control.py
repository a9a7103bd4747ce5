"""What people say to a running test: that it shall end, what happens now, that load comes on top.

One JSON object a line, written by whoever says it and read by the test, and by who watches it.
A running test tells what it can take as its `room`, so that who asks for more load is answered at
once; the test itself asks the same again when the order arrives.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, TypedDict

import msgspec

from chapiteau.core.problems import Problem
from chapiteau.load.report.result import Mark
from chapiteau.load.scenario.shape import Shape
from chapiteau.load.settings import LoadTest

__all__ = [
    "MAX_MARK_LENGTH",
    "NO_ROOM",
    "AddedLoad",
    "AddedLoadEntry",
    "ControlMessage",
    "Headroom",
    "LiveState",
    "added_load_marks",
    "added_load_section",
    "all_marks",
    "check_added_load",
    "format_message",
    "headroom",
    "marks",
    "parse_messages",
    "read_messages",
    "stopped_by",
]

MAX_MARK_LENGTH: Final = 200  # letters of a mark
_MAX_MESSAGES: Final = 200  # that are read; nobody looks at more
_REPLAY: Final = "a replayed log decides by itself how much load there is"


class ControlMessage(msgspec.Struct, frozen=True, kw_only=True):
    """One of them; `time` in seconds since 1970."""

    time: float
    what: Literal["mark", "stop", "add"]
    who: str
    text: str = ""
    users: int = 0  # (add) so many more
    rate: float = 0.0  # (add) so many sessions a second more


_decode: Final = msgspec.json.Decoder(ControlMessage).decode


def format_message(message: ControlMessage) -> str:
    """As it is appended to the test's file."""
    return msgspec.json.encode(message).decode() + "\n"


def parse_messages(text: str) -> Iterator[ControlMessage]:
    """What is in a file; a line that can't be read is left out: it may be half written."""
    for line in text.splitlines()[:_MAX_MESSAGES]:
        try:
            yield _decode(line.encode())
        except ValueError:
            continue


def read_messages(path: Path) -> list[ControlMessage]:
    """What has been said to a test; nothing when there is no such file."""
    try:
        return list(parse_messages(path.read_text(encoding="utf-8")))
    except OSError:
        return []


def marks(found: Sequence[ControlMessage], started: float) -> list[Mark]:
    """The marked moments in seconds after the test's start, as its result keeps them."""
    return [
        Mark(round(max(0.0, one.time - started), 1), one.who, one.text[:MAX_MARK_LENGTH])
        for one in sorted(found, key=lambda one: one.time)
        if one.what == "mark"
    ]


def all_marks(
    found: Sequence[ControlMessage],
    started: float,
    lost: Mapping[str, float] | None = None,
    more: Sequence[Mark] = (),
) -> list[Mark]:
    """The marks of a result: these, machines that were lost (name → seconds), and `more`."""
    were_lost = [Mark(t, name, "was lost") for name, t in (lost or {}).items()]
    return sorted([*marks(found, started), *more, *were_lost], key=lambda mark: mark.t)


def stopped_by(found: Sequence[ControlMessage]) -> str:
    """Who asked for the end first; "" when nobody did."""
    return next((one.who for one in found if one.what == "stop"), "")


# ── more load than was planned ────────────────────────────────────────────────────────────────


class Headroom(msgspec.Struct, frozen=True, kw_only=True):
    """What a running test can take: sessions a second (`is_open`) or users."""

    is_open: bool
    level: float  # now
    peak: float  # the highest one from now on
    most: float  # no load above this
    fixed: str = ""  # why none can be added at all; "" when it can


NO_ROOM: Final = Headroom(
    is_open=True,
    level=0.0,
    peak=0.0,
    most=0.0,
    fixed="a search for the capacity chooses its rates itself",
)


class AddedLoad(msgspec.Struct, frozen=True, kw_only=True):
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


class AddedLoadEntry(TypedDict):
    """An order as a result document has it: `AddedLoad`, and its text."""

    asked: float
    t: float
    who: str
    users: int
    rate: float
    level: float
    refused: str
    text: str


class LiveState(TypedDict, total=False):
    """What watchers of a running test see of it; at its end `run` and `result` only."""

    run: str
    pid: int
    kind: str
    name: str
    target: str
    objective: str
    started: float
    seconds: float
    requests: int
    errors: float
    p50: float | None
    p99: float | None
    dropped: int
    soundness: Any
    so_far: list[Any]
    rows: Any
    failures: Any
    timeline: list[Any]
    room: Any
    load: list[str]
    added: list[AddedLoadEntry]
    marks: list[Any]
    ended_by: str
    phase: str  # of a search: what its step is for, and its rate
    rate: float
    result: int


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


def added_load_section(found: Sequence[AddedLoad]) -> list[AddedLoadEntry]:
    """The orders as a result document has them."""
    return [msgspec.to_builtins(one) | {"text": one.text} for one in found]


def added_load_marks(found: Sequence[AddedLoad]) -> list[Mark]:
    """The orders as marked moments, for charts and lists."""
    return [Mark(one.t, one.who, one.text) for one in found]
