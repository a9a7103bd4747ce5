"""The base class of plugins: Python code beside the supervisor, in a process of its own.

    class Greeter(Plugin):
        async def on_event(self, event):
            if event.kind == "service.ready":
                await self.say(f"hello, {event.service}", service=event.service)

It hears every event, gives commands as an operator does, and can do no harm to the supervisor:
when it fails, it is started again after a while, and `chapiteau status` shows why.
"""

import asyncio
import importlib
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, ClassVar, Final, Protocol

from chapiteau.core.clock import Clock
from chapiteau.core.errors import NotFoundError, UsageError
from chapiteau.core.fields import read
from chapiteau.core.problems import Problem, did_you_mean, raise_problems
from chapiteau.core.secret import Secret
from chapiteau.io.secret_file import SecretRef, resolve_headers, resolve_secret
from chapiteau.run.api.async_client import AsyncClient
from chapiteau.run.api.status import SupervisorStatus
from chapiteau.run.config.plugin_settings import BUILTIN_PLUGINS, NoOptions, matches_any
from chapiteau.run.config.spec import Plugin as PluginSpec
from chapiteau.run.events import Event
from chapiteau.run.logs.messages import LogLine, Outcome

__all__ = [
    "GROUP",
    "Plugin",
    "PluginContext",
    "TaskStarter",
    "find_plugin",
    "option_problems",
    "read_options",
]


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

    def secret(self, name: str, ref: SecretRef) -> Secret:
        """The value behind {file = "…"} or {env = "…"}. Raises NotFoundError, RefusedError."""
        return resolve_secret(name, ref, self.around.folder, self.around.environ)

    def headers(self, name: str, headers: Mapping[str, str | SecretRef]) -> dict[str, str]:
        """Request headers with their secrets filled in. Raises as `secret`."""
        return resolve_headers(name, headers, self.around.folder, self.around.environ)


# From `use = "…"` to a class: shipped, offered by an installed package, or the project's own.

GROUP: Final = "chapiteau.plugins"  # the entry point group of installed packages


def find_plugin(use: str, folder: Path) -> type[Plugin]:
    """The class. Modules are looked for in the project's `folder` first.

    Raises NotFoundError and UsageError.
    """
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    if use in BUILTIN_PLUGINS:
        return _load(BUILTIN_PLUGINS[use].target)
    if ":" in use:
        return _load(use)
    offered = {point.name: point for point in entry_points(group=GROUP)}
    if use not in offered:
        hint = did_you_mean(use, [*BUILTIN_PLUGINS, *offered])
        raise NotFoundError(f"no plugin {use!r}", hint=hint)
    return _load(offered[use].value)


def _load(target: str) -> type[Plugin]:
    module, _, name = target.partition(":")
    try:
        found: Any = importlib.import_module(module)
    except ModuleNotFoundError as exc:
        missing = exc.name or module
        hint = f"it is looked for in the project's folder and in {sys.prefix}"
        if missing == "zmq":
            hint = "pip install 'chapiteau[circus]'"
        raise NotFoundError(f"{target}: there is no module {missing!r}", hint=hint) from exc
    except Exception as exc:
        raise UsageError(f"{target}: its module fails: {type(exc).__name__}: {exc}") from exc
    for part in name.split("."):
        known = [n for n in vars(found) if not n.startswith("_")]
        found = getattr(found, part, None)
        if found is None:
            hint = did_you_mean(part, known)
            raise NotFoundError(f"{target}: {module} has no {part!r}", hint=hint)
    if not isinstance(found, type) or not issubclass(found, Plugin):
        hint = "from chapiteau.run.client import Plugin"
        raise UsageError(f"{target} is no subclass of Plugin", hint=hint)
    return found


def read_options(name: str, plugin: type[Plugin], raw: object) -> Any:
    """[plugin.NAME.options] as the class declares it. Raises InvalidInputError."""
    made, problems = read(plugin.Options, raw, ("plugin", name, "options"))
    raise_problems(f"plugin {name}", [problem for _, problem in problems])
    return made


def option_problems(
    name: str, spec: PluginSpec, folder: Path
) -> list[tuple[tuple[str | int, ...], Problem]]:
    """What is wrong with a plugin that is not shipped; importing it is the only way to know."""
    if ":" not in spec.use and spec.use not in entry_points(group=GROUP).names:
        return []  # shipped, or unknown: both are told where the configuration is read
    try:
        found = find_plugin(spec.use, folder)
    except (NotFoundError, UsageError) as exc:
        place = ("plugin", name, "use")
        return [(place, Problem(".".join(place), exc.what, exc.hint))]
    return read(found.Options, spec.options, ("plugin", name, "options"))[1]
