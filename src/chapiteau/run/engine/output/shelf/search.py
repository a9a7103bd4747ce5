"""Several streams looked through together: the newest lines that fit, or all from the oldest on."""

import heapq
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, Generic, TypeVar

from chapiteau.run.engine.output.shelf.newest import KeptLine
from chapiteau.run.engine.output.shelf.volume import Shelf
from chapiteau.run.engine.output.shelf.walk import Look, Place, Step, newest_first, oldest_first

__all__ = ["Found", "all_lines", "search"]

K = TypeVar("K")
_PAGE: Final = 16 << 20  # characters of one page


@dataclass
class Found(Generic[K]):
    """`lines` oldest first; `older`: where each stream goes on, empty when all was looked at."""

    lines: list[tuple[K, KeptLine]] = field(default_factory=list)
    older: dict[K, Place] = field(default_factory=dict)


def search(
    shelves: Mapping[K, Shelf],
    count: int,
    look: Look,
    *,
    before: Mapping[K, Place],
    more_time: Callable[[], bool],
) -> Found[K]:
    """The last `count` lines that fit, or as many as are found while there is `more_time`.

    Fit for a thread. What it holds of each stream is one piece of 64 KiB.
    """
    walks = {key: newest_first(shelf, look, before.get(key)) for key, shelf in shelves.items()}
    places = {key: before.get(key, (shelf.turn, shelf.size)) for key, shelf in shelves.items()}
    found: list[tuple[K, KeptLine]] = []
    size = 0
    heap = _Heap(walks, -1)
    while heap and len(found) < count and size < _PAGE and more_time():
        key, step = heap.pop()
        places[key] = step.place
        if step.line is not None:
            found.append((key, step.line))
            size += len(step.line.text)
    older = places if heap else {}
    heap.close()
    found.reverse()
    return Found(found, older)


def all_lines(
    shelves: Mapping[K, Shelf], look: Look, many: int
) -> Iterator[list[tuple[K, KeptLine]]]:
    """Every line that fits, oldest first, `many` at a time."""
    heap = _Heap({key: oldest_first(shelf, look) for key, shelf in shelves.items()}, 1)

    def lines() -> Iterator[tuple[K, KeptLine]]:
        while heap:
            key, step = heap.pop()
            if step.line is not None:
                yield key, step.line

    source = lines()
    try:
        while batch := list(islice(source, many)):
            yield batch
    finally:
        heap.close()


class _Heap(Generic[K]):
    """Walks in the order of their next step's time."""

    def __init__(self, walks: Mapping[K, Iterator[Step]], sign: int) -> None:
        self._walks, self._sign = list(walks.items()), sign
        self._heap: list[tuple[float, int, Step]] = []
        for index in range(len(self._walks)):
            self._push(index)

    def __bool__(self) -> bool:
        return bool(self._heap)

    def pop(self) -> tuple[K, Step]:
        _, index, step = heapq.heappop(self._heap)
        self._push(index)
        return self._walks[index][0], step

    def _push(self, index: int) -> None:
        step = next(self._walks[index][1], None)
        if step is not None:
            heapq.heappush(self._heap, (self._sign * step.time, index, step))

    def close(self) -> None:
        for _, walk in self._walks:
            if hasattr(walk, "close"):
                walk.close()
