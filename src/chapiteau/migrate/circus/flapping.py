"""The flapping guard: a service that ends by itself too often is stopped, and tried again later."""

from collections import deque
from dataclasses import dataclass, field
from typing import Final, Literal

from chapiteau.run.config.plugin_settings import FlappingOptions, matches_any
from chapiteau.run.events import Event
from chapiteau.run.plugins.plugin import Plugin

__all__ = ["FlappingDetector", "FlappingGuard", "Verdict"]


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
    """Decides with migrate/circus/flapping.py; gives the commands that it decided."""

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
