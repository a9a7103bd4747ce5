"""What the supervisor offers to those who steer it: the control API, plugins, embedders."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from chapiteau.run.events import Event
from chapiteau.run.logs.messages import Gap, LogLine, LogQuery, Outcome, PreviousPage

if TYPE_CHECKING:
    from chapiteau.run.api.status import SocketHolders, SupervisorStatus

__all__ = ["Gap", "LogLine", "LogQuery", "Outcome", "SupervisorApi"]


class SupervisorApi(Protocol):
    """The running supervisor as its control API sees it."""

    def status(self) -> "SupervisorStatus":
        """The state now."""
        ...

    def services(self) -> dict[str, Any]:
        """The services in few words, as run/api/status.py describes them."""
        ...

    async def command(
        self, verb: str, service: str, options: Mapping[str, Any], who: str
    ) -> Outcome:
        """Do start, stop, restart, reload, scale, signal, … and say what happened.

        `service` is a name, a glob, several of them with commas, or `all`
        (run/config/selection.py); when none matches, the Outcome has exit code 3.
        Commands on one service are queued; on several services they run side by side.
        `options["wait"]` (default true) waits for the end; `options["timeout"]` in seconds.
        """
        ...

    async def apply_config(self, *, dry_run: bool, who: str) -> Outcome:
        """Read the file again: the plan in `data["changes"]`, applied unless `dry_run`."""
        ...

    async def configure(
        self, service: str, settings: Mapping[str, Any], reset: Sequence[str], who: str
    ) -> Outcome:
        """Change settings of services at run time: {"stop_timeout": "3s"}, true or an error.

        `reset` gives settings back to the file, "*" all of them. It lasts until the file is
        followed again (`apply_config`); `status` and plans show it as drift. Among `settings`,
        "+" adds a service of this name, and "-" removes it.
        """
        ...

    async def shutdown(self, who: str, *, force: bool = False) -> None:
        """Stop everything, then the supervisor. Returns at once; `force` gives no grace."""
        ...

    async def upgrade(self, who: str) -> Outcome:
        """Let the keeper and the brain become those that are installed now; services go on."""
        ...

    def message(self, text: str, service: str, data: Mapping[str, Any], who: str) -> None:
        """Record an event of kind plugin.message."""
        ...

    async def enter(self, service: str, text: str, options: Mapping[str, Any], who: str) -> Outcome:
        """Give a process input. `options`: `process` (1), `eof`, `rows` and `columns`."""
        ...

    def screen(self, service: str, process: int) -> AsyncGenerator[bytes, None]:
        """What a process prints from now on, as it is, until it ends.

        Raises NotFoundError at once when there is none.
        """
        ...

    async def holders(self, socket: str) -> "SocketHolders":
        """Every process that has this listening socket open. Raises NotFoundError."""
        ...

    def config(self) -> dict[str, Any]:
        """The running configuration as plain values; secrets are shown by their place only."""
        ...

    def events(self, after: int, *, follow: bool) -> AsyncIterator[Event | Gap]:
        """Every happening with a greater number that is still kept, then new ones.

        A reader that is too slow gets a `Lost` in place of what was dropped for it: the
        supervisor keeps a bounded number for each reader and never waits for one.
        """
        ...

    def logs(self, query: LogQuery) -> AsyncIterator[LogLine | Gap | PreviousPage]:
        """Kept lines, then new ones when following; bounded as `events` is."""
        ...

    def stats(self) -> AsyncIterator[dict[str, Any]]:
        """One columnar message per second while anybody listens (docs/reference/control-api.md)."""
        ...
