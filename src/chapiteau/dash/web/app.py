"""Every route of the hub."""

from aiohttp import web

from chapiteau.dash.engine.hub import Hub
from chapiteau.dash.web import api, apis, entry, load, metrics, relays, wanted
from chapiteau.dash.web.files import Files
from chapiteau.dash.web.guard import DOOR, HUB, Door, dress, guard
from chapiteau.dash.web.live import live
from chapiteau.dash.web.logs import logs

__all__ = ["make_app"]

_LARGEST_BODY = 1 << 20


def make_app(hub: Hub, door: Door) -> web.Application:
    """The application; the caller starts and stops the hub's parts."""
    app = web.Application(middlewares=[guard], client_max_size=_LARGEST_BODY)
    app[HUB] = hub
    app[DOOR] = door
    app.on_response_prepare.append(dress)
    files = Files()
    app.add_routes(
        [
            web.post("/api/login", api.login),
            web.get("/api/entry", entry.ways),
            web.get("/api/oidc/start", entry.oidc_start),
            web.get("/api/oidc/done", entry.oidc_done),
            web.post("/api/logout", api.logout),
            web.get("/api/session", api.session),
            web.get("/api/live", live),
            web.get("/api/fleet", api.fleet),
            web.get("/api/events", api.events),
            web.get("/api/history", api.history),
            web.get("/api/sparks", api.sparks),
            web.get("/api/sockets", api.holders),
            web.get("/api/logs", logs),
            web.post("/api/preview", api.preview),
            web.post("/api/act", api.act),
            web.post("/api/act/{number}/withdraw", api.withdraw),
            web.post("/api/config", api.config),
            web.post("/api/mute", api.mute),
            web.get("/api/relays", relays.hosts),
            web.get("/api/relays/{test}", relays.reports),
            web.post("/api/relays/{test}", relays.push),
            web.get("/api/audit", api.audit),
            web.get("/api/wanted", wanted.read),
            web.post("/api/wanted", wanted.change),
            web.get("/metrics", metrics.metrics),
            web.get("/api/openapi", apis.document),
            web.get("/api/operations", apis.operations),
            web.post("/api/try", apis.try_out),
            *load.routes(),
            web.get("/assets/{name}", files.asset),
            web.get("/favicon.svg", files.asset),
            web.get("/", files.page),
            # The page's own router: a reload of /services/web must find the page again.
            web.get("/{page:(?!api/|assets/).*}", files.page),
        ]
    )
    return app
