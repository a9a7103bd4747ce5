"""The end of everything, as the keeper sees it: brains do it; when none can, it does it itself."""

import time
from typing import Any, Final

from .children import Children
from .syscalls import log_line

__all__ = ["KeeperShutdown"]

CALM: Final = (20.0, 90.0)  # seconds between pings, and of silence after which a brain is killed
PRESSED: Final = (3.0, 10.0)  # the same while the end is wanted
HURRIED: Final = (0.5, 2.0)  # … and somebody has asked again
PATIENCE: Final = 90.0  # seconds that brains have to end everything, unless one noted another
MOST_BRAINS: Final = 3  # that died over it


class KeeperShutdown:
    """When the end was asked for, how brains did with it, and our own attempt."""

    def __init__(self, children: Children, notes: dict[str, Any]) -> None:
        self._children, self._notes = children, notes
        self.asked_at, self.asked_again = 0.0, False
        self._brains = 0
        self._given_up = False
        self._until = 0.0  # our own attempt: till then nobody is killed

    @property
    def alone(self) -> bool:
        """Whether we do it ourselves: no brain is started any more."""
        return bool(self._until) or self._given_up

    @property
    def rhythm(self) -> tuple[float, float]:
        """Seconds between two pings, and of silence that kills a brain."""
        if not self.asked_at:
            return CALM
        return HURRIED if self.asked_again else PRESSED

    def ask(self) -> None:
        """Somebody wants the end; asked again, faster."""
        self.asked_again = bool(self.asked_at)
        self.asked_at = self.asked_at or time.monotonic()

    def brain_failed(self, in_vain: str = "") -> None:
        """A brain has died, or could not even be started; why another would do so too."""
        if in_vain and not self._children.any_alive():
            log_line(f"{in_vain}. No process is left to look after: the keeper gives up")
            self._given_up = True
        if self.asked_at:
            self._brains += 1
            if self._brains >= MOST_BRAINS:
                self.go_alone("no brain lives long enough to end everything")

    def go_alone(self, why: str) -> None:
        """Ask every child to end, in the way that a brain noted for it; then kill what is left."""
        if not self.alone:
            log_line(f"{why}: the keeper does it by itself")
            grace = self._children.ask_all_to_end()
            self._until = time.monotonic() + (0.0 if self.asked_again else grace)

    @property
    def deadline(self) -> float:
        """When this must be looked at again, on time.monotonic()."""
        noted = self._notes.get("patience")
        last = self.asked_at + (noted if isinstance(noted, int | float) else PATIENCE)
        return min(self._until, last) if self.alone else last

    def is_over(self) -> bool:
        """Whether the time has come to kill what is left, and to leave."""
        if self.alone and (self.asked_again or not self._children.any_alive()):
            return True
        return bool(self.asked_at) and time.monotonic() >= self.deadline
