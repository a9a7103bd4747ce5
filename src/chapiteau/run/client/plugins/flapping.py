"""The flapping guard: a service that ends by itself too often is stopped, and tried again later."""

from typing import Final

from chapiteau.run.client.plugin import Plugin
from chapiteau.run.logic.events import Happening
from chapiteau.run.logic.plugins.flapping import Guarding
from chapiteau.run.logic.plugins.naming import fits
from chapiteau.run.logic.plugins.settings import Flapping

__all__ = ["FlappingGuard"]

_LOOK: Final = 0.25  # seconds between two looks whether a service shall be tried again
_LATEST: Final = 5.0  # seconds by which an end may be heard of late; more is a clock that was set
_TAKES_OVER: Final = frozenset({"start", "stop", "restart", "reload"})


class FlappingGuard(Plugin):
    """Decides with logic/plugins/flapping.py; gives the commands that it decided."""

    Options = Flapping
    options: Flapping

    async def started(self) -> None:
        """Begin to look for what shall be tried again."""
        self._guarding = Guarding(self.options)
        self.every(_LOOK, self._try_again)

    async def on_event(self, event: Happening) -> None:
        """Count ends; a command by anybody else takes the service out of our hands."""
        if not fits(event.service, self.options.services):
            return
        if event.kind == "command.done" and not self.is_own(event):
            if event.data.get("verb") in _TAKES_OVER:
                self._guarding.forget(event.service)
        elif event.kind == "process.exited":
            await self._ended(event)

    async def _ended(self, event: Happening) -> None:
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
