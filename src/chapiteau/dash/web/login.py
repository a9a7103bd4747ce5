"""Logging in and out: by a link, a password or an identity provider."""

import contextlib
import hmac
import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import quote, unquote

from aiohttp import web

from chapiteau.core.errors import ChapiteauError, NotFoundError
from chapiteau.dash.auth.oidc import IdentityProvider
from chapiteau.dash.errors import LoginError, NotAllowedError
from chapiteau.dash.web.routes import json_body
from chapiteau.dash.web.security import (
    CALLER,
    HUB,
    SITE,
    address_of,
    cookie_name,
    require,
    set_session,
)

__all__ = ["login", "login_methods", "logout", "oidc_done", "oidc_start"]

_STATE: Final = "chapiteau-oidc"
_NEXT: Final = "chapiteau-oidc-next"
_SAID: Final = "chapiteau-oidc-said"
_SAID_PATH: Final = "/api/entry"
_BACK: Final = "/api/oidc/done"
_PATH: Final = re.compile(r"/(?![/\\])[\x21-\x7e]{0,2000}")


async def login(request: web.Request) -> web.Response:
    """POST /api/login {"token": …} or {"name": …, "password": …}: sets the session cookie."""
    body = await json_body(request)
    sessions, address = request.app[HUB].sessions, address_of(request)
    name = str(body.get("name", ""))[:100]
    with _noting_failure(request, name):
        if "name" in body:
            password = str(body.get("password", ""))
            session_id = await sessions.use_password(str(body["name"]), password, address)
        else:
            session_id = sessions.use_token(str(body.get("token", "")), address)
    response = web.json_response({"ok": True})
    _let_in(request, response, session_id, "password" if "name" in body else "link")
    return response


@contextlib.contextmanager
def _noting_failure(request: web.Request, name: str = "") -> Iterator[None]:
    try:
        yield
    except (LoginError, NotAllowedError) as exc:
        address = address_of(request)
        trail = request.app[HUB].trail
        trail.refuse(name or address, "login", address, f"failed: {exc.what}", address=address)
        raise


def _let_in(request: web.Request, response: web.Response, session_id: str, way: str) -> None:
    hub = request.app[HUB]
    caller = hub.sessions.caller(session_id)
    hub.trail.note(caller.name if caller else "", "login", address_of(request), f"by {way}")
    set_session(request, response, session_id)


@require("see")
async def logout(request: web.Request) -> web.Response:
    """POST /api/logout."""
    hub = request.app[HUB]
    hub.sessions.end(request.cookies.get(cookie_name(request), ""))
    hub.trail.note(request[CALLER].name, "logout", address_of(request), "ok")
    response = web.json_response({"ok": True})
    response.del_cookie(cookie_name(request), path="/")
    return response


async def login_methods(request: web.Request) -> web.Response:
    """GET /api/entry: which ways in there are, for the door, and why the last one failed."""
    provider = request.app[HUB].provider
    said = unquote(request.cookies.get(_SAID, ""))
    response = web.json_response({"oidc": provider.label if provider else "", "said": said})
    if said:
        response.del_cookie(_SAID, path=_SAID_PATH)
    return response


async def oidc_start(request: web.Request) -> web.StreamResponse:
    """GET /api/oidc/start?next=/PATH: to the provider, with a state tied to this browser."""
    try:
        url, state = await _provider(request).begin(_redirect(request))
    except ChapiteauError as exc:
        return _back_to_the_door(request, exc)
    response = web.Response(status=303, headers={"Location": url, "Cache-Control": "no-store"})
    _set(request, response, _STATE, state)
    _set(request, response, _NEXT, quote(_own_path(request.query.get("next", "/"))))
    return response


async def oidc_done(request: web.Request) -> web.StreamResponse:
    """GET /api/oidc/done?code=…&state=…: back from the provider."""
    provider, query = _provider(request), request.query
    try:
        if error := query.get("error"):
            raise LoginError(f"the identity provider said {error[:100]!r}")
        state = query.get("state", "")
        # Without this, a foreign page could log somebody in as somebody else.
        if not state or not hmac.compare_digest(_raw(state), _raw(request.cookies.get(_STATE, ""))):
            raise LoginError(
                "this login was begun in another browser", hint="try again from the page"
            )
        with _noting_failure(request):
            caller = await provider.finish(state, query.get("code", ""))
    except ChapiteauError as exc:
        return _back_to_the_door(request, exc)
    place = _own_path(unquote(request.cookies.get(_NEXT, "/")))
    response = web.Response(status=303, headers={"Location": place})
    for name in (_STATE, _NEXT):
        response.del_cookie(name, path="/api/oidc")
    _let_in(request, response, request.app[HUB].sessions.begin(caller), "identity provider")
    return response


def _back_to_the_door(request: web.Request, error: ChapiteauError) -> web.StreamResponse:
    """People see it on the page; programs get the error itself."""
    if "text/html" not in request.headers.get("Accept", ""):
        raise error
    response = web.Response(status=303, headers={"Location": "/"})
    _set(request, response, _SAID, quote(error.what[:500]), path=_SAID_PATH)
    return response


def _set(
    request: web.Request, response: web.Response, name: str, value: str, path: str = "/api/oidc"
) -> None:
    # Lax: the way back comes from a foreign page, and must bring it.
    response.set_cookie(
        name,
        value,
        httponly=True,
        samesite="Lax",
        secure=_public(request).startswith("https:"),
        path=path,
        max_age=600,
    )


def _raw(text: str) -> bytes:
    """What stood in a header or query, whatever bytes it were."""
    return text.encode(errors="surrogatepass")


def _own_path(path: str) -> str:
    """A page of ours; anything that might lead elsewhere is the first one."""
    return path if _PATH.fullmatch(path) else "/"


def _provider(request: web.Request) -> IdentityProvider:
    provider = request.app[HUB].provider
    if provider is None:
        raise NotFoundError("no identity provider is set", hint="see [dash.oidc]")
    return provider


def _redirect(request: web.Request) -> str:
    return _public(request) + _BACK


def _public(request: web.Request) -> str:
    given = request.app[HUB].settings.oidc.redirect.rstrip("/")
    scheme = "https" if request.app[SITE].tls else "http"
    return given or f"{scheme}://{request.host}"
