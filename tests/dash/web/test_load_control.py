"""Ending a running load test and marking it, from the page."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from chapiteau.dash.auth.access import Caller, Role
from tests.support import wait_for_async

pytestmark = pytest.mark.slow


async def test_a_running_test_is_marked_and_ends_and_says_by_whom(house: Any) -> None:
    folder = house.hub.reports
    process = subprocess.Popen(
        [sys.executable, "-m", "chapiteau", "load", "run", f"{house.base}/favicon.svg",
         "--rate", "20/s", "-d", "60", "-q"],
        cwd=folder.parent, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        live = folder / "load" / "live" / f"{process.pid}.json"
        await wait_for_async(live.exists)
        place = f"/api/load/live/{process.pid}"
        async with house.client() as session:
            body = {"text": "  cache emptied ", "ago": 0.5}
            assert (await session.post(f"{place}/mark", json=body)).status == 200
            assert (await session.post(f"{place}/mark", json={"text": " "})).status == 400
            bad = {"text": "x", "ago": "soon"}
            assert (await session.post(f"{place}/mark", json=bad)).status == 400
            assert (await session.post(f"{place}/add", json={"users": "x"})).status == 400
            refused = await session.post(f"{place}/add", json={"rate": 1e9})
            assert refused.status == 409
            assert "above the 20000/s" in (await refused.json())["detail"]
            added = await (await session.post(f"{place}/add", json={"rate": 30})).json()
            assert (added["level"], added["who"]) == (50, "local")
            assert (await session.post(f"{place}/stop", json={})).status == 200
            assert (await session.post(f"{place}/stop", json={})).status in (200, 404)
            await wait_for_async(lambda: process.poll() is not None)
            assert (await session.post(f"{place}/stop", json={})).status == 404
            assert (await session.post("/api/load/1/baseline", json={})).status == 200
            assert (await session.post("/api/load/7/baseline", json={})).status == 404
            (listed,) = (await (await session.get("/api/load")).json())["results"]
            assert listed["baseline"] == 1
            document = await (await session.get("/api/load/1")).json()
        out = process.communicate()[0]
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130
    assert "(stopped early by local, after" in out
    assert [(m["who"], m["text"]) for m in document["marks"]] == [
        ("local", "cache emptied"),
        ("local", "+30/s"),
    ]
    told = {(e["verb"], e["who"], e["target"]) for e in house.hub.store.audit_trail(0)}
    assert {(f"load {verb}", "local", str(process.pid)) for verb in ("stop", "mark", "add")} <= told
    assert ("load baseline", "local", "1") in told


async def test_who_only_looks_may_not(house: Any) -> None:
    live = house.hub.reports / "load" / "live"
    live.mkdir(parents=True)
    (live / "1.json").write_text(json.dumps({"run": "1", "pid": 1, "started": 0}))
    session_id = house.hub.sessions.begin(Caller(name="vera", role=Role.VIEWER))
    async with house.client(login=False) as session:
        session.cookie_jar.update_cookies({f"chapiteau-{house.server.port}": session_id})
        for what in ("live/1/stop", "live/1/mark", "live/1/add", "1/baseline"):
            body = {"text": "x", "users": 1}
            answer = await session.post(f"/api/load/{what}", json=body)
            assert answer.status == 403
    assert not (live / "1.said").exists()
