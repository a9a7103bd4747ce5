"""Statistics that wait for the hub: while the line is down the oldest go first, and are counted."""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Backlog"]


@dataclass(frozen=True, slots=True)
class _Kept:
    number: int
    ids: Sequence[str]
    message: Mapping[str, Any]


class Backlog:
    """The last `most` messages of a node's statistics, numbered from 1.

    A message names its processes ("ids") only when they changed. Here each one knows its names,
    so that reading can begin anywhere.
    """

    def __init__(self, most: int) -> None:
        self._kept: deque[_Kept] = deque(maxlen=most)
        self._ids: Sequence[str] = ()
        self.newest = 0

    def add(self, message: Mapping[str, Any]) -> None:
        """One more; the oldest goes when there are too many."""
        self._ids = message.get("ids", self._ids)
        self.newest += 1
        bare = {key: value for key, value in message.items() if key != "ids"}
        self._kept.append(_Kept(self.newest, self._ids, bare))

    def after(self, number: int, ids: Sequence[str] | None) -> tuple[list[dict[str, Any]], int]:
        """Messages with a greater number, and how many there were that are gone.

        `ids`: the names that the reader has; None when it has none yet.
        """
        found, known = [], ids
        for kept in self._kept:
            if kept.number <= number:
                continue
            message = {**kept.message, "number": kept.number}
            if kept.ids != known:
                known = message["ids"] = kept.ids
            found.append(message)
        oldest = self._kept[0].number if self._kept else self.newest + 1
        return found, max(0, oldest - 1 - number)
