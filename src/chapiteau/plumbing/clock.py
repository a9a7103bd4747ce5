"""The real clock: the only place that asks the operating system for the time."""

import time

__all__ = ["SystemClock"]


class SystemClock:
    """Monotonic time for intervals, wall time for people."""

    def now(self) -> float:
        """Seconds on CLOCK_MONOTONIC."""
        return time.monotonic()

    def wall(self) -> float:
        """Seconds since 1970-01-01 UTC."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Block this thread; for command-line code only, never inside an event loop."""
        time.sleep(seconds)
