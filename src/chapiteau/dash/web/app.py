"""Every route of the hub."""

import hashlib
import hmac
import mimetypes
from pathlib import Path
from typing import Final

from aiohttp import web

from chapiteau.core.errors import NotFoundError
from chapiteau.dash.fleet.metrics import CONTENT_TYPE, fleet_metrics
from chapiteau.dash.web import (
    api,  # noqa: F401 — fill the table of calls
    load_tests,  # noqa: F401 — fill the table of calls
    login,
)
from chapiteau.dash.web.hub import Hub
from chapiteau.dash.web.live import live, logs
from chapiteau.dash.web.routes import routes
from chapiteau.dash.web.security import HUB, SITE, Site, add_headers, guard, require

__all__ = ["STATIC", "Files", "make_app", "metrics"]


STATIC: Final = Path(__file__).parent.parent / "static"
_MISSING: Final = """<!doctype html><html lang="en"><title>Chapiteau</title>
<h1>The page was not built</h1><p>This installation has no dashboard files.
Build them where the sources are: <code>cd ui &amp;&amp; npm ci &amp;&amp; npm run build</code>,
or install the package again.</p></html>"""


class Files:
    """Every built file by its path, read once: no path of a request ever meets the disk."""

    def __init__(self, folder: Path = STATIC) -> None:
        self._files = {
            f"/{path.relative_to(folder).as_posix()}": path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file() and not path.name.startswith(".")
        }

    async def page(self, request: web.Request) -> web.Response:
        """GET / and every path of the page's own router."""
        body = self._files.get("/index.html")
        if body is None:
            return web.Response(text=_MISSING, content_type="text/html", status=503)
        return web.Response(
            body=body, content_type="text/html", headers={"Cache-Control": "no-store"}
        )

    async def asset(self, request: web.Request) -> web.Response:
        """GET /assets/NAME: names carry a digest, so they may be kept for ever."""
        body = self._files.get(request.path)
        if body is None:
            raise NotFoundError(f"no file {request.path}")
        kind = mimetypes.guess_type(request.path)[0] or "application/octet-stream"
        response = web.Response(body=body, content_type=kind)
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        response.etag = hashlib.sha256(body).hexdigest()[:16]
        response.enable_compression()
        return response


# The fleet for Prometheus and its kin.


async def metrics(request: web.Request) -> web.StreamResponse:
    """GET /metrics: with a session, or with `Authorization: Bearer …` as hub.metrics_token says."""
    wanted = request.app[HUB].metrics_token
    kind, _, shown = request.headers.get("Authorization", "").partition(" ")
    if wanted and kind.lower() == "bearer" and hmac.compare_digest(shown.encode(), wanted.encode()):
        return _answer(request)
    return await _seen(request)


@require("see")
async def _seen(request: web.Request) -> web.StreamResponse:
    return _answer(request)


def _answer(request: web.Request) -> web.Response:
    hub = request.app[HUB]
    views = [hub.fleet.view(watch) for watch in hub.fleet.watches()]
    leads = hub.cluster is None or hub.cluster.leadership.leads
    text = fleet_metrics(views, leads=leads)
    return web.Response(body=text.encode(), headers={"Content-Type": CONTENT_TYPE})


_LARGEST_BODY = 1 << 20


def make_app(hub: Hub, door: Site) -> web.Application:
    """The application; the caller starts and stops the hub's parts."""
    app = web.Application(middlewares=[guard], client_max_size=_LARGEST_BODY)
    app[HUB] = hub
    app[SITE] = door
    app.on_response_prepare.append(add_headers)
    files = Files()
    app.add_routes(
        [
            web.post("/api/login", login.login),
            web.post("/api/logout", login.logout),
            web.get("/api/entry", login.login_methods),
            web.get("/api/oidc/start", login.oidc_start),
            web.get("/api/oidc/done", login.oidc_done),
            web.get("/api/live", live),
            web.get("/api/logs", logs),
            web.get("/metrics", metrics),
            *routes(),
            web.get("/assets/{name}", files.asset),
            web.get("/favicon.svg", files.asset),
            web.get("/", files.page),
            # The page's own router: a reload of /services/web must find the page again.
            web.get("/{page:(?!api/|assets/).*}", files.page),
        ]
    )
    return app
