"""When a service flaps, and what then: stop it, try again after a while, at last leave it down."""

from collections import deque
from dataclasses import dataclass, field
from typing import Literal

from chapiteau.run.logic.events import Happening
from chapiteau.run.logic.plugins.settings import Flapping

__all__ = ["Guarding", "Verdict"]


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


class Guarding:
    """Hears of ends and commands, and says what to do. Times are seconds on a clock that
    nobody sets: the wall clock may jump by a day."""

    def __init__(self, rule: Flapping) -> None:
        self._rule = rule
        self._services: dict[str, _Service] = {}

    def ended(self, event: Happening, now: float) -> Verdict | None:
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
