"""Where requests are counted."""

import threading
from bisect import bisect_left
from typing import Final, Protocol

__all__ = ["BOUNDS", "CELLS", "Key", "MemoryTally", "Sums", "Tally"]

# Upper bounds in seconds; fixed, so that every process and every version counts the same way.
BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
CELLS: Final = len(BOUNDS) + 2  # one bucket more than bounds, then the seconds

Key = tuple[str, str, int]  # service, method, status
Sums = dict[Key, list[float]]  # CELLS numbers for each


class Tally(Protocol):
    """Counts requests, for one process or for several."""

    def add(self, key: Key, seconds: float) -> None:
        """Count one request."""
        ...

    def sums(self) -> Sums:
        """Everything that was counted."""
        ...


class MemoryTally:
    """For one process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._cells: Sums = {}

    def add(self, key: Key, seconds: float) -> None:
        """See Tally."""
        with self._lock:
            cells = self._cells.get(key)
            if cells is None:
                cells = self._cells[key] = [0.0] * CELLS
            cells[bisect_left(BOUNDS, seconds)] += 1
            cells[-1] += seconds

    def sums(self) -> Sums:
        """See Tally."""
        with self._lock:
            return {key: list(cells) for key, cells in self._cells.items()}
