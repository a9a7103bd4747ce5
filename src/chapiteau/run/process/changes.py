"""Waiting for facts: who changes something notifies, who waits looks again."""

import asyncio
from collections.abc import Callable

__all__ = ["Changes"]


class Changes:
    """Wakes everybody who waits, whenever something has changed."""

    __slots__ = ("_waiters",)

    def __init__(self) -> None:
        self._waiters: list[asyncio.Future[None]] = []

    def notify(self) -> None:
        """Something has changed."""
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def wait(self, timeout: float | None = None) -> bool:
        """Wait for the next change; False when there was none within `timeout` seconds."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            async with asyncio.timeout(timeout):
                await waiter
        except TimeoutError:
            return waiter.done() and not waiter.cancelled()
        finally:
            if waiter in self._waiters:
                self._waiters.remove(waiter)
        return True

    async def until(self, fact: Callable[[], bool], timeout: float | None = None) -> bool:
        """Wait for a fact; False when it did not become true within `timeout` seconds."""
        if fact():
            return True
        try:
            async with asyncio.timeout(None if timeout == float("inf") else timeout):
                while not fact():
                    await self.wait()
        except TimeoutError:
            return fact()
        return True
