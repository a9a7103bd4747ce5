"""The JSON API and the live socket, as a page uses them."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from chapiteau.dash.fleet.bus import Viewer
from chapiteau.dash.fleet.node import ServiceResponse
from chapiteau.run.logs.messages import Outcome
from tests.support import wait_for_async

WEB = {"node": "alpha", "service": "web"}


async def get(session: Any, path: str) -> Any:
    async with session.get(path) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.json()


async def act(session: Any, verb: str, key: str = "k1", **more: Any) -> Any:
    body = {"verb": verb, "targets": [WEB], **more}
    async with session.post("/api/act", json=body, headers={"Idempotency-Key": key}) as answer:
        return answer.status, await answer.json(content_type=None)


async def test_the_fleet_tells_what_is_wrong_and_how_to_cure_it(house: Any) -> None:
    async with house.client() as session:
        await wait_for_async(lambda: house.hub.fleet.watch("alpha").status)
        (node,) = (await get(session, "/api/fleet"))["nodes"]
    (problem,) = node["problems"]
    assert problem["service"] == "mailer"
    assert problem["cause"] == "a module is missing: redis"
    assert problem["lines"][-1] == "ModuleNotFoundError: redis"
    assert [remedy["line"] for remedy in problem["remedies"]] == [
        "chapiteau restart mailer",
        "chapiteau stop mailer",
    ]


async def test_an_action_reaches_the_node_with_who_wanted_it(house: Any) -> None:
    async with house.client() as session:
        await wait_for_async(lambda: house.hub.fleet.watch("alpha").status)
        status, action = await act(session, "scale", options={"by": 1})
        assert status == 202
        assert action["lines"] == ["chapiteau scale web=+1"]
        await wait_for_async(lambda: house.node.commands)
    assert house.node.commands == [("scale", "web", {"by": 1}, "dash:local")]


async def test_a_repeated_key_acts_once(house: Any) -> None:
    async with house.client() as session:
        await wait_for_async(lambda: house.hub.fleet.watch("alpha").status)
        first = await act(session, "reload")
        again = await act(session, "reload")
        assert first[1]["number"] == again[1]["number"]
        await wait_for_async(lambda: house.node.commands)
        await act(session, "reload", key="k2")
        await wait_for_async(lambda: len(house.node.commands) == 2)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"verb": "rm", "targets": [WEB]}, "unknown action"),
        ({"verb": "stop", "targets": []}, "nothing is selected"),
        ({"verb": "stop", "targets": [{"node": "alpha", "service": "wbe"}]}, "no service 'wbe'"),
        ({"verb": "stop", "targets": "web"}, "targets"),
    ],
)
async def test_a_wrong_order_is_refused_with_words(house: Any, body: Any, says: str) -> None:
    async with house.client() as session:
        await wait_for_async(lambda: house.hub.fleet.watch("alpha").status)
        async with session.post("/api/act", json=body, headers={"Idempotency-Key": "x"}) as answer:
            assert answer.status == 400
            assert says in (await answer.json(content_type=None))["detail"]
    assert house.node.commands == []


async def test_a_failed_action_is_told_per_server(house: Any, open_live: Any) -> None:
    house.node.outcome = Outcome(ok=False, error="web is not running", hint="start it")
    async with house.client() as session, open_live(session) as page:
        await wait_for_async(lambda: house.hub.fleet.watch("alpha").status)
        await page.order(op="sub", topic="actions")
        await act(session, "signal", options={"signal": "HUP"})
        while not (action := await page.next("actions"))["ended"]:
            pass
        assert action["targets"][0]["result"]["error"] == "web is not running"
        assert (await get(session, "/api/audit"))["entries"][0]["result"].startswith("0 of 1 done")


async def test_the_socket_sends_state_then_changes(house: Any, open_live: Any) -> None:
    async with house.client() as session, open_live(session) as page:
        await page.order(op="sub", topic="fleet")
        node = await page.next("fleet")
        assert node["name"] == "alpha"
        house.node.services = []
        house.node.happen("service.stopped", service="web")
        while (await page.next("fleet"))["status"].get("services") != []:
            pass


async def test_a_beat_right_after_the_greeting_leaves_the_past_in_it(house: Any) -> None:
    watch = house.hub.fleet.watch("alpha")
    await wait_for_async(lambda: bool(watch.past.spark(60)))
    viewer = Viewer("her")
    viewer.topics.add("stats")
    house.hub.bus.viewers.add(viewer)
    house.hub.fleet.greet(viewer, "stats")
    house.hub.bus.latest("stats", "", {"time": 1.0, "nodes": []})  # before anything was sent
    names, past, beat = (json.loads(message.data) for message in viewer.take())
    assert names["ids"]
    assert past["nodes"][0]["past"]
    assert beat["nodes"] == []


async def test_numbers_come_in_columns_with_names_first(house: Any, open_live: Any) -> None:
    async with house.client() as session, open_live(session) as page:
        await wait_for_async(lambda: house.hub.fleet.watch("alpha").stats)
        await page.order(op="sub", topic="stats")
        names = await page.next("stats")
        assert names["ids"] == ["web/1", "web/2", "web/3", "web/4"]
        numbers = await page.next("stats")
        (node,) = numbers["nodes"]
        assert node["v"] == names["v"]
        assert len(node["cpu"]) == len(node["rss"]) == 4


async def test_names_are_told_again_only_when_they_change(house: Any, open_live: Any) -> None:
    async with house.client() as session, open_live(session) as page:
        watch = house.hub.fleet.watch("alpha")
        await wait_for_async(lambda: watch.stats)
        await page.order(op="sub", topic="stats")
        assert (await page.next("stats"))["ids"]
        # A supervisor may name its processes with every message.
        house.hub.fleet.measured(watch)
        watch.stats = {**watch.stats, "ids": list(watch.ids)}
        for _ in range(3):
            house.hub.fleet.measured(watch)
            assert "nodes" in await page.next("stats")


async def test_events_come_with_their_node_and_none_is_missed(house: Any, open_live: Any) -> None:
    house.node.happen("process.spawned", service="web", process=1)
    async with house.client() as session, open_live(session) as page:
        await wait_for_async(lambda: house.hub.fleet.watch("alpha").events)
        await page.order(op="sub", topic="events")
        first = await page.next("events")
        assert first["first"] is True
        assert [e["kind"] for e in first["events"]] == ["process.spawned"]
        for _ in range(500):
            house.node.happen("process.ready", service="web")
        seen: list[int] = []
        while len(seen) < 500:
            seen += [e["seq"] for e in (await page.next("events"))["events"]]
        assert seen == list(range(2, 502))


async def test_log_lines_follow_and_can_be_narrowed(house: Any, open_live: Any) -> None:
    house.node.say("web", 1, "hello")
    house.node.say("mailer", 1, "not this")
    async with house.client() as session, open_live(session) as page:
        await page.order(op="log", id="a", nodes=["alpha"], query={"service": "web"})
        assert [row[5] for row in (await page.next("log:a"))["lines"]] == ["hello"]
        house.node.say("web", 2, "again", "stderr")
        (row,) = (await page.next("log:a"))["lines"]
        assert row[1:6] == ["alpha", "web", 2, "stderr", "again"]


@pytest.mark.parametrize("more", [{}, {"pages": "1"}], ids=["plain", "as the page asks"])
async def test_a_log_goes_on_where_its_server_fell_silent(
    house: Any, open_live: Any, more: dict[str, str]
) -> None:
    async def said(page: Any) -> list[Any]:
        while not (rows := (await page.next("log:a"))["lines"]):
            pass
        return list(rows)

    house.node.say("web", 1, "before")
    async with house.client() as session, open_live(session) as page:
        await page.order(op="log", id="a", nodes=["alpha"], query={"service": "web", **more})
        assert [row[5] for row in await said(page)] == ["before"]
        house.node.fall_silent()
        (note,) = await said(page)
        assert note[4] == "note"
        assert "follows when it is back" in note[5]
        house.node.say("web", 1, "meanwhile")
        house.node.say("web", 2, "here too")
        house.node.fall_silent(away=False)
        rows = await said(page)
        assert [row[5] for row in rows] == ["meanwhile", "here too"]  # and nothing twice


async def test_a_page_that_comes_back_gets_what_it_has_not(house: Any, open_live: Any) -> None:
    for text in ("one", "two", "three"):
        house.node.say("web", 1, text)
    query = {"service": "web", "last": "1", "pages": "1"}
    async with house.client() as session, open_live(session) as page:
        known = {"alpha": {"web/1/stdout": 1}}
        await page.order(op="log", id="a", nodes=["alpha"], query=query, after=known)
        assert [row[5] for row in (await page.next("log:a"))["lines"]] == ["two", "three"]
        await page.order(
            op="log", id="b", nodes=["alpha"], query=query, after={"alpha": {"x": "y"}}
        )
        async with asyncio.timeout(60):
            while not page.socket.closed:
                await page.socket.receive()
        assert page.socket.close_code == 1008


async def test_a_node_that_falls_silent_keeps_its_last_values(house: Any, open_live: Any) -> None:
    async with house.client() as session, open_live(session) as page:
        await page.order(op="sub", topic="fleet")
        while not (node := await page.next("fleet"))["status"].get("services"):
            pass
        house.node.fall_silent()
        while not (node := await page.next("fleet"))["away"]:
            pass
        assert [s["name"] for s in node["status"]["services"]] == ["loader", "web", "mailer"]
        assert node["problems"][0]["what"] == "unreachable"
        house.node.fall_silent(away=False)
        while (node := await page.next("fleet"))["away"]:
            pass
        assert node["problems"][0]["service"] == "mailer"


async def test_history_is_there_for_a_page_that_opens_later(house: Any) -> None:
    async with house.client() as session:
        await asyncio.sleep(0)  # nobody watched: the hub did
        await wait_for_async(lambda: house.hub.fleet.watch("alpha").stats)
        past = await get(session, "/api/history?node=alpha&service=web&seconds=60")
        assert past["ids"] == ["web/1", "web/2", "web/3", "web/4"]
        assert len(past["cpu"][0]) == 60
        assert past["cpu"][0][-1] is not None


async def test_requests_that_a_service_counts_are_told_with_its_processes(
    house: Any, open_live: Any
) -> None:
    house.node.requests = {"web": [41.5, 0.012, 0.0]}
    async with house.client() as session, open_live(session) as page:
        watch = house.hub.fleet.watch("alpha")
        await wait_for_async(lambda: watch.stats.get("requests"))
        watch.history.add({**watch.stats, "time": watch.stats["time"] + 1}, watch.ids)
        past = await get(session, "/api/history?node=alpha&service=web&seconds=5")
        assert past["requests"]["rate"][-1] == 41.5
        assert past["requests"]["p99"][-1] == 0.012
        assert "requests" not in await get(session, "/api/history?node=alpha&service=mailer")
        await page.order(op="sub", topic="stats")
        while "nodes" not in (numbers := await page.next("stats")):
            pass
        assert numbers["nodes"][0]["requests"] == house.node.requests


async def test_the_last_minute_of_rows_in_sight_is_one_question(house: Any) -> None:
    async with house.client() as session:
        await wait_for_async(lambda: house.hub.fleet.watch("alpha").stats)
        rows = [["alpha", "web", 2], ["alpha", "web", 0], ["nowhere", "web", 1]]
        one, whole, nothing = (await get(session, f"/api/sparks?rows={json.dumps(rows)}"))["rows"]
        assert len(one["cpu"]) == len(whole["cpu"]) == 60
        assert 0 < one["rss"][-1] < whole["rss"][-1]
        assert nothing == {"time": 0, "cpu": [], "rss": []}
        many = json.dumps([["alpha", "web", 1]] * 201)
        for wrong in ('[["alpha"]]', "7", "{", '[["a","b","c"]]', many):
            async with session.get("/api/sparks", params={"rows": wrong}) as answer:
                assert answer.status == 400


async def test_who_holds_a_socket_is_asked_of_its_node(house: Any) -> None:
    async with house.client() as session:
        found = await get(session, "/api/nodes/alpha/v1/sockets/web")
    assert [(h["pid"], h["service"], h["process"]) for h in found["holders"]] == [
        (800 + n, "web", n) for n in (1, 2, 3, 4)
    ]


async def test_an_openapi_document_is_fetched_through_the_hub(house: Any) -> None:
    house.node.answers["GET", ""] = ServiceResponse(
        status=200, headers=(), body='{"openapi": "3.1.0"}', milliseconds=1, url="http://x/o.json"
    )
    async with house.client() as session:
        found = await get(session, "/api/openapi?node=alpha&service=web")
        assert found["document"] == {"openapi": "3.1.0"}


async def test_trying_an_operation_gives_the_answer_and_leaves_a_trace(house: Any) -> None:
    house.node.answers["POST", "/notes"] = ServiceResponse(
        status=201, headers=(("ETag", "1"),), body="{}", milliseconds=1, url="http://x/notes"
    )
    body = {"node": "alpha", "service": "web", "method": "POST", "path": "/notes"}
    async with house.client() as session:
        async with session.post("/api/try", json=body) as answer:
            assert (await answer.json())["status"] == 201
        entry, _login = (await get(session, "/api/audit"))["entries"]
        assert (entry["verb"], entry["target"]) == ("try", "alpha/web POST /notes")


async def test_sessions_survive_a_restart_of_the_hub(house: Any) -> None:
    from chapiteau.dash.auth.sessions import Sessions

    async with house.client() as session:
        (cookie,) = list(session.cookie_jar)
    again = Sessions(house.hub.store, house.hub.clock, house.hub.settings, lambda: None)
    caller = again.caller(cookie.value)
    assert caller is not None
    assert caller.name == "local"
    assert again.caller("stolen") is None


async def test_a_quiet_services_events_are_found_behind_those_of_a_loud_one(house: Any) -> None:
    house.node.happen("service.ready", service="web")
    for _ in range(400):
        house.node.happen("process.exited", service="mailer")
    async with house.client() as session:
        watch = house.hub.fleet.watch("alpha")
        await wait_for_async(lambda: len(watch.events) == 401)
        newest = await get(session, "/api/events")
        assert {event["service"] for event in newest["events"]} == {"mailer"}
        (found,) = (await get(session, "/api/events?service=web&node=alpha"))["events"]
        assert (found["kind"], found["node"]) == ("service.ready", "alpha")


async def test_output_of_several_servers_is_one_file(house: Any) -> None:
    house.node.say("web", 1, "hello")
    house.node.say("web", 2, "again", "stderr")
    async with house.client() as session:
        async with session.get("/api/logs?node=alpha&service=web") as answer:
            lines = [json.loads(line) for line in (await answer.text()).splitlines()]
        assert [(line["node"], line["text"]) for line in lines] == [
            ("alpha", "hello"),
            ("alpha", "again"),
        ]
        async with session.get("/api/logs?node=alpha&service=web&form=text") as answer:
            assert answer.content_type == "text/plain"
            assert (await answer.text()).splitlines()[1].endswith(" alpha web/2 stderr again")
        async with session.get("/api/logs?node=alpha&form=cards") as answer:
            assert answer.status == 400
        house.node.fall_silent()
        async with session.get("/api/logs?node=alpha&node=alpha&form=text") as answer:
            assert (await answer.text()).count("the supervisor does not answer") == 2
        async with session.get("/api/logs?node=alpha") as answer:
            assert answer.status == 503
