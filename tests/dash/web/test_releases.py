"""What changed: the configuration, the API of a service, one load test against another."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from chapiteau.dash.auth.access import Caller, Role
from chapiteau.dash.fleet.node import ServiceResponse
from chapiteau.load.execution.storage import save_result
from chapiteau.load.report.document import document
from chapiteau.load.stats.recorder import Recorder
from chapiteau.load.stats.totals import Totals
from chapiteau.load.verdict.run_verdict import run_verdict
from tests.load.report.test_report import facts
from tests.support import wait_for_async

CHANGE = {
    "kind": "change",
    "what": "service",
    "name": "web",
    "effect": "restart",
    "differences": [{"setting": "command", "old": "web --serve", "new": "web --serve --fast"}],
}


def keep_result(folder: Path, milliseconds: int, seconds: int = 12) -> int:
    """A stored load test of steady latency."""
    recorder, totals = Recorder(), Totals()
    row = recorder.row("GET /cities")
    for second in range(seconds):
        row.latency[second] += [milliseconds * 1000 + i for i in range(50)]
        row.statuses[200] += 50
    totals.add(recorder.flush())
    known = replace(facts(seconds), started=1e9)
    made = document(known, totals, run_verdict((), (), totals, seconds), ())
    return save_result(folder, made, "<p>report</p>")


async def post(session: Any, path: str, body: Any) -> tuple[int, Any]:
    async with session.post(path, json=body) as answer:
        return answer.status, await answer.json(content_type=None)


async def get(session: Any, path: str) -> tuple[int, Any]:
    async with session.get(path) as answer:
        return answer.status, await answer.json(content_type=None)


async def test_a_plan_is_shown_then_applied_and_on_record(house: Any) -> None:
    house.node.plan = [CHANGE]
    async with house.client() as session:
        status, plan = await post(session, "/api/config", {"node": "alpha"})
        assert (status, plan["data"]["changes"]) == (200, [CHANGE])
        assert house.node.applied == []
        status, done = await post(session, "/api/config", {"node": "alpha", "apply": True})
        assert (status, done["ok"]) == (200, True)
        assert house.node.applied == ["dash:local"]
        _, trail = await get(session, "/api/audit")
    entry = trail["entries"][0]
    assert (entry["verb"], entry["target"], entry["result"]) == ("apply", "alpha", "ok")


async def test_only_an_admin_applies(house: Any) -> None:
    session_id = house.hub.sessions.begin(Caller(name="ana", role=Role.OPERATOR))
    async with house.client(login=False) as session:
        session.cookie_jar.update_cookies({f"chapiteau-{house.server.port}": session_id})
        assert (await post(session, "/api/config", {"node": "alpha"}))[0] == 200
        status, problem = await post(session, "/api/config", {"node": "alpha", "apply": True})
    assert status == 403
    assert "may not apply" in problem["detail"]
    assert house.node.applied == []


def api(*paths: str) -> ServiceResponse:
    body = {
        "openapi": "3.1.0",
        "info": {"title": "shop", "version": "1"},
        "paths": {path: {"get": {"responses": {"200": {"description": "it"}}}} for path in paths},
    }
    return ServiceResponse(
        status=200, headers=(), body=json.dumps(body), milliseconds=1, url="http://x/openapi.json"
    )


async def test_a_changed_api_is_noticed_though_nobody_looked(house: Any) -> None:
    house.node.answers["GET", ""] = api("/a", "/b")
    async with house.client() as session:
        await wait_for_async(lambda: house.hub.fleet.watch("alpha").status)
        _, first = await get(session, "/api/openapi?node=alpha&service=web")
        assert first["before"] is None
        house.node.answers["GET", ""] = api("/b", "/c")
        house.node.happen("service.reloaded", service="web")
        await wait_for_async(lambda: house.hub.documents.count("alpha", "web") == 2)
        _, second = await get(session, "/api/openapi?node=alpha&service=web")
    assert second["before"]["since"] == first["since"]
    assert second["before"]["changes"] == [
        {"breaking": True, "where": "GET /a", "what": "is gone"},
        {"breaking": False, "where": "GET /c", "what": "is new"},
    ]


@pytest.mark.parametrize("body", ["<html>", "[]"])
async def test_what_is_no_document_is_told_and_not_kept(house: Any, body: str) -> None:
    house.node.answers["GET", ""] = ServiceResponse(
        status=200, headers=(), body=body, milliseconds=1, url="http://x/openapi.json"
    )
    async with house.client() as session:
        status, problem = await get(session, "/api/openapi?node=alpha&service=web")
    assert status >= 400
    assert "http://x/openapi.json is not" in problem["detail"]
    assert house.hub.documents.count("alpha", "web") == 0


async def test_two_load_tests_are_compared_with_their_curves(house: Any) -> None:
    folder = house.hub.reports
    before, after = keep_result(folder, 10), keep_result(folder, 20)
    async with house.client() as session:
        _, slower = await get(session, f"/api/load/compare?a={before}&b={after}")
        _, faster = await get(session, f"/api/load/compare?a={after}&b={before}")
        missing, _ = await get(session, f"/api/load/compare?a={before}&b=99")
        nonsense, _ = await get(session, "/api/load/compare?a=x&b=")
    assert (slower["word"], faster["word"]) == ("slower", "faster")
    assert [len(slower["curves"][key]) for key in ("a", "b")] == [12, 12]
    assert (missing, nonsense) == (404, 404)


METERED = """# TYPE chapiteau_request_duration_seconds histogram
chapiteau_request_duration_seconds_bucket{{path="/cities/{{id}}",method="GET",status="200",le="0.1"}} {0}
chapiteau_request_duration_seconds_bucket{{path="/cities/{{id}}",method="GET",status="200",le="+Inf"}} {0}
chapiteau_request_duration_seconds_count{{path="/cities/{{id}}",method="GET",status="200"}} {0}
"""  # noqa: E501


async def test_requests_of_each_operation_come_from_the_services_own_figures(house: Any) -> None:
    def says(path: str, count: int) -> None:
        house.node.answers["GET", path] = ServiceResponse(
            status=200, headers=(), body=METERED.format(count), milliseconds=1, url="http://x"
        )

    async def asked(session: Any) -> Any:
        async with session.get("/api/operations?node=alpha&service=web") as answer:
            return (await answer.json())["operations"]

    web = next(s for s in house.node.services if s["name"] == "web")
    operations = house.hub.operations
    async with house.client() as session:
        assert await asked(session) == [], "it says nowhere that it counts"
        web["metrics"] = "http://127.0.0.1:1/figures?all=1"
        house.node.happen("service.ready", service="web")
        watch = house.hub.fleet.watch("alpha")
        await wait_for_async(lambda: any(s.get("metrics") for s in watch.status["services"]))
        says("/figures?all=1", 100)
        assert await asked(session) == [], "a rate needs two looks"
        says("/figures?all=1", 300)
        past = operations._known["alpha", "web"]
        past.at -= 2  # time has passed
        (rates,) = past.rates.values()
        rates._seen[0] = (rates._seen[0][0] - 2, rates._seen[0][1])
        (found,) = await asked(session)
        assert (found["method"], found["path"], found["errors"]) == ("GET", "/cities/{}", 0)
        assert found["rate"] == pytest.approx(100, rel=0.2)
        assert found["p99"] == pytest.approx(0.099)
        web["metrics"] = "http://127.0.0.1:9/elsewhere"
        house.node.happen("service.ready", service="web")
        await wait_for_async(
            lambda: any("else" in s.get("metrics", "") for s in watch.status["services"])
        )
        assert await asked(session) == [], "no other place is asked for a page"
