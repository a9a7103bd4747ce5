"""A relay on a node, over the node's own link."""

import contextlib
from collections.abc import AsyncGenerator, Callable
from typing import Final

from chapiteau.dash.engine.cluster.link import Link

__all__ = ["LinkedRelays"]

_SOON: Final = 20.0  # seconds for an answer


class LinkedRelays:
    """What the hub may ask of a node that lends itself; `up` gives the link, or raises."""

    def __init__(self, up: Callable[[], Link]) -> None:
        self._up = up

    async def relay(self, test: str) -> AsyncGenerator[str, None]:
        """Start a load test's relay there; its reports, line by line."""
        async with contextlib.aclosing(self._up().stream("relay", {"test": test})) as items:
            async for item in items:
                yield item

    async def push(self, test: str, part: str) -> None:
        """Text for that relay's stdin."""
        await self._up().call("push", {"test": test, "part": part}, within=_SOON)
