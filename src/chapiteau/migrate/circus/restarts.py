"""Plugins for what Circus's Flapping and CommandReloader do.

The flapping guard stops a service that ends by itself too often and tries it again later; the
command reloader replaces processes when the file of their program changes.
"""

import os
import shlex
import shutil
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from chapiteau.run.config.plugin_settings import FlappingOptions, ReloaderOptions, matches_any
from chapiteau.run.events import Event
from chapiteau.run.plugins.plugin import Plugin

__all__ = ["CommandReloader", "FlappingDetector", "FlappingGuard", "Verdict", "program_files"]

# When a service flaps, and what then: stop it, try again after a while, at last leave it down.


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be done with a service that flaps."""

    deed: Literal["stop", "stop for good"]
    process: int
    count: int


@dataclass(slots=True)
class _Service:
    ends: dict[int, deque[float]] = field(default_factory=dict)  # process number → times
    rounds: int = 0  # how often it was stopped without a quiet time in between
    stopped_at: float = 0.0
    retry_at: float | None = None


class FlappingDetector:
    """Hears of ends and commands, and says what to do. Times are seconds on a clock that
    nobody sets: the wall clock may jump by a day."""

    def __init__(self, rule: FlappingOptions) -> None:
        self._rule = rule
        self._services: dict[str, _Service] = {}

    def ended(self, event: Event, now: float) -> Verdict | None:
        """A process ended at `now`; one that somebody asked to never counts."""
        if event.data.get("asked"):
            return None
        rule = self._rule
        service = self._services.setdefault(event.service, _Service())
        if service.retry_at is not None:
            return None  # it is being stopped already
        ends = service.ends.setdefault(event.process, deque())
        ends.append(now)
        while ends and ends[0] <= now - rule.window:
            ends.popleft()
        if len(ends) < rule.attempts:
            return None
        if service.stopped_at and now - service.stopped_at > rule.retry_in + 2 * rule.window:
            service.rounds = 0  # it was well for a while: this is new trouble
        count = len(ends)
        service.ends.clear()
        service.stopped_at = now
        service.rounds += 1
        if rule.retries >= 0 and service.rounds > rule.retries:
            self.forget(event.service)
            return Verdict("stop for good", event.process, count)
        service.retry_at = now + rule.retry_in
        return Verdict("stop", event.process, count)

    def forget(self, service: str) -> None:
        """Somebody else has given it a command: from here on it is theirs, and counted anew."""
        self._services.pop(service, None)

    def due(self, now: float) -> list[str]:
        """Services that shall be tried again now; each is said once."""
        found = [
            name
            for name, service in self._services.items()
            if service.retry_at is not None and service.retry_at <= now
        ]
        for name in found:
            self._services[name].retry_at = None
        return found


_LOOK: Final = 0.25  # seconds between two looks whether a service shall be tried again
_LATEST: Final = 5.0  # seconds by which an end may be heard of late; more is a clock that was set
_TAKES_OVER: Final = frozenset({"start", "stop", "restart", "reload"})


class FlappingGuard(Plugin):
    """Lets a FlappingDetector decide, and gives the commands."""

    Options = FlappingOptions
    options: FlappingOptions

    async def started(self) -> None:
        """Begin to look for what shall be tried again."""
        self._guarding = FlappingDetector(self.options)
        self.every(_LOOK, self._try_again)

    async def on_event(self, event: Event) -> None:
        """Count ends; a command by anybody else takes the service out of our hands."""
        if not matches_any(event.service, self.options.services):
            return
        if event.kind == "command.done" and not self.is_own(event):
            if event.data.get("verb") in _TAKES_OVER:
                self._guarding.forget(event.service)
        elif event.kind == "process.exited":
            await self._ended(event)

    async def _ended(self, event: Event) -> None:
        age = min(_LATEST, max(0.0, self.clock.wall() - event.time))
        verdict = self._guarding.ended(event, self.clock.now() - age)
        if verdict is None:
            return
        rule, name = self.options, event.service
        why = f"{name} {verdict.process} ended {verdict.count} times in {rule.window:g} s"
        if verdict.deed == "stop":
            await self.say(f"{why}: stopped for {rule.retry_in:g} s", service=name)
        else:
            await self.say(f"{why}: stopped for good", service=name)
        await self.command("stop", name)

    async def _try_again(self) -> None:
        for name in self._guarding.due(self.clock.now()):
            # No trouble of its own: who listens must still hear when it is stopped for good.
            await self.say(f"{name} is tried again", service=name, resolved=True)
            await self.command("start", name, wait=False)


# The command reloader: new processes when the file of a service's program changes.

Mark = tuple[int, int, int]  # inode, size, time of the last change
Seen = dict[Path, Mark]


class CommandReloader(Plugin):
    """A change counts when the file has been the same for two looks: half a copy is no program."""

    Options = ReloaderOptions
    options: ReloaderOptions

    async def started(self) -> None:
        """Remember the files as they are."""
        self._seen: dict[str, Seen] = {}
        self._fresh: dict[str, Seen] = {}
        await self._read_config()
        self.every(self.options.interval, self._look)

    async def on_event(self, event: Event) -> None:
        """Commands may have changed."""
        if event.kind == "supervisor.config_applied":
            await self._read_config()

    async def _read_config(self) -> None:
        services = (await self.client.config()).get("service", {})
        self._files = {
            name: program_files(service, self.around.folder, dict(self.around.environ))
            for name, service in services.items()
            if matches_any(name, self.options.services)
        }
        self._seen = {name: _marks(files) for name, files in self._files.items()}

    async def _look(self) -> None:
        for name, files in self._files.items():
            found = _marks(files)
            if len(found) < len(files):
                continue  # being replaced this very moment
            if found == self._seen[name]:
                self._fresh.pop(name, None)
            elif self._fresh.get(name) == found:
                changed = [str(p) for p in files if found[p] != self._seen[name].get(p)]
                self._seen[name] = found
                del self._fresh[name]
                await self._act(name, changed)
            else:
                self._fresh[name] = found

    async def _act(self, name: str, changed: list[str]) -> None:
        state = {s.name: s.state for s in (await self.status()).services}.get(name, "stopped")
        if state in ("stopped", "stopping", "completed"):
            return
        await self.say(f"{', '.join(changed)} changed: {self.options.action}", service=name)
        await self.command(self.options.action, name, wait=False)


def program_files(service: dict[str, Any], folder: Path, environ: dict[str, str]) -> list[Path]:
    """The program of a command, and the words after it that are files (`python app.py`)."""
    command = service.get("command") or ()
    try:
        words = shlex.split(command) if isinstance(command, str) else [str(w) for w in command]
    except ValueError:
        return []
    if not words:
        return []
    cwd = folder / service.get("cwd", "")
    path = environ.get("PATH", os.defpath)
    if virtualenv := service.get("virtualenv"):
        path = f"{folder / virtualenv}/bin:{path}"
    program = words[0] if "/" in words[0] else shutil.which(words[0], path=path)
    found = [cwd / program] if program else []
    found += [cwd / word for word in words[1:] if "\0" not in word and (cwd / word).is_file()]
    return [file for file in dict.fromkeys(found) if file.is_file()]


def _marks(files: list[Path]) -> Seen:
    """What can be seen of each file; those that are not there are left out."""
    found: Seen = {}
    for file in files:
        try:
            stat = file.stat()
        except OSError:
            continue
        if stat.st_size:
            found[file] = (stat.st_ino, stat.st_size, stat.st_mtime_ns)
    return found
