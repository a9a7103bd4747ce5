"""At the hub: load tests whose relays run on nodes; each lives as long as it is listened to."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, Final

from chapiteau.core.errors import ChapiteauError
from chapiteau.dash.engine.cluster.lent import LinkedRelays
from chapiteau.dash.engine.fleet import Fleet
from chapiteau.dash.errors import BadRequestError

__all__ = ["Desk"]

_WAITING: Final = 10_000  # reports that may wait for the reader


class Desk:
    """Every test that is going on."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._tests: dict[str, asyncio.Queue[dict[str, Any]]] = {}
        self._relays: dict[tuple[str, str], asyncio.Task[None]] = {}

    def hosts(self) -> list[str]:
        """Nodes that are there and lend themselves."""
        return [
            watch.node.name
            for watch in self._fleet.watches()
            if watch.health.get("lends") and not watch.away_since
        ]

    async def reports(self, test: str) -> AsyncIterator[dict[str, Any]]:
        """{"host", "line"} or {"host", "lost": why}; when nobody reads any more, all ends."""
        if test in self._tests:
            raise BadRequestError(f"the load test {test!r} is read already")
        queue = self._tests[test] = asyncio.Queue(_WAITING)
        try:
            while True:
                yield await queue.get()
        finally:
            del self._tests[test]
            mine = [key for key in self._relays if key[0] == test]
            tasks = [self._relays.pop(key) for key in mine]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def push(self, test: str, host: str, part: str) -> None:
        """Orders for one host; its relay starts with the first. Raises ChapiteauError."""
        if test not in self._tests:
            raise BadRequestError("nobody reads this load test's reports", hint="read them first")
        lent = getattr(self._fleet.watch(host).node, "lent", None)
        if not isinstance(lent, LinkedRelays):
            raise BadRequestError(f"{host} can't be reached for load tests")
        if (test, host) not in self._relays:
            self._relays[test, host] = asyncio.create_task(self._relay(test, host, lent))
        await lent.push(test, part)

    async def _relay(self, test: str, host: str, lent: LinkedRelays) -> None:
        queue, why = self._tests[test], "its relay ended"
        try:
            async with contextlib.aclosing(lent.relay(test)) as lines:
                async for line in lines:
                    await queue.put({"host": host, "line": line})
        except ChapiteauError as exc:
            why = f"{exc.what}{f' ({exc.hint})' if exc.hint else ''}"
        await queue.put({"host": host, "lost": why})
