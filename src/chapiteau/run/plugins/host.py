"""Runs one plugin: gives it events, commands and time, and ends it in good order."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Iterable
from pathlib import Path
from typing import Any, Final, Self

from chapiteau.core.errors import ChapiteauError, NotFoundError
from chapiteau.core.fields import read
from chapiteau.core.problems import did_you_mean
from chapiteau.io.clock import SystemClock
from chapiteau.io.files import lock_owner, write_atomic
from chapiteau.io.sd_notify import Notifier
from chapiteau.run.api.async_client import AsyncClient
from chapiteau.run.api.client import lock_path, run_dir_of
from chapiteau.run.config.spec import Plugin as PluginSpec
from chapiteau.run.errors import NotRunningError
from chapiteau.run.events import Event
from chapiteau.run.logs.messages import Gap
from chapiteau.run.plugins.line_files import LogFileReader, multiline_of
from chapiteau.run.plugins.plugin import Plugin, PluginContext, find_plugin, read_options

__all__ = ["first_event", "run_plugin"]


# From which event on a plugin listens when it has just been started.


def first_event(events: Iterable[Event], name: str, pid: int, last: int) -> int:
    """The number after which the plugin `name`, process `pid`, listens.

    To be loaded takes it longer than many a service takes to get ready, or to fail. So what
    happened meanwhile is heard too: all since the supervisor began, if it began with it; else all
    since its own process was made. `last` where neither is known: it was started by hand.
    """
    found, began, first = last, 0, False
    for event in events:
        if event.kind == "supervisor.started" and not event.data.get("attached"):
            began, first = event.seq, True
        elif event.kind == "supervisor.config_applied":
            first = False
        elif event.kind == "process.spawned" and event.service == name:
            if event.pid == pid:
                found = began if first else event.seq
            first = False
    return found


_LAST_WORDS: Final = 5.0  # seconds for `stopped`
_LINES_EVERY: Final = 0.25  # seconds between two looks at the log files
_CONFIG_EVERY: Final = 10.0  # seconds between two looks at what joins lines
_NOTE_EVERY: Final = 1.0  # seconds between two notes of how far a plugin has heard


async def run_plugin(name: str, config: Path, spec: PluginSpec | None = None) -> None:
    """Run [plugin.NAME] of the running configuration, or `spec`, until told to end or the
    supervisor has gone. Raises ChapiteauError, and whatever the plugin raises."""
    run_dir = run_dir_of(config)
    client = AsyncClient.at(run_dir, speaks_as=f"plugin {name}")
    spec = spec or _declared(name, await client.config())
    kind = find_plugin(spec.use, config.parent)
    options = read_options(name, kind, spec.options)
    async with _Host(name, run_dir, client) as host:
        around = PluginContext(
            name=name,
            client=client,
            clock=host.clock,
            folder=config.parent,
            run_dir=run_dir,
            project=(await client.status()).project,
            environ=dict(os.environ),
            start=host.start,
        )
        await host.live(kind(around, options))


def _declared(name: str, running: dict[str, Any]) -> PluginSpec:
    plugins = running.get("plugin", {})
    if name not in plugins:
        hint = did_you_mean(name, plugins) or f"add [plugin.{name}] and `chapiteau reload`"
        raise NotFoundError(f"the running configuration has no plugin {name!r}", hint=hint)
    made, problems = read(PluginSpec, plugins[name])
    if made is None:
        raise ChapiteauError(f"the supervisor's answer makes no sense: {problems}")
    return made


class _Host:
    """One plugin's life; all its tasks end together."""

    def __init__(self, name: str, run_dir: Path, client: AsyncClient) -> None:
        self.clock = SystemClock()
        self._name, self._run_dir, self._client = name, run_dir, client
        self._tasks: set[asyncio.Future[None]] = set()
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._note = run_dir / "plugins" / f"{name}.heard"
        self._heard, self._noted_at = 0, 0.0

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end)
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _end(self) -> None:
        if not self._over.done():
            self._over.set_result(None)

    def start(self, work: Awaitable[None]) -> None:
        """Work that lives as long as the plugin; when it fails, the plugin ends with its error."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: "asyncio.Future[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) and not self._over.done():
            self._over.set_exception(error)

    async def live(self, plugin: Plugin) -> None:
        """From `started` to `stopped`."""
        # Before `started`: what happens meanwhile is heard afterwards.
        self._heard = (self._noted() if plugin.catches_up else 0) or await self._beginning()
        begun = asyncio.ensure_future(plugin.started())
        await asyncio.wait({begun, self._over}, return_when=asyncio.FIRST_COMPLETED)
        if not begun.done():  # told to end before it had begun
            begun.cancel()
            return
        begun.result()
        notifier = Notifier()
        if not notifier.send("READY=1") and notifier.is_supervised:
            print("the supervisor does not take READY=1", file=sys.stderr)  # noqa: T201 — our log
        self.start(self._listen(plugin))
        if type(plugin).on_lines is not Plugin.on_lines:
            self.start(self._read_lines(plugin))
        try:
            await self._over
        finally:
            async with asyncio.timeout(_LAST_WORDS):
                await plugin.stopped()
            if plugin.catches_up:
                self._write_note()

    async def _beginning(self) -> int:
        last = (await self._client.status()).last_event
        past = [one async for one in self._client.events() if not isinstance(one, Gap)]
        return first_event(past, self._name, os.getpid(), last)

    async def _listen(self, plugin: Plugin) -> None:
        async for item in self._items():
            if isinstance(item, Gap):
                await plugin.on_lost(item.count)
                continue
            await plugin.on_event(item)
            self._heard = item.seq
            if plugin.catches_up and self.clock.now() - self._noted_at > _NOTE_EVERY:
                self._write_note()
        self._end()

    async def _read_lines(self, plugin: Plugin) -> None:
        """Every line of output, from the log files."""
        config: dict[str, Any] = {}
        lost: list[str] = []
        files = LogFileReader(
            folder=self._run_dir / "log",
            note=self._run_dir / "plugins" / f"{self._name}.lines",
            clock=self.clock,
            wanted=lambda service: service != self._name and plugin.wants(service),
            multiline=lambda service: multiline_of(config, service),
            missed=lost.append,
        )
        files.begin()
        asked = -_CONFIG_EVERY
        while True:
            if self.clock.now() - asked >= _CONFIG_EVERY:
                asked = self.clock.now()
                with contextlib.suppress(NotRunningError):
                    config = await self._client.config()
            if lines := files.read():
                await plugin.on_lines(lines)
            files.keep()
            while lost:
                await plugin.say(f"output of {lost.pop()} was deleted before it could be read")
            if not lines:
                await asyncio.sleep(_LINES_EVERY)

    async def _items(self) -> AsyncIterator[Any]:
        """Events, over as many brains as there come, until the keeper has gone too."""
        while True:
            with contextlib.suppress(NotRunningError):
                async for item in self._client.events(self._heard, follow=True):
                    yield item
            if not lock_owner(lock_path(self._run_dir)):
                return
            await asyncio.sleep(0.05)

    def _noted(self) -> int:
        with contextlib.suppress(OSError, ValueError):
            return int(self._note.read_text())
        return 0

    def _write_note(self) -> None:
        """How far it has heard; without it (a full disk) it misses what happened meanwhile."""
        self._noted_at = self.clock.now()
        with contextlib.suppress(OSError):
            write_atomic(self._note, f"{self._heard}\n".encode(), mode=0o600)
