"""Time as an argument: whoever needs the time is handed a Clock."""

from typing import Protocol

__all__ = ["Clock", "ManualClock"]


class Clock(Protocol):
    """Tells two times: `now` for intervals, `wall` for people."""

    def now(self) -> float:
        """Seconds on a clock that never jumps; its zero means nothing."""
        ...

    def wall(self) -> float:
        """Seconds since 1970-01-01 UTC; may jump."""
        ...


class ManualClock:
    """A clock for tests; it moves only when told."""

    def __init__(self, now: float = 0.0, wall: float = 1_700_000_000.0) -> None:
        self._now = now
        self._offset = wall - now

    def now(self) -> float:
        """Seconds since the clock was made, plus its start."""
        return self._now

    def wall(self) -> float:
        """The same moment as seconds since 1970."""
        return self._now + self._offset

    def advance(self, seconds: float) -> None:
        """Let this much time pass."""
        self._now += seconds
