"""The JSON calls of load tests: what ran, what runs now, and control of it."""

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import msgspec
from aiohttp import web
from msgspec.structs import asdict

from chapiteau.core.errors import NotFoundError
from chapiteau.dash.auth.access import Caller
from chapiteau.dash.errors import BadRequestError
from chapiteau.dash.web.hub import Hub
from chapiteau.dash.web.routes import Query, call
from chapiteau.dash.web.security import REPORT_HEADERS
from chapiteau.load import client
from chapiteau.load.report import render
from chapiteau.load.report.comparison import compare_results
from chapiteau.load.report.live import live_samples, stored_endpoints

__all__ = ["LoadTestWatcher"]

_MARGIN: Final = 0.05  # differences below this share are none, as for `chapiteau load compare`
_POLL: Final = 1.0  # seconds
_MAX_MARK: Final = 200  # letters
_MAX_AGO: Final = 3600  # seconds
_ID: Final = r"{id:\d{1,15}}"


class LoadTestWatcher:
    """Reads the running load tests once per second, while anybody watches."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def follow(self) -> AsyncIterator[dict[str, Any]]:
        """{"live": […], "results": […]}, whenever it changed."""
        before: dict[str, Any] | None = None
        while True:
            now = await asyncio.to_thread(self._read)
            if now != before:
                yield now
            before = now
            await asyncio.sleep(_POLL)

    def _read(self) -> dict[str, Any]:
        return {"live": client.live(self._folder), "results": _results(self._folder)}


def _results(folder: Path) -> list[dict[str, Any]]:
    """Newest first, each with the number of its test's `baseline` (or None)."""
    held = client.baselines(folder)
    return [asdict(one) | {"baseline": held.get(one.test)} for one in client.results(folder)]


@call("GET", "/api/load", "see")
async def _list(hub: Hub, caller: Caller) -> dict[str, Any]:
    """Finished load tests, newest first."""
    return {"results": await asyncio.to_thread(_results, hub.reports)}


class _Compare(Query, frozen=True):
    a: str = ""
    b: str = ""


@call("GET", "/api/load/compare", "see")
async def _compare(hub: Hub, caller: Caller, query: _Compare) -> dict[str, Any]:
    """Is `b` faster or slower than `a`? With the curves of both."""
    for text in (query.a, query.b):
        if not text.isascii() or not text.isdigit():
            raise NotFoundError(f"no load test {text[:40]!r}")
    return await asyncio.to_thread(_comparison, hub.reports, int(query.a), int(query.b))


def _comparison(folder: Path, before: int, after: int) -> dict[str, Any]:
    a, b = client.load_result(folder, before), client.load_result(folder, after)
    # The same draws for the same two tests: who looks twice sees the same.
    chance = random.Random(f"{before} {after}")  # noqa: S311 — resamples, guards nothing
    found = compare_results(a, b, _MARGIN, chance)
    curves = {"curves": {"a": a.timeline, "b": b.timeline}, "marks": {"a": a.marks, "b": b.marks}}
    shown: dict[str, Any] = msgspec.to_builtins(found) | msgspec.to_builtins(curves)
    return shown


class _ById(Query, frozen=True):
    id: int


@call("GET", f"/api/load/{_ID}", "see")
async def _result(hub: Hub, caller: Caller, query: _ById) -> dict[str, Any]:
    """Everything about one load test."""
    return await asyncio.to_thread(client.result, hub.reports, query.id)


@call("GET", f"/api/load/{_ID}/rows", "see")
async def _rows(hub: Hub, caller: Caller, query: _ById) -> dict[str, Any]:
    """Its requests by name, with what a look at one shows, and samples of its failures."""
    found = await asyncio.to_thread(client.load_result, hub.reports, query.id)
    shown: dict[str, Any] = msgspec.to_builtins(
        {
            "seconds": found.seconds,
            "soundness": found.soundness,
            "marks": found.marks,
            "rows": stored_endpoints(found),
            "failures": live_samples(found.failures),
            "load": found.plan.get("load", []),
        }
    )
    return shown


@call("GET", f"/api/load/{_ID}/report", "see")
async def _report(hub: Hub, caller: Caller, query: _ById) -> web.Response:
    """Its HTML report, in a sandbox of its own."""
    path = await asyncio.to_thread(client.report_path, hub.reports, query.id)
    if path is None:
        raise NotFoundError(f"load test {query.id} has no report any more")
    text = await asyncio.to_thread(path.read_text, "utf-8")
    return web.Response(text=text, content_type="text/html", headers=REPORT_HEADERS)


@call("GET", f"/api/load/{_ID}/csv", "see")
async def _csv(hub: Hub, caller: Caller, query: _ById) -> web.Response:
    """Its requests by name, a line each."""
    found = await asyncio.to_thread(client.load_result, hub.reports, query.id)
    return web.Response(text=render(found, "csv"), content_type="text/csv")


class _Run(Query, frozen=True):
    run: str


@call("POST", "/api/load/live/{run}/stop", "steer")
async def _stop(hub: Hub, caller: Caller, query: _Run) -> None:
    """End a running test; it judges and stores what it has, with the caller's name."""
    with hub.audited(caller, "load stop", query.run) as result:
        found = await asyncio.to_thread(client.stop, hub.reports, query.run, caller.name)
        _running(query.run, found)
        result("asked")


class _Mark(_Run, frozen=True):
    text: str = ""
    ago: float = 0


@call("POST", "/api/load/live/{run}/mark", "steer")
async def _mark(hub: Hub, caller: Caller, query: _Mark) -> None:
    """Note in its result what happened `ago` seconds before now."""
    text = query.text.strip()[:_MAX_MARK]
    if not text:
        raise BadRequestError("a mark needs a text")
    if not 0 <= query.ago <= _MAX_AGO:
        raise BadRequestError("ago: seconds, not more than an hour")
    time = hub.clock.wall() - query.ago

    def mark() -> bool:
        return client.mark(hub.reports, query.run, text, who=caller.name, time=time)

    with hub.audited(caller, "load mark", query.run) as result:
        _running(query.run, await asyncio.to_thread(mark))
        result(text)


class _Add(_Run, frozen=True):
    users: int = 0
    rate: float = 0


@call("POST", "/api/load/live/{run}/add", "steer")
async def _add(hub: Hub, caller: Caller, query: _Add) -> dict[str, Any]:
    """More load, from now to its end."""
    more = f"+{query.users} users" if query.users else f"+{query.rate:g}/s"

    def add() -> dict[str, Any]:
        added = client.add(
            hub.reports, query.run, users=query.users, rate=query.rate, who=caller.name
        )
        return dict(added)

    with hub.audited(caller, "load add", query.run) as result:
        found = await asyncio.to_thread(add)
        result(more)
    return found


class _Baseline(_ById, frozen=True):
    on: bool = True


@call("POST", f"/api/load/{_ID}/baseline", "steer")
async def _baseline(hub: Hub, caller: Caller, query: _Baseline) -> None:
    """Compare later results of its test with this one, or no longer."""

    def set_baseline() -> None:
        client.set_baseline(hub.reports, query.id, who=caller.name, on=query.on)

    with hub.audited(caller, "load baseline", str(query.id)) as result:
        await asyncio.to_thread(set_baseline)
        result("set" if query.on else "cleared")


def _running(run: str, found: bool) -> None:
    if not found:
        raise NotFoundError(f"no load test {run[:40]!r} runs here", hint="it may be over")
