"""The base class of plugins: Python code beside the supervisor, in a process of its own.

    class Greeter(Plugin):
        async def on_event(self, event):
            if event.kind == "service.ready":
                await self.say(f"hello, {event.service}", service=event.service)

It hears every event, gives commands as an operator does, and can do no harm to the supervisor:
when it fails, it is started again after a while, and `chapiteau status` shows why.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Protocol

from chapiteau.core.clock import Clock
from chapiteau.core.secret import Secret
from chapiteau.io.secret_file import SecretRef, resolve_headers, resolve_secret
from chapiteau.run.api.async_client import AsyncClient
from chapiteau.run.api.status import SupervisorStatus
from chapiteau.run.config.plugin_settings import NoOptions, matches_any
from chapiteau.run.events import Event
from chapiteau.run.logs.messages import LogLine, Outcome

__all__ = ["Plugin", "PluginContext", "TaskStarter"]


class TaskStarter(Protocol):
    """Starts work that lives as long as the plugin, and ends the plugin when it fails."""

    def __call__(self, work: Awaitable[None]) -> None:
        """Start it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginContext:
    """What a plugin is given."""

    name: str  # its own, as in [plugin.NAME]
    client: AsyncClient
    clock: Clock
    folder: Path  # of chapiteau.toml
    run_dir: Path
    project: str
    environ: dict[str, str]
    start: TaskStarter


class Plugin:
    """Subclass it, and override what you need of started, stopped, on_event, on_lost and on_lines.

    `Options` is a frozen dataclass whose fields are made with `chapiteau.core.fields.setting`:
    [plugin.NAME.options] is read into `self.options`, and a typo in it is an error at
    `chapiteau check`. An exception in any method ends the plugin; it is then started again.
    """

    Options: ClassVar[type[Any]] = NoOptions
    # Whether it is told, after it was down, of what happened meanwhile.
    catches_up: ClassVar[bool] = False

    def __init__(self, around: PluginContext, options: Any) -> None:
        self.around = around
        self.options = options
        self.client = around.client
        self.clock = around.clock

    @property
    def name(self) -> str:
        """Its name in the configuration."""
        return self.around.name

    # ── to override ─────────────────────────────────────────────────────────────────────────
    async def started(self) -> None:
        """Once, before the first event; the plugin counts as ready afterwards."""

    async def stopped(self) -> None:
        """Once, before its process ends; it has 5 seconds."""

    async def on_event(self, event: Event) -> None:
        """Something happened (docs/reference/events.md). The next event waits until this ends."""

    async def on_lost(self, count: int) -> None:
        """It was so slow that this many events were dropped for it."""
        await self.say(f"was too slow: {count} events were lost")

    def wants(self, service: str) -> bool:
        """(with on_lines) Whether it wants the output of this service."""
        return True

    async def on_lines(self, lines: list[LogLine]) -> None:
        """New lines of output, at most 1,000. The next ones wait, in their files, until this ends.

        Override it to have every line: those of the time in which the plugin was down come too.
        After a crash those of the last call come again.
        """

    # ── to use ──────────────────────────────────────────────────────────────────────────────
    def every(self, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
        """Call `work` every so many seconds, the first time after as many."""
        self.around.start(self._again(seconds, work))

    async def _again(self, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
        next_time = self.clock.now() + seconds
        while True:
            await asyncio.sleep(max(0.0, next_time - self.clock.now()))
            await work()
            next_time = max(next_time + seconds, self.clock.now())

    @staticmethod
    def fits(service: str, globs: Iterable[str]) -> bool:
        """Whether a service is named by one of these globs."""
        return matches_any(service, globs)

    async def command(self, verb: str, service: str, **options: Any) -> Outcome:
        """start, stop, restart, reload, scale or signal; a failure is an Outcome too."""
        return await self.client.command(verb, service, **options)

    async def say(self, text: str, *, service: str = "", **data: Any) -> None:
        """Record an event of kind plugin.message, for people and for other plugins."""
        await self.client.say(text, service=service, plugin=self.name, data=data)

    async def status(self) -> SupervisorStatus:
        """The state now, without plugins and other services of Chapiteau's own."""
        found = await self.client.status()
        services = tuple(s for s in found.services if "plugin" not in s.labels)
        return replace(found, services=services)

    def is_own(self, event: Event) -> bool:
        """Whether this plugin's own command or message led to the event."""
        return event.who.endswith(f"(plugin {self.name})")

    def secret(self, name: str, ref: SecretRef) -> Secret:
        """The value behind {file = "…"} or {env = "…"}. Raises NotFoundError, RefusedError."""
        return resolve_secret(name, ref, self.around.folder, self.around.environ)

    def headers(self, name: str, headers: Mapping[str, str | SecretRef]) -> dict[str, str]:
        """Request headers with their secrets filled in. Raises as `secret`."""
        return resolve_headers(name, headers, self.around.folder, self.around.environ)
