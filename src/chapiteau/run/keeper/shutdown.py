"""The shutdown as the keeper sees it: brains do it; when none can, the keeper does."""

import time
from typing import Any, Final

from .children import Children
from .syscalls import log_line

__all__ = ["KeeperShutdown"]

# (seconds between pings, seconds of silence after which a brain is killed)
RUNNING: Final = (20.0, 90.0)
STOPPING: Final = (3.0, 10.0)
FORCED: Final = (0.5, 2.0)
DEADLINE: Final = 90.0  # seconds that brains have to end everything, unless one noted another
MAX_BRAINS: Final = 3  # that died during the shutdown


class KeeperShutdown:
    """When it was asked for, how brains did with it, and our own attempt."""

    def __init__(self, children: Children, notes: dict[str, Any], asked_at: float = 0.0) -> None:
        self._children, self._notes = children, notes
        self.asked_at, self.asked_again = asked_at, False
        self._brains = 0
        self._given_up = False
        self._kill_at = 0.0  # of our own attempt

    @property
    def alone(self) -> bool:
        """Whether we do it ourselves: no brain is started any more."""
        return bool(self._kill_at) or self._given_up

    @property
    def ping_times(self) -> tuple[float, float]:
        """Seconds between two pings, and of silence that kills a brain."""
        if not self.asked_at:
            return RUNNING
        return FORCED if self.asked_again else STOPPING

    def ask(self) -> None:
        """The end is wanted; asked again, at once."""
        self.asked_again = bool(self.asked_at)
        self.asked_at = self.asked_at or time.monotonic()

    def brain_failed(self, hopeless: str = "") -> None:
        """A brain has died or could not be started; `hopeless` says why another would do so too."""
        if hopeless and not self._children.any_alive():
            log_line(f"{hopeless}. No process is left to look after: the keeper gives up")
            self._given_up = True
        if self.asked_at:
            self._brains += 1
            if self._brains >= MAX_BRAINS:
                self.go_alone("no brain lives long enough to end everything")

    def go_alone(self, why: str) -> None:
        """Send every child the stop signal that a brain noted for it; then kill what is left."""
        if not self.alone:
            log_line(f"{why}: the keeper does it by itself")
            grace = self._children.ask_all_to_end()
            self._kill_at = time.monotonic() + (0.0 if self.asked_again else grace)

    @property
    def deadline(self) -> float:
        """When this must be looked at again, on time.monotonic()."""
        noted = self._notes.get("patience")
        last = self.asked_at + (noted if isinstance(noted, int | float) else DEADLINE)
        return min(self._kill_at, last) if self.alone else last

    def is_over(self) -> bool:
        """Whether the time has come to kill what is left, and to leave."""
        if self.alone and (self.asked_again or not self._children.any_alive()):
            return True
        return bool(self.asked_at) and time.monotonic() >= self.deadline
