"""What clients and the supervisor say to each other: queries, lines of output, outcomes."""

from dataclasses import dataclass, field
from typing import Any, ClassVar, Required, TypedDict

from chapiteau.core.errors import ChapiteauError
from chapiteau.core.plain import Plain

__all__ = [
    "Gap",
    "LogLine",
    "LogMessage",
    "LogQuery",
    "Outcome",
    "OutputStream",
    "PageMessage",
    "PreviousPage",
    "parse_position",
]


@dataclass(frozen=True, slots=True)
class OutputStream:
    """One output stream of one process number."""

    service: str
    process: int
    name: str  # "stdout" or "stderr"

    @property
    def source(self) -> str:
        """As `LogQuery.after` names it."""
        return f"{self.service}/{self.process}/{self.name}"

    def line(self, time: float, text: str, at: int = 0) -> "LogLine":
        """A line of it."""
        return LogLine(
            time=time,
            service=self.service,
            process=self.process,
            stream=self.name,
            text=text,
            at=at,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LogQuery:
    """Which output lines are wanted."""

    services: tuple[str, ...] = ()  # none means all
    process: int = 0  # 0 means all
    stream: str = ""  # "stdout", "stderr" or both
    last: int = 100  # how many old lines at first
    follow: bool = False
    grep: str = ""  # regular expression
    level: str = ""  # at least this level, where a level can be seen in the line
    since: float = 0.0  # seconds since 1970
    until: float = 0.0  # seconds since 1970; 0: no end. What has one is not followed
    # Where a reader was: "SERVICE/PROCESS/STREAM" → `at` of the last line that it has.
    after: dict[str, int] = field(default_factory=dict)
    # One page of a search, and where the one before it begins: the same, as (turn, offset).
    pages: bool = False
    before: dict[str, tuple[int, int]] = field(default_factory=dict)
    whole: bool = False  # every kept line from the first one on; `last` and `follow` do not count


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine(Plain):
    """One line of output of one process."""

    omit_empty: ClassVar = True
    time: float  # seconds since 1970, when it was read
    service: str
    process: int
    stream: str
    text: str
    at: int = 0  # bytes of its log file up to its end; 0 when unknown

    @property
    def source(self) -> str:
        """Which log file it is of, as `LogQuery.after` names it."""
        return f"{self.service}/{self.process}/{self.stream}"


class LogMessage(TypedDict, total=False):
    """A LogLine in the stream of lines: what is empty is left out."""

    time: Required[float]
    service: str
    process: int
    stream: str  # "note" when it is no output, but about it
    text: str
    at: int


class PageMessage(TypedDict):
    """A PreviousPage in the stream of lines."""

    older: dict[str, str]
    unread: list[str]


@dataclass(frozen=True, slots=True)
class PreviousPage:
    """A page of kept lines is over: where the one before it goes on, and what could not be read."""

    places: dict[str, str] = field(default_factory=dict)  # source → TURN:OFFSET; empty: that is all
    unread: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As in the stream of lines."""
        return {"older": self.places, "unread": list(self.unread)}

    @property
    def before(self) -> dict[str, tuple[int, int]]:
        """The same for `LogQuery.before`."""
        return {source: parse_position(text) for source, text in self.places.items()}


def parse_position(text: str) -> tuple[int, int]:
    """TURN:OFFSET. Raises ValueError."""
    turn, _, offset = text.partition(":")
    return int(turn), int(offset)


@dataclass(frozen=True, slots=True)
class Gap:
    """A reader was too slow, and this many items before the next one were dropped for it."""

    count: int

    def to_dict(self) -> dict[str, Any]:
        """As in the stream of lines or events."""
        return {"lost": self.count}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome(Plain):
    """What a command did. `ok` false comes with `error`, `hint` and the CLI's `exit_code`."""

    omit_empty: ClassVar = True
    ok: bool
    text: str = ""  # one line for people
    error: str = ""
    hint: str = ""
    exit_code: int = 0
    data: dict[str, Any] = field(default_factory=dict)  # pids started, stopped, replaced …

    @classmethod
    def failed(cls, exc: ChapiteauError) -> "Outcome":
        """An error as an outcome."""
        return cls(ok=False, error=exc.what, hint=exc.hint, exit_code=exc.exit_code)

    def to_error(self) -> ChapiteauError:
        """The error of a command that failed."""
        what = self.error or self.text or "the command failed"
        return ChapiteauError(what, hint=self.hint, exit_code=self.exit_code or 1)
