"""Load results and their reports."""

import asyncio

from aiohttp import web

from chapiteau.core.errors import NotFoundError
from chapiteau.dash.engine import results
from chapiteau.dash.logic.pages import REPORT_HEADERS
from chapiteau.dash.web.guard import HUB, need

__all__ = ["load_comparison", "load_report", "load_result", "load_results"]


@need("see")
async def load_results(request: web.Request) -> web.Response:
    """GET /api/load: finished load tests, newest first."""
    found = await asyncio.to_thread(results.results, request.app[HUB].reports)
    return web.json_response({"results": found})


@need("see")
async def load_result(request: web.Request) -> web.Response:
    """GET /api/load/ID: everything about one."""
    folder = request.app[HUB].reports
    return web.json_response(await asyncio.to_thread(results.result, folder, _number(request)))


@need("see")
async def load_comparison(request: web.Request) -> web.Response:
    """GET /api/load/compare?a=N&b=M: is M faster or slower than N?"""
    folder = request.app[HUB].reports
    a, b = (_checked(request.query.get(name, "")) for name in ("a", "b"))
    return web.json_response(await asyncio.to_thread(results.comparison, folder, a, b))


@need("see")
async def load_report(request: web.Request) -> web.StreamResponse:
    """GET /api/load/ID/report: its HTML, in a sandbox of its own."""
    folder = request.app[HUB].reports
    text = await asyncio.to_thread(results.report, folder, _number(request))
    return web.Response(text=text, content_type="text/html", headers=REPORT_HEADERS)


def _number(request: web.Request) -> int:
    return _checked(request.match_info["id"])


def _checked(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 15:
        raise NotFoundError(f"no load test {text[:40]!r}")
    return int(text)
