"""The fleet for Prometheus and its kin."""

import hmac

from aiohttp import web

from chapiteau.dash.logic.nodes.openmetrics import CONTENT_TYPE, fleet_metrics
from chapiteau.dash.web.guard import HUB, need

__all__ = ["metrics"]


async def metrics(request: web.Request) -> web.StreamResponse:
    """GET /metrics: with a session, or with `Authorization: Bearer …` as hub.metrics_token says."""
    wanted = request.app[HUB].metrics_token
    kind, _, shown = request.headers.get("Authorization", "").partition(" ")
    if wanted and kind.lower() == "bearer" and hmac.compare_digest(shown.encode(), wanted.encode()):
        return _answer(request)
    return await _seen(request)


@need("see")
async def _seen(request: web.Request) -> web.StreamResponse:
    return _answer(request)


def _answer(request: web.Request) -> web.Response:
    hub = request.app[HUB]
    views = [hub.fleet.view(watch) for watch in hub.fleet.watches()]
    leads = hub.center is None or hub.center.term.leads
    text = fleet_metrics(views, leads=leads)
    return web.Response(body=text.encode(), headers={"Content-Type": CONTENT_TYPE})
