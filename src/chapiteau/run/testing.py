"""A supervisor in memory: answers every call of the control API, without a process in the world.

Test scripts, dashboards and clients against it; `control_server` puts the real server in front.
"""

import asyncio
import contextlib
import os
import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from chapiteau.core.clock import Clock, ManualClock
from chapiteau.core.errors import NotFoundError
from chapiteau.run.api.server import start_server
from chapiteau.run.api.status import (
    Holder,
    ProcessStatus,
    ServiceStatus,
    ServiceSummaries,
    SocketHolders,
    SocketStatus,
    StatsMessage,
    SupervisorStatus,
)
from chapiteau.run.config.access import Access
from chapiteau.run.config.selection import select
from chapiteau.run.events import Event
from chapiteau.run.logs.messages import Gap, LogLine, LogQuery, Outcome

__all__ = ["MemorySupervisor", "control_server"]

_KEPT = 1000  # of each: events, lines, and items that wait for one reader


class MemorySupervisor:
    """Keeps wanted counts, events and lines in memory; commands take effect at once.

    `say` adds a line of output, `happen` an event; `fail[verb] = Outcome(ok=False, …)` makes a
    command fail. `changes` is what `plan` and `apply` answer.
    """

    def __init__(
        self, services: Mapping[str, int] | None = None, clock: Clock | None = None
    ) -> None:
        self.clock = clock or ManualClock()
        self.wanted = dict(services or {"web": 2})
        self.running = dict(self.wanted)
        self.changes: list[dict[str, Any]] = []
        self.fail: dict[str, Outcome] = {}
        self.commands: list[tuple[str, str, dict[str, Any], str]] = []
        self.stopping = asyncio.Event()
        self._happened: list[Event] = []
        self._lines: list[LogLine] = []
        self._readers: set[_Reader] = set()

    def happen(self, kind: str, *, service: str = "", text: str = "", **data: Any) -> Event:
        """Add an event; every follower sees it."""
        made = Event(
            seq=len(self._happened) + 1,
            time=self.clock.wall(),
            kind=kind,
            service=service,
            text=text,
            data=data,
        )
        self._happened.append(made)
        self._tell(made)
        return made

    def say(self, service: str, text: str, *, process: int = 1, stream: str = "stdout") -> LogLine:
        """Add a line of output; every follower sees it."""
        line = LogLine(
            time=self.clock.wall(),
            service=service,
            process=process,
            stream=stream,
            text=text,
            at=len(self._lines) + 1,
        )
        self._lines.append(line)
        self._tell(line)
        return line

    def status(self) -> SupervisorStatus:
        """The state now."""
        return SupervisorStatus(
            project="memory",
            node="here",
            pid=os.getpid(),
            keeper_pid=os.getpid(),
            version="0",
            config="chapiteau.toml",
            generation=1,
            started_at=self.clock.wall(),
            brain_restarts=0,
            last_event=len(self._happened),
            services=tuple(self._service(name) for name in self.wanted),
            sockets=(SocketStatus(name="web", address="127.0.0.1:1", type="stream", backlog=1),),
        )

    def services(self) -> ServiceSummaries:
        """The same in few words."""
        return {
            "services": [
                {
                    "name": one.name,
                    "state": one.state,
                    "ready": one.ready,
                    "wanted": one.wanted,
                    "pids": [process.pid for process in one.processes],
                    "reason": one.reason,
                }
                for one in self.status().services
            ]
        }

    def _service(self, name: str) -> ServiceStatus:
        count = self.running[name]
        processes = tuple(
            ProcessStatus(
                number=n, pid=1000 + n, state="running", ready=True, started_at=self.clock.wall()
            )
            for n in range(1, count + 1)
        )
        return ServiceStatus(
            name=name,
            state="running" if count else "stopped",
            wanted=self.wanted[name],
            ready=count,
            processes=processes,
            command=f"run {name}",
        )

    async def command(
        self, verb: str, service: str, options: Mapping[str, Any], who: str
    ) -> Outcome:
        """As the real one does, at once."""
        self.commands.append((verb, service, dict(options), who))
        try:
            names = select(service, tuple(self.wanted))
        except NotFoundError as exc:
            return Outcome(ok=False, error=exc.what, hint=exc.hint, exit_code=3)
        if verb in self.fail:
            return self.fail[verb]
        for name in names:
            self._do(verb, name, options)
            self.happen("command.done", service=name, text=f"{verb} {name}")
        return Outcome(ok=True, text=f"{verb} done", data={"services": names})

    def _do(self, verb: str, name: str, options: Mapping[str, Any]) -> None:
        if verb == "scale":
            wanted = options.get("processes", self.wanted[name] + options.get("by", 0))
            self.wanted[name] = max(0, int(wanted))
        self.running[name] = 0 if verb == "stop" else self.wanted[name]

    async def apply_config(self, *, dry_run: bool, who: str) -> Outcome:
        """Answers `changes`."""
        return Outcome(ok=True, data={"changes": self.changes, "applied": not dry_run})

    async def configure(
        self, service: str, settings: Mapping[str, Any], reset: Sequence[str], who: str
    ) -> Outcome:
        """Remembers what was asked in `commands`; `fail["set"]` makes it fail."""
        self.commands.append(("set", service, {"settings": dict(settings), "reset": [*reset]}, who))
        try:
            select(service, tuple(self.wanted))
        except NotFoundError as exc:
            return Outcome(ok=False, error=exc.what, hint=exc.hint, exit_code=3)
        return self.fail.get("set", Outcome(ok=True, text="set"))

    async def upgrade(self, who: str) -> Outcome:
        """Nothing to become."""
        return Outcome(ok=True, text="upgraded")

    async def shutdown(self, who: str, *, force: bool = False) -> None:
        """Sets `stopping`."""
        self.stopping.set()

    async def enter(self, service: str, text: str, options: Mapping[str, Any], who: str) -> Outcome:
        """Becomes a line of output: a program that echoes."""
        self.commands.append(("input", service, {"text": text, **options}, who))
        if text:
            self.say(service, text, process=int(options.get("process", 1)))
        return Outcome(ok=True)

    async def screen(self, service: str, process: int) -> AsyncGenerator[bytes, None]:
        """Lines from now on."""
        reader = _Reader(LogLine)
        self._readers.add(reader)
        try:
            while True:
                for line in await reader.take():
                    yield f"{line.text}\n".encode()
        finally:
            self._readers.discard(reader)

    async def holders(self, socket: str) -> SocketHolders:
        """Whoever would have it."""
        if socket != "web":
            raise NotFoundError(f"no socket {socket!r}")
        me = Holder(pid=os.getpid(), name="python", part="keeper")
        return SocketHolders(name=socket, holders=(me,))

    def message(self, text: str, service: str, data: Mapping[str, Any], who: str) -> None:
        """Adds an event of kind plugin.message."""
        self.happen("plugin.message", service=service, text=text, **data)

    def config(self) -> dict[str, Any]:
        """What it was made with."""
        return {"service": {name: {"processes": count} for name, count in self.wanted.items()}}

    async def events(self, after: int, *, follow: bool) -> AsyncIterator[Event | Gap]:
        """Kept events, then new ones."""
        async for item in self._feed(self._happened[after:], Event, follow=follow):
            yield item

    async def logs(self, query: LogQuery) -> AsyncIterator[LogLine | Gap]:
        """Kept lines, then new ones."""
        kept = [line for line in self._lines if _fits(line, query)]
        async for item in self._feed(kept[-query.last :], LogLine, follow=query.follow):
            if isinstance(item, Gap) or _fits(item, query):
                yield item

    async def stats(self) -> AsyncIterator[StatsMessage]:
        """Two messages, then silence."""
        for _ in range(2):
            yield {"time": self.clock.wall(), "ids": [], "supervisor": {"cpu": 0.0, "rss": 0}}
        await asyncio.Event().wait()

    async def _feed(self, kept: list[Any], kind: type[Any], *, follow: bool) -> AsyncIterator[Any]:
        reader = _Reader(kind)
        self._readers.add(reader)
        try:
            for item in kept:
                yield item
            while follow:
                for item in await reader.take():
                    yield item
        finally:
            self._readers.discard(reader)

    def _tell(self, item: Any) -> None:
        for reader in self._readers:
            reader.put(item)


class _Reader:
    """What waits for one follower: bounded, and counts what it had to drop."""

    def __init__(self, kind: type[Any]) -> None:
        self._kind = kind
        self._items: list[Any] = []
        self._lost = 0
        self._some = asyncio.Event()

    def put(self, item: Any) -> None:
        if isinstance(item, self._kind):
            if len(self._items) < _KEPT:
                self._items.append(item)
            else:
                self._lost += 1
            self._some.set()

    async def take(self) -> list[Any]:
        await self._some.wait()
        self._some.clear()
        items, self._items = self._items, []
        if self._lost:
            items.append(Gap(self._lost))
            self._lost = 0
        return items


def _fits(line: LogLine, query: LogQuery) -> bool:
    return (
        (not query.services or line.service in query.services)
        and (not query.process or line.process == query.process)
        and (not query.stream or line.stream == query.stream)
        and line.time >= query.since
        and (not query.until or line.time <= query.until)
        and line.at > query.after.get(line.source, 0)
        and re.search(query.grep, line.text) is not None
    )


@contextlib.asynccontextmanager
async def control_server(
    supervisor: MemorySupervisor, path: Path, access: Access | None = None
) -> AsyncIterator[Path]:
    """The real control server in front of a supervisor in memory, on this socket."""
    server = await start_server(supervisor, path, access or Access(own_uid=os.geteuid()))
    try:
        yield path
    finally:
        await server.close()
