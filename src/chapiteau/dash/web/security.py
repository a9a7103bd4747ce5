"""Every request passes here: Host, Origin, session, role; every answer leaves with headers."""

import contextlib
import functools
from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web

from chapiteau.core.errors import (
    ChapiteauError,
    NotFoundError,
    RefusedError,
    TimedOutError,
    UnreachableError,
    UsageError,
)
from chapiteau.dash.auth.access import (
    Caller,
    allowed,
    host_allowed,
    origin_allowed,
    true_address,
)
from chapiteau.dash.errors import LoginError, NotAllowedError
from chapiteau.dash.store import StorageError
from chapiteau.dash.web.hub import Hub

__all__ = [
    "CALLER",
    "HUB",
    "PAGE_HEADERS",
    "REPORT_HEADERS",
    "SITE",
    "Site",
    "add_headers",
    "address_of",
    "authorize",
    "cookie_name",
    "guard",
    "require",
    "set_session",
]


# Response headers that keep a page ours: nothing inline, nothing foreign, nothing framed.

_COMMON: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}

_POLICY: Final = (
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "connect-src 'self'",
    "img-src 'self' data:",
    "frame-src 'self'",
    "frame-ancestors 'none'",
    "base-uri 'none'",
    "form-action 'self'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
)
PAGE_HEADERS: Final = {
    **_COMMON,
    "Content-Security-Policy": "; ".join(_POLICY),
    "X-Frame-Options": "DENY",
}

# A load report is a document of its own with its script inside. `sandbox` without
# allow-same-origin gives it an origin of nobody: it can read neither cookie nor API.
REPORT_HEADERS: Final = {
    **_COMMON,
    "Content-Security-Policy": (
        "sandbox allow-scripts allow-downloads; default-src 'none'; script-src 'unsafe-inline'; "
        "style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'; base-uri 'none'; "
        "form-action 'none'"
    ),
}

HUB: Final = web.AppKey("hub", Hub)
CALLER: Final = web.RequestKey("caller", Caller)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_SAFE: Final = frozenset(("GET", "HEAD"))
_STATUS: Final[tuple[tuple[type[ChapiteauError], int], ...]] = (
    (LoginError, 401),
    (NotAllowedError, 403),
    (RefusedError, 409),
    (NotFoundError, 404),
    (UsageError, 400),
    (UnreachableError, 503),
    (TimedOutError, 504),
    (StorageError, 507),
)
_BY_EXIT_CODE: Final = {kind.exit_code: status for kind, status in _STATUS if status < 507}


class Site:
    """Under which names this server may be asked, and how its cookie is called."""

    def __init__(self, *, port: int, names: tuple[str, ...], tls: bool) -> None:
        self.port = port
        self.names = names
        self.tls = tls

    @property
    def cookie(self) -> str:
        """__Host- needs Secure; on plain loopback the port keeps two dashboards apart."""
        return "__Host-chapiteau" if self.tls else f"chapiteau-{self.port}"


SITE: Final = web.AppKey("door", Site)


def cookie_name(request: web.Request) -> str:
    """The session cookie's name."""
    return request.app[SITE].cookie


def set_session(request: web.Request, response: web.Response, session_id: str) -> None:
    """Give the browser its session, out of reach of scripts and foreign pages."""
    response.set_cookie(
        cookie_name(request),
        session_id,
        httponly=True,
        samesite="Strict",
        secure=_came_by_tls(request),
        path="/",
        max_age=int(request.app[HUB].settings.session_max),
    )


def _came_by_tls(request: web.Request) -> bool:
    """Also where a proxy in front does it: then the browser's Origin or the redirect says so."""
    origin = request.headers.get("Origin", "") or request.app[HUB].settings.oidc.redirect
    return request.app[SITE].tls or origin.startswith("https://")


@web.middleware
async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse what is not ours, then answer; errors become problem+json."""
    try:
        _check_host(request)
        _check_origin(request)
        response = await handler(request)
    except ChapiteauError as exc:
        _note_refusal(request, exc)
        response = _problem(exc)
    except web.HTTPException as exc:
        if exc.status < 400:
            raise
        response = _http_problem(exc)
    return response


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Headers of every answer, before its first byte: streams have left when `guard` sees them."""
    for name, value in PAGE_HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers["Server"] = "chapiteau"  # aiohttp would tell its version and Python's
    if request.path.startswith("/api/"):
        response.headers.setdefault("Cache-Control", "no-store")


def authorize(caller: Caller, verb: str) -> None:
    """Raises NotAllowedError unless the caller's role has this verb."""
    if not allowed(caller.role, verb):
        raise NotAllowedError(f"{caller.name} is {caller.role.name.lower()} and may not {verb}")


def require(verb: str) -> Callable[[Handler], Handler]:
    """The handler runs only for callers whose role has this verb."""

    def wrap(handler: Handler) -> Handler:
        @functools.wraps(handler)
        async def checked(request: web.Request) -> web.StreamResponse:
            caller = _caller(request)
            if caller is None:
                raise LoginError("log in first", hint="get a link: chapiteau dash url")
            request[CALLER] = caller
            authorize(caller, verb)
            return await handler(request)

        return checked

    return wrap


def _caller(request: web.Request) -> Caller | None:
    session_id = request.cookies.get(cookie_name(request), "")
    return request.app[HUB].sessions.caller(session_id) if session_id else None


def address_of(request: web.Request) -> str:
    """Where it comes from, behind proxies of ours."""
    forwarded = request.headers.getall("X-Forwarded-For", ())
    return true_address(request.remote or "", forwarded, request.app[HUB].settings.proxies)


def _note_refusal(request: web.Request, error: ChapiteauError) -> None:
    """Who was not let in, or may not do it. Failed logins are noted where they fail."""
    if not isinstance(error, LoginError | NotAllowedError) or request.path == "/api/login":
        return
    if isinstance(error, LoginError) and request.method in _SAFE and not _is_upgrade(request):
        return  # a page that asks whether it is logged in
    address, caller = address_of(request), request.get(CALLER)
    actor = caller.name if caller else address
    did = f"{request.method} {request.path}"[:200]
    request.app[HUB].trail.refuse(actor, "refused", did, error.what, address=address)


def _is_upgrade(request: web.Request) -> bool:
    return request.headers.get("Upgrade", "").lower() == "websocket"


def _check_host(request: web.Request) -> None:
    door = request.app[SITE]
    host = request.headers.get("Host", "")
    if not host_allowed(host, door.port, door.names):
        raise NotAllowedError(
            f"this server is not called {host!r}",
            hint="add the name to dash.names in chapiteau.toml",
        )


def _check_origin(request: web.Request) -> None:
    websocket = _is_upgrade(request)
    if request.method in _SAFE and not websocket:
        return
    if not origin_allowed(
        request.headers.get("Host", ""),
        request.headers.get("Origin"),
        request.headers.get("Sec-Fetch-Site"),
        must=websocket,
    ):
        raise NotAllowedError("this request comes from a foreign page", hint=_other_port(request))
    if not websocket and request.headers.get("X-Chapiteau") != "1":
        raise NotAllowedError("this request lacks our header", hint="send X-Chapiteau: 1")


def _other_port(request: web.Request) -> str:
    """A proxy that passes Host without its port makes our own page look foreign."""
    origin, host = request.headers.get("Origin", ""), request.headers.get("Host", "")
    with contextlib.suppress(ValueError):
        if urlsplit(origin).hostname == urlsplit(f"//{host}").hostname:
            return f"the page is {origin}, and Host says {host}: a proxy must pass it with its port"
    return ""


def _http_problem(exc: web.HTTPException) -> web.Response:
    """What aiohttp itself refuses: no such path, another method, too long a body."""
    if exc.status == 404:
        return _problem(NotFoundError(exc.reason))
    methods = getattr(exc, "allowed_methods", None)
    hint = f"it takes {', '.join(sorted(methods))}" if methods else ""
    return _problem(UsageError(exc.reason, hint=hint), exc.status)


def _problem(error: ChapiteauError, status: int = 0) -> web.Response:
    # What a node refused has come over its link, which keeps the exit code alone.
    of_node = _BY_EXIT_CODE.get(error.exit_code, 500)
    code = status or next((s for kind, s in _STATUS if isinstance(error, kind)), of_node)
    body = {
        "title": type(error).__name__.removesuffix("Error"),
        "status": code,
        "detail": error.what,
        "hint": error.hint,
        "exit_code": error.exit_code,
    }
    return web.json_response(body, status=code, content_type="application/problem+json")
