"""Which processes have been silent for too long."""

import re
from collections.abc import Iterable

from chapiteau.run.logic.plugins.settings import Watchdog

__all__ = ["Heartbeats"]


class Heartbeats:
    """Counts, per process, the intervals in a row in which it said nothing."""

    def __init__(self, rule: Watchdog) -> None:
        self._rule = rule
        self._message = re.compile(rule.message)
        self._heard: set[int] = set()
        self._missed: dict[int, int] = {}

    def pid_of(self, datagram: bytes) -> int:
        """Whom a datagram speaks for; 0 when it makes no sense."""
        match = self._message.search(datagram.decode("utf-8", "replace").strip())
        try:
            return int(match["pid"]) if match else 0
        except ValueError:
            return 0

    def heard(self, pid: int) -> None:
        """It is alive."""
        self._heard.add(pid)

    def interval_over(self, pids: Iterable[int]) -> list[int]:
        """Those of the watched processes that must end now; each is said once."""
        missed = {
            # The interval in which a process was started was not a whole one: -1 to begin with.
            pid: 0 if pid in self._heard else self._missed.get(pid, -1) + 1
            for pid in pids
        }
        self._heard.clear()
        late = [pid for pid, count in missed.items() if count == self._rule.missed]
        self._missed = missed
        return late
