"""The node's statistics, kept while the hub is away."""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from chapiteau.core.backoff import Backoff
from chapiteau.dash.errors import NodeAwayError
from chapiteau.dash.fleet.node import Node, NodeStats

__all__ = ["StatsBacklog", "StatsReplay"]


# Statistics that wait for the hub: while the line is down the oldest go first, and are counted.


@dataclass(frozen=True, slots=True)
class _Kept:
    number: int
    ids: list[str]
    message: NodeStats


class StatsBacklog:
    """The last `most` messages of a node's statistics, numbered from 1.

    A message names its processes ("ids") only when they changed. Here each one knows its names,
    so that reading can begin anywhere.
    """

    def __init__(self, most: int) -> None:
        self._kept: deque[_Kept] = deque(maxlen=most)
        self._ids: list[str] = []
        self.newest = 0

    def add(self, message: NodeStats) -> None:
        """One more; the oldest goes when there are too many."""
        self._ids = message.get("ids", self._ids)
        self.newest += 1
        bare = message.copy()
        bare.pop("ids", None)
        self._kept.append(_Kept(self.newest, self._ids, bare))

    def after(self, number: int, ids: Sequence[str] | None) -> tuple[list[NodeStats], int]:
        """Messages with a greater number, and how many there were that are gone.

        `ids`: the names that the reader has; None when it has none yet.
        """
        found: list[NodeStats] = []
        known = ids
        for kept in self._kept:
            if kept.number <= number:
                continue
            message: NodeStats = {**kept.message, "number": kept.number}
            if kept.ids != known:
                known = message["ids"] = kept.ids
            found.append(message)
        oldest = self._kept[0].number if self._kept else self.newest + 1
        return found, max(0, oldest - 1 - number)


_KEPT: Final = 600  # messages: ten minutes, as much as the hub's charts show by default
_IDLE: Final = 600.0  # seconds without a hub that asks, after which nothing is measured any more
_RETRY: Final = Backoff(first=0.2, factor=1.7, cap=5.0, jitter=0.3)


class StatsReplay:
    """Measures from the first time a hub asks, and while it is away; a hub resumes by number."""

    def __init__(self, node: Node, chance: Random, *, most: int = _KEPT) -> None:
        self._node = node
        self._chance = chance
        self._backlog = StatsBacklog(most)
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._readers = 0
        self._why: NodeAwayError | None = None
        self.dropped = 0  # messages that no hub ever saw

    async def stats(self, after: int) -> AsyncIterator[NodeStats]:
        """Messages after this number, then one each second. Raises NodeAwayError.

        The first one says how many are gone ("dropped"). A number of before the agent was started
        anew begins at the oldest that is kept.
        """
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._measure(), name="statistics")
        if after > self._backlog.newest or after < 0:
            after = 0 if after > 0 else self._backlog.newest
        ids = None
        self._readers += 1
        try:
            while True:
                found, gone = self._backlog.after(after, ids)
                if gone and after:
                    self.dropped += gone
                for message in found:
                    ids = message.get("ids", ids)
                    yield {**message, "dropped": gone} if gone and after else message
                    after, gone = message["number"], 0
                if self._why is not None and not found:
                    raise self._why
                news = self._news
                if after >= self._backlog.newest and self._why is None:
                    await news.wait()
        finally:
            self._readers -= 1

    async def close(self) -> None:
        """Measure no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _measure(self) -> None:
        loop = asyncio.get_running_loop()
        attempt, asked = 0, loop.time()
        while loop.time() - asked < _IDLE:
            try:
                async with contextlib.aclosing(self._node.stats()) as messages:  # type: ignore[type-var]
                    async for message in messages:
                        self._why, attempt = None, 0
                        self._backlog.add(message)
                        self._tell()
                        asked = loop.time() if self._readers else asked
                        if loop.time() - asked >= _IDLE:
                            return
            except NodeAwayError as exc:
                self._why = exc
                self._tell()
            attempt += 1
            await asyncio.sleep(_RETRY.delay(attempt, self._chance))

    def _tell(self) -> None:
        # Each reader holds the event it waits for: set it and hang up a new one.
        self._news.set()
        self._news = asyncio.Event()
