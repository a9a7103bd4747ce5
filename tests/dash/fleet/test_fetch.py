"""Requests to services of this machine, against a real one."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator

import msgspec
import pytest_asyncio
from aiohttp import web

from chapiteau.dash.fleet.fetch import fetch
from chapiteau.dash.fleet.node import ServiceRequest, ServiceResponse


@pytest_asyncio.fixture
async def origin() -> AsyncIterator[str]:
    async def answer(request: web.Request) -> web.Response:
        return web.json_response({"path": request.path_qs}, headers={"X-Kind": "Trial"})

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0]
    yield f"http://{host}:{port}"
    await runner.cleanup()


async def test_an_answer_can_be_sent_on_to_a_hub(origin: str) -> None:
    status = {"services": [{"name": "web", "openapi": f"{origin}/openapi.json"}]}
    found = await fetch(status, ServiceRequest(service="web", path="/cities?country=PT"))
    assert found.status == 200
    assert ("X-Kind", "Trial") in found.headers
    assert found.body == '{"path": "/cities?country=PT"}'
    # Nodes answer in messages of plain values only.
    sent = msgspec.json.decode(msgspec.json.encode(dataclasses.asdict(found)))
    sent["headers"] = tuple(map(tuple, sent["headers"]))
    assert ServiceResponse(**sent) == found
