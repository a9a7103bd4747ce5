"""What the supervisor offers to those who steer it: the control API, plugins, embedders."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from chapiteau.run.logic.events import Happening
from chapiteau.run.logic.status import SupervisorStatus

__all__ = ["LogLine", "LogQuery", "Outcome", "Port"]


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


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """One line of output of one process."""

    time: float  # seconds since 1970, when it was read
    service: str
    process: int
    stream: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a command did. `ok` false comes with `error`, `hint` and the CLI's `exit_code`."""

    ok: bool
    text: str = ""  # one line for people
    error: str = ""
    hint: str = ""
    exit_code: int = 0
    data: dict[str, Any] = field(default_factory=dict)  # pids started, stopped, replaced …


class Port(Protocol):
    """The running supervisor as its control API sees it."""

    def status(self) -> SupervisorStatus:
        """The state now."""
        ...

    async def command(
        self, verb: str, service: str, options: Mapping[str, Any], who: str
    ) -> Outcome:
        """Do start, stop, restart, reload, scale, signal, … and say what happened.

        Commands on one service are queued; on several services they run side by side.
        `options["wait"]` (default true) waits for the end; `options["timeout"]` in seconds.
        """
        ...

    async def apply_config(self, *, dry_run: bool, who: str) -> Outcome:
        """Read the file again: the plan in `data["changes"]`, applied unless `dry_run`."""
        ...

    async def shutdown(self, who: str) -> None:
        """Stop everything, then the supervisor. Returns at once."""
        ...

    def events(self, after: int, *, follow: bool) -> AsyncIterator[Happening]:
        """Every happening with a greater number that is still kept, then new ones."""
        ...

    def logs(self, query: LogQuery) -> AsyncIterator[LogLine]:
        """Kept lines, then new ones when following."""
        ...

    def stats(self) -> AsyncIterator[dict[str, Any]]:
        """One columnar message per second while anybody listens (docs/reference/control-api.md)."""
        ...
