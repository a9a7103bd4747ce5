"""Load results and their reports."""

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from chapiteau.core.errors import NotFoundError, RefusedError
from chapiteau.dash.errors import BadRequestError
from chapiteau.dash.web.security import CALLER, HUB, REPORT_HEADERS, json_body, require
from chapiteau.load import client
from chapiteau.load.report import render
from chapiteau.load.report.comparison import compare_results
from chapiteau.load.report.live import live_samples, stored_endpoints

__all__ = [
    "LoadTestWatcher",
    "add",
    "annotate",
    "comparison",
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
    "report",
    "result",
    "results",
    "routes",
    "rows",
    "set_baseline",
    "stop",
]


# Load tests of this project: what ran, what runs now.

_MARGIN: Final = 0.05  # differences below this share are none, as for `chapiteau load compare`
_LOOK: Final = 1.0  # seconds between two looks at the folder


def results(folder: Path) -> list[dict[str, Any]]:
    """Finished load tests, newest first, each with the number of its test's `baseline` (or None).

    `folder` is the project's run folder.
    """
    held = client.baselines(folder)
    return [one.to_dict() | {"baseline": held.get(one.test)} for one in client.results(folder)]


def result(folder: Path, number: int) -> dict[str, Any]:
    """Everything about one load test. Raises NotFoundError."""
    return client.result(folder, number)


def rows(folder: Path, number: int) -> dict[str, Any]:
    """Its requests by name, with what a look at one shows, and samples of its failures.

    Raises NotFoundError.
    """
    document = result(folder, number)
    told = {key: document.get(key, []) for key in ("seconds", "soundness", "marks")}
    load = document["plan"].get("load", [])
    failures = live_samples(document["failures"])
    return {**told, "rows": stored_endpoints(document), "failures": failures, "load": load}


def comparison(folder: Path, before: int, after: int) -> dict[str, Any]:
    """Is `after` faster or slower than `before`? With the curves of both.

    Raises NotFoundError, and UsageError when one of them has no requests.
    """
    a, b = result(folder, before), result(folder, after)
    # The same draws for the same two tests: who looks twice sees the same.
    chance = random.Random(f"{before} {after}")  # noqa: S311 — resamples, guards nothing
    found = compare_results(a, b, _MARGIN, chance)
    marks = {"a": a.get("marks", []), "b": b.get("marks", [])}
    return {**found, "curves": {"a": a["timeline"], "b": b["timeline"]}, "marks": marks}


def stop(folder: Path, run: str, who: str) -> None:
    """End a running test; it judges and stores what it has. Raises NotFoundError."""
    if not client.stop(folder, run, who):
        raise NotFoundError(f"no load test {run[:40]!r} runs here", hint="it may be over")


def annotate(folder: Path, run: str, text: str, who: str, time: float) -> None:
    """Note what happened at `time` in a running test's result. Raises NotFoundError."""
    if not client.mark(folder, run, text, who=who, time=time):
        raise NotFoundError(f"no load test {run[:40]!r} runs here", hint="it may be over")


def add(folder: Path, run: str, *, users: int, rate: float, who: str) -> dict[str, Any]:
    """Put more load on in a running test; its answer. Raises NotFoundError, RefusedError."""
    return client.add(folder, run, users=users, rate=rate, who=who)


def set_baseline(folder: Path, number: int, who: str, *, on: bool) -> None:
    """Hold later results of its test against this one, or no longer. Raises NotFoundError."""
    client.set_baseline(folder, number, who=who, on=on)


def report(folder: Path, number: int) -> str:
    """Its HTML report. Raises NotFoundError."""
    path = client.report_path(folder, number)
    if path is None:
        raise NotFoundError(f"load test {number} has no report any more")
    return path.read_text(encoding="utf-8")


class LoadTestWatcher:
    """Looks at the running load tests once per second, while anybody watches."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def follow(self) -> AsyncIterator[dict[str, Any]]:
        """{"live": […], "results": […]}, whenever it changed."""
        before: dict[str, Any] | None = None
        while True:
            now = await asyncio.to_thread(self._look)
            if now != before:
                yield now
            before = now
            await asyncio.sleep(_LOOK)

    def _look(self) -> dict[str, Any]:
        return {"live": client.live(self._folder), "results": results(self._folder)}


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


@require("see")
async def load_results(request: web.Request) -> web.Response:
    """GET /api/load: finished load tests, newest first."""
    found = await asyncio.to_thread(results, request.app[HUB].reports)
    return web.json_response({"results": found})


@require("see")
async def load_result(request: web.Request) -> web.Response:
    """GET /api/load/ID: everything about one."""
    folder = request.app[HUB].reports
    return web.json_response(await asyncio.to_thread(result, folder, _number(request)))


@require("see")
async def load_rows(request: web.Request) -> web.Response:
    """GET /api/load/ID/rows: its requests by name, as the page shows them."""
    folder = request.app[HUB].reports
    return web.json_response(await asyncio.to_thread(rows, folder, _number(request)))


@require("see")
async def load_comparison(request: web.Request) -> web.Response:
    """GET /api/load/compare?a=N&b=M: is M faster or slower than N?"""
    folder = request.app[HUB].reports
    a, b = (_checked(request.query.get(name, "")) for name in ("a", "b"))
    return web.json_response(await asyncio.to_thread(comparison, folder, a, b))


@require("see")
async def load_report(request: web.Request) -> web.StreamResponse:
    """GET /api/load/ID/report: its HTML, in a sandbox of its own."""
    folder = request.app[HUB].reports
    text = await asyncio.to_thread(report, folder, _number(request))
    return web.Response(text=text, content_type="text/html", headers=REPORT_HEADERS)


@require("see")
async def load_csv(request: web.Request) -> web.Response:
    """GET /api/load/ID/csv: its requests by name, a line each."""
    folder = request.app[HUB].reports
    found = await asyncio.to_thread(result, folder, _number(request))
    return web.Response(text=render(found, "csv"), content_type="text/csv")


@require("steer")
async def load_stop(request: web.Request) -> web.Response:
    """POST /api/load/live/RUN/stop: end a running test; its result is stored, with a name."""
    hub, caller, run = request.app[HUB], request[CALLER], request.match_info["run"]
    await asyncio.to_thread(stop, hub.reports, run, caller.name)
    now = hub.clock.wall()
    hub.store.audit(who=caller.name, verb="load stop", target=run, result="asked", time=now)
    return web.json_response({"ok": True})


@require("steer")
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
    await asyncio.to_thread(annotate, hub.reports, run, text, caller.name, now - ago)
    hub.store.audit(who=caller.name, verb="load mark", target=run, result=text, time=now)
    return web.json_response({"ok": True})


@require("steer")
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
            add, hub.reports, run, users=users, rate=float(rate), who=caller.name
        )
    except RefusedError as exc:
        text = f"{asked}: {exc.what}"
        hub.store.audit(who=caller.name, verb="load add", target=run, result=text, time=now)
        raise
    hub.store.audit(who=caller.name, verb="load add", target=run, result=asked, time=now)
    return web.json_response(found)


@require("steer")
async def load_baseline(request: web.Request) -> web.Response:
    """POST /api/load/ID/baseline {"on"}: hold later results of its test against this one."""
    body = await json_body(request)
    hub, caller, number = request.app[HUB], request[CALLER], _number(request)
    on = body.get("on", True) is not False
    await asyncio.to_thread(set_baseline, hub.reports, number, caller.name, on=on)
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
