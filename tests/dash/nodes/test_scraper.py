"""Asking services for their own figures, against a real server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio
from aiohttp import web

from chapiteau.core.clock import ManualClock
from chapiteau.dash.nodes.scraper import Scraper

FAMILY = "http_request_duration_seconds"


class Service:
    """Tells as many requests as it was told; or fails."""

    def __init__(self) -> None:
        self.count = 0
        self.asked = 0
        self.status = 200

    async def metrics(self, request: web.Request) -> web.Response:
        self.asked += 1
        lines = [f"# TYPE {FAMILY} histogram", f'{FAMILY}_bucket{{le="0.1"}} {self.count}']
        lines += [f'{FAMILY}_bucket{{le="+Inf"}} {self.count}', f"{FAMILY}_count {self.count}"]
        return web.Response(text="\n".join(lines), status=self.status)


@pytest_asyncio.fixture
async def served() -> AsyncIterator[tuple[Service, str]]:
    service = Service()
    app = web.Application()
    app.router.add_get("/metrics", service.metrics)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0]
    yield service, f"http://{host}:{port}/metrics"
    await runner.cleanup()


def status(url: str, ready: int = 1) -> dict[str, Any]:
    return {"services": [{"name": "web", "metrics": url, "ready": ready}, {"name": "db"}]}


async def look(scraper: Scraper, clock: ManualClock, seconds: float) -> dict[str, Any]:
    """Begin what is due, let it end, and tell what is known then."""
    clock.advance(seconds)
    scraper.rates()
    tasks = [task for task in asyncio.all_tasks() if task.get_name().startswith("figures of")]
    await asyncio.gather(*tasks)
    return scraper.rates()


async def test_figures_come_from_two_looks(served: tuple[Service, str]) -> None:
    service, url = served
    clock = ManualClock()
    scraper = Scraper(clock)
    scraper.learn(status(url))
    assert await look(scraper, clock, 0) == {}
    service.count = 100
    assert await look(scraper, clock, 1) == {}  # not yet its turn
    assert await look(scraper, clock, 1) == {"web": [50.0, 0.099, 0.0]}
    # Its process goes: nothing is asked, and nothing old is told as if it were of now.
    scraper.learn(status(url, ready=0))
    assert await look(scraper, clock, 2) == {}
    assert service.asked == 2


async def test_who_gives_none_is_asked_rarely_and_old_figures_go(
    served: tuple[Service, str],
) -> None:
    service, url = served
    clock = ManualClock()
    scraper = Scraper(clock)
    scraper.learn(status(url))
    await look(scraper, clock, 0)
    assert await look(scraper, clock, 2) == {"web": [0.0, None, 0.0]}
    service.status, service.asked = 404, 0
    found = [await look(scraper, clock, 2) for _ in range(60)]
    assert found[-1] == {}
    assert service.asked <= 7  # in two minutes
    service.status = 200
    await look(scraper, clock, 60)
    assert await look(scraper, clock, 2) != {}
