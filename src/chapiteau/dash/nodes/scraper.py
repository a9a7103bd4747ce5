"""Asks the services of this machine for their own figures: how many requests, how long they take.

Only while somebody follows the statistics, every other second. What does not answer, or answers
something else, is asked more and more rarely.
"""

import asyncio
from typing import Final

import aiohttp
from yarl import URL

from chapiteau.core.clock import Clock
from chapiteau.dash.fleet.request_rates import RateWindow, RequestRates, find_family, read_totals
from chapiteau.dash.fleet.status import NodeStatus

__all__ = ["Scraper"]

_EVERY: Final = 1.9  # seconds; statistics come each second, and this is a little less than two
_RARELY: Final = 60.0  # seconds between questions to one that gives no figures
_STALE: Final = 10.0  # seconds after which figures are no longer of now
_SHARE: Final = 0.01  # of a core that understanding a long text may cost
_MOST: Final = 4 << 20  # bytes
_TIMEOUT: Final = aiohttp.ClientTimeout(total=1.8)


class Scraper:
    """The newest figures of each service that says where they are."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._services: dict[str, _Asked] = {}

    def learn(self, status: NodeStatus) -> None:
        """Which services are to be asked; of those that are known the past is kept."""
        found: dict[str, _Asked] = {}
        for service in status.get("services", ()):
            url = service.get("metrics") or ""
            if not url.startswith("http") or not service.get("ready"):
                continue
            known = self._services.get(service["name"])
            found[service["name"]] = known if known and known.url == url else _Asked(url)
        for name, one in self._services.items():
            if found.get(name) is not one:
                one.stop()
        self._services = found

    def rates(self) -> dict[str, list[float | None]]:
        """Service → [requests a second, p99 in seconds or None, answers with 5xx a second].

        Begins to ask those whose turn it is; what they say is told from the next call on.
        """
        now = self._clock.now()
        found: dict[str, list[float | None]] = {}
        for name, one in self._services.items():
            if one.figures is not None and now - one.at < _STALE:
                found[name] = one.figures.to_list()
            one.ask_when_due(self._clock, name)
        return found

    def stop(self) -> None:
        """Nobody looks any more."""
        for one in self._services.values():
            one.stop()


class _Asked:
    """One service."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.figures: RequestRates | None = None
        self.at = 0.0  # when the figures were read
        self.due = float("-inf")
        self.task: asyncio.Task[None] | None = None
        self._rates = RateWindow()
        self._failed = 0

    def stop(self) -> None:
        if self.task is not None:
            self.task.cancel()

    def ask_when_due(self, clock: Clock, name: str) -> None:
        if self.due <= clock.now() and (self.task is None or self.task.done()):
            self.task = asyncio.create_task(self.ask(clock), name=f"figures of {name}")

    async def ask(self, clock: Clock) -> None:
        """Read it once, and say when the next time is due."""
        self.due = clock.now() + _EVERY
        try:
            text = await _read(self.url)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
            text = ""
        began = clock.now()
        target = URL(self.url)
        family = find_family(text, target.fragment)
        if family:
            totals = read_totals(text, family, target.path)
            self.figures, self.at, self._failed = self._rates.add(began, totals), began, 0
        else:
            self._failed = min(self._failed + 1, 6)
            self.due = clock.now() + min(_RARELY, _EVERY * 2**self._failed)
        self.due = max(self.due, clock.now() + (clock.now() - began) / _SHARE)


async def _read(url: str) -> str:
    """The text. Raises aiohttp.ClientError, OSError, TimeoutError; ValueError for no such text."""
    async with (
        aiohttp.ClientSession(timeout=_TIMEOUT) as session,
        session.get(url, allow_redirects=False) as answer,
    ):
        if answer.status != 200:
            raise ValueError(f"{url} answered {answer.status}")
        body = b""
        async for piece in answer.content.iter_chunked(1 << 16):
            body += piece
            if len(body) > _MOST:
                raise ValueError(f"{url} is longer than {_MOST} bytes")
        return body.decode("utf-8", "replace")
