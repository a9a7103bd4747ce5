"""The resource watcher: acts when a process stays beyond a bound of CPU or memory."""

import contextlib

from chapiteau.run.client.plugin import Plugin
from chapiteau.run.errors import NotRunningError
from chapiteau.run.logic.plugins.levels import Figures, Levels
from chapiteau.run.logic.plugins.naming import fits
from chapiteau.run.logic.plugins.settings import Resources

__all__ = ["ResourceWatcher"]


class ResourceWatcher(Plugin):
    """Reads the supervisor's figures once a second."""

    Options = Resources
    options: Resources

    async def started(self) -> None:
        """Begin to look."""
        self._levels = Levels(self.options)
        self.every(0.1, self._follow)

    async def _follow(self) -> None:
        """As long as one brain lives; the next one is asked anew."""
        with contextlib.suppress(NotRunningError):
            async for sample in self.client.stats():
                figures = [
                    Figures(service=name, process=int(number), pid=pid, cpu=cpu, rss=rss)
                    for (name, _, number), pid, cpu, rss in zip(
                        (key.rpartition("/") for key in sample["ids"]),
                        sample["pid"],
                        sample["cpu"],
                        sample["rss"],
                        strict=True,
                    )
                    if fits(name, self.options.services) and name != self.name
                ]
                for service, why in self._levels.look(figures, self.clock.now()):
                    await self._act(service, why)

    async def _act(self, service: str, why: str) -> None:
        action = self.options.action
        said = why if action == "alert" else f"{why}: {action}"
        await self.say(said, service=service, action=action)
        if action != "alert":
            await self.command(action, service, wait=False)
