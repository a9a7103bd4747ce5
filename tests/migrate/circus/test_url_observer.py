"""The URL observer decides when to act."""

from __future__ import annotations

import asyncio
from typing import Any

from chapiteau.io.clock import SystemClock
from chapiteau.migrate.circus.monitors import UrlObserver
from chapiteau.run.config.plugin_settings import UrlObserverOptions
from chapiteau.run.logs.messages import Outcome


class Deaf(UrlObserver):
    """Its URL never answers; its command ends when it is let."""

    def __init__(self) -> None:
        self.options = UrlObserverOptions(
            url="http://x", interval=0.01, timeout=1.0, failures=1, service="web", action="restart"
        )
        self.asked, self.told = 0, 0
        self.commanded, self.done = asyncio.Event(), asyncio.Event()
        self.clock, self._failed = SystemClock(), 0

    async def _why_not(self) -> str:
        self.asked += 1
        return "deaf"

    async def say(self, text: str, *, service: str = "", **data: Any) -> None:
        self.told += 1

    async def command(self, verb: str, service: str, **options: Any) -> Outcome:
        self.commanded.set()
        await self.done.wait()
        return Outcome(ok=True)


async def test_nothing_is_asked_while_a_restart_is_under_way() -> None:
    observer = Deaf()
    asking = asyncio.create_task(observer._again(0.0, observer._ask))
    await observer.commanded.wait()
    for _ in range(20):
        await asyncio.sleep(0)
    assert (observer.asked, observer.told) == (1, 1)
    observer.commanded.clear()
    observer.done.set()
    await observer.commanded.wait()  # it is still deaf: the next one
    asking.cancel()
