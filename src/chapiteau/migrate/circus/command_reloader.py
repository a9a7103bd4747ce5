"""The command reloader: new processes when the file of a service's program changes."""

import os
import shlex
import shutil
from pathlib import Path
from typing import Any

from chapiteau.run.config.plugin_settings import ReloaderOptions, matches_any
from chapiteau.run.events import Event
from chapiteau.run.plugins.plugin import Plugin

__all__ = ["CommandReloader", "program_files"]

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
