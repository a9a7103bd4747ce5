"""Has the keeper hold a process ready for the next start (run/keeper/prefork.py)."""

import asyncio
from pathlib import Path
from typing import Final

from chapiteau.core.clock import Clock
from chapiteau.run.process.keeper_link import KeeperLink
from chapiteau.run.system.cgroups import Cgroups

__all__ = ["Prefork"]

_MANY: Final = 8  # starts that the keeper does better in a row
_CALM: Final = 0.02  # seconds: in a row of starts nobody has the time to prepare one


class Prefork:
    """`started` when something was started; a little later the next one is prepared."""

    def __init__(self, link: KeeperLink, cgroups: Cgroups, clock: Clock) -> None:
        self._link, self._cgroups, self._clock = link, cgroups, clock
        self._serial, self._last = 0, 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._over = cgroups.root is None  # without cgroups a start is quick by itself

    def found(self, folder: str, *, quick: bool) -> None:
        """The brain before us had one prepared in this folder; a quick keeper needs none."""
        if folder:
            self._cgroups.spare = Path(folder)
        self._over = self._over or quick

    def many(self, count: int) -> None:
        """So many may be started in a moment."""
        if count >= _MANY and not self._over:
            self._link.tell("row")

    def started(self) -> None:
        """The one that was ready may be in use now."""
        if self._over:
            return
        self._last = self._clock.now()
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_CALM, self._look)

    def _look(self) -> None:
        left = self._last + _CALM - self._clock.now()
        if left > 0.001:
            self._timer = asyncio.get_running_loop().call_later(left, self._look)
            return
        self._timer = None
        if self._cgroups.spare is not None:
            return
        self._serial += 1
        name = f"next.{int(self._clock.wall() * 1000):x}-{self._serial:x}"
        if (folder := self._cgroups.make_spare(name)) is not None:
            self._link.tell("spare", cgroup=str(folder))

    def end(self) -> None:
        """Nothing is started any more: let go of the one that waits."""
        if self._timer is not None:
            self._timer.cancel()
        if not self._over:
            self._over = True
            self._link.tell("spare", cgroup="")
