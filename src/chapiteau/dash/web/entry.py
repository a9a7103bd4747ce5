"""Logging in by an identity provider: there, and back again."""

import hmac
from typing import Final

from aiohttp import web

from chapiteau.core.errors import NotFoundError
from chapiteau.dash.engine.entry.oidc import Provider
from chapiteau.dash.errors import LoginError
from chapiteau.dash.web.guard import DOOR, HUB, set_session

__all__ = ["oidc_done", "oidc_start", "ways"]

_STATE: Final = "chapiteau-oidc"
_BACK: Final = "/api/oidc/done"


async def ways(request: web.Request) -> web.Response:
    """GET /api/entry: which ways in there are, for the door."""
    provider = request.app[HUB].provider
    return web.json_response({"oidc": provider.label if provider else ""})


async def oidc_start(request: web.Request) -> web.Response:
    """GET /api/oidc/start: to the provider, with a state that is tied to this browser."""
    url, state = await _provider(request).begin(_redirect(request))
    response = web.Response(status=303, headers={"Location": url, "Cache-Control": "no-store"})
    # Lax: the way back comes from a foreign page, and must bring it.
    response.set_cookie(
        _STATE,
        state,
        httponly=True,
        samesite="Lax",
        secure=_public(request).startswith("https:"),
        path="/api/oidc",
        max_age=600,
    )
    return response


async def oidc_done(request: web.Request) -> web.Response:
    """GET /api/oidc/done?code=…&state=…: back from the provider."""
    provider, query = _provider(request), request.query
    if error := query.get("error"):
        raise LoginError(f"the identity provider said {error[:100]!r}")
    state = query.get("state", "")
    # Without this, a foreign page could log somebody in as somebody else.
    if not state or not hmac.compare_digest(state, request.cookies.get(_STATE, "")):
        raise LoginError("this login was begun in another browser", hint="try again from the page")
    caller = await provider.finish(state, query.get("code", ""))
    response = web.Response(status=303, headers={"Location": "/"})
    response.del_cookie(_STATE, path="/api/oidc")
    set_session(request, response, request.app[HUB].sessions.begin(caller))
    return response


def _provider(request: web.Request) -> Provider:
    provider = request.app[HUB].provider
    if provider is None:
        raise NotFoundError("no identity provider is set", hint="see [dash.oidc]")
    return provider


def _redirect(request: web.Request) -> str:
    return _public(request) + _BACK


def _public(request: web.Request) -> str:
    given = request.app[HUB].settings.oidc.redirect.rstrip("/")
    scheme = "https" if request.app[DOOR].tls else "http"
    return given or f"{scheme}://{request.host}"
