"""The real clock: the only place that asks the operating system for the time."""

import time

__all__ = ["SystemClock"]


class SystemClock:
    """Monotonic time for intervals, wall time for people."""

    # The functions themselves: a worker asks several times per request.
    now = staticmethod(time.monotonic)  # seconds on CLOCK_MONOTONIC
    wall = staticmethod(time.time)  # seconds since 1970-01-01 UTC

    def sleep(self, seconds: float) -> None:
        """Block this thread; for command-line code only, never inside an event loop."""
        time.sleep(seconds)
