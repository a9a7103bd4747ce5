"""Load results and their reports."""

import asyncio
from typing import Final

from aiohttp import web

from chapiteau.core.errors import NotFoundError, RefusedError
from chapiteau.dash.engine import results
from chapiteau.dash.errors import BadRequestError
from chapiteau.dash.logic.pages import REPORT_HEADERS
from chapiteau.dash.web.guard import CALLER, HUB, json_body, need
from chapiteau.load.logic.report import rendered

__all__ = [
    "load_add",
    "load_baseline",
    "load_comparison",
    "load_csv",
    "load_mark",
    "load_report",
    "load_result",
    "load_results",
    "load_rows",
    "load_stop",
    "routes",
]

_LONGEST_MARK: Final = 200  # letters
_LONGEST_AGO: Final = 3600  # seconds


def routes() -> list[web.RouteDef]:
    """All of them."""
    return [
        web.get("/api/load", load_results),
        web.get("/api/load/compare", load_comparison),
        web.post("/api/load/live/{run}/stop", load_stop),
        web.post("/api/load/live/{run}/mark", load_mark),
        web.post("/api/load/live/{run}/add", load_add),
        web.get("/api/load/{id}", load_result),
        web.get("/api/load/{id}/rows", load_rows),
        web.post("/api/load/{id}/baseline", load_baseline),
        web.get("/api/load/{id}/report", load_report),
        web.get("/api/load/{id}/csv", load_csv),
    ]


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
async def load_rows(request: web.Request) -> web.Response:
    """GET /api/load/ID/rows: its requests by name, as the page shows them."""
    folder = request.app[HUB].reports
    return web.json_response(await asyncio.to_thread(results.rows, folder, _number(request)))


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


@need("see")
async def load_csv(request: web.Request) -> web.Response:
    """GET /api/load/ID/csv: its requests by name, a line each."""
    folder = request.app[HUB].reports
    found = await asyncio.to_thread(results.result, folder, _number(request))
    return web.Response(text=rendered(found, "csv"), content_type="text/csv")


@need("steer")
async def load_stop(request: web.Request) -> web.Response:
    """POST /api/load/live/RUN/stop: end a running test; its result is stored, with a name."""
    hub, caller, run = request.app[HUB], request[CALLER], request.match_info["run"]
    await asyncio.to_thread(results.stop, hub.reports, run, caller.name)
    now = hub.clock.wall()
    hub.store.audit(who=caller.name, verb="load stop", target=run, result="asked", time=now)
    return web.json_response({"ok": True})


@need("steer")
async def load_mark(request: web.Request) -> web.Response:
    """POST /api/load/live/RUN/mark {"text", "ago"}: note what happened `ago` seconds before now."""
    body = await json_body(request)
    text, ago = str(body.get("text", "")).strip()[:_LONGEST_MARK], body.get("ago", 0)
    if not text:
        raise BadRequestError("a mark needs a text")
    if not isinstance(ago, int | float) or not 0 <= ago <= _LONGEST_AGO:
        raise BadRequestError("ago: seconds, not more than an hour")
    hub, caller, run = request.app[HUB], request[CALLER], request.match_info["run"]
    now = hub.clock.wall()
    await asyncio.to_thread(results.mark, hub.reports, run, text, caller.name, now - ago)
    hub.store.audit(who=caller.name, verb="load mark", target=run, result=text, time=now)
    return web.json_response({"ok": True})


@need("steer")
async def load_add(request: web.Request) -> web.Response:
    """POST /api/load/live/RUN/add {"users"} or {"rate"}: more load, from now to its end."""
    body = await json_body(request)
    users, rate = body.get("users", 0), body.get("rate", 0)
    if not isinstance(users, int) or not isinstance(rate, int | float):
        raise BadRequestError("users: a whole number; rate: sessions a second")
    hub, caller, run = request.app[HUB], request[CALLER], request.match_info["run"]
    now = hub.clock.wall()
    asked = f"+{users} users" if users else f"+{rate:g}/s"
    try:
        found = await asyncio.to_thread(
            results.add, hub.reports, run, users=users, rate=float(rate), who=caller.name
        )
    except RefusedError as exc:
        text = f"{asked}: {exc.what}"
        hub.store.audit(who=caller.name, verb="load add", target=run, result=text, time=now)
        raise
    hub.store.audit(who=caller.name, verb="load add", target=run, result=asked, time=now)
    return web.json_response(found)


@need("steer")
async def load_baseline(request: web.Request) -> web.Response:
    """POST /api/load/ID/baseline {"on"}: hold later results of its test against this one."""
    body = await json_body(request)
    hub, caller, number = request.app[HUB], request[CALLER], _number(request)
    on = body.get("on", True) is not False
    await asyncio.to_thread(results.set_baseline, hub.reports, number, caller.name, on=on)
    text = "set" if on else "cleared"
    now = hub.clock.wall()
    hub.store.audit(
        who=caller.name, verb="load baseline", target=str(number), result=text, time=now
    )
    return web.json_response({"ok": True})


def _number(request: web.Request) -> int:
    return _checked(request.match_info["id"])


def _checked(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 15:
        raise NotFoundError(f"no load test {text[:40]!r}")
    return int(text)
