"""Searching kept output over the page: page after page, and all of it as a file."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chapiteau.dash.web.live import at_node


async def fetch(session: Any, query: str) -> list[dict[str, Any]]:
    async with session.get(f"/api/logs?{query}") as answer:
        assert answer.status == 200, await answer.text()
        return [json.loads(line) for line in (await answer.text()).splitlines()]


async def test_pages_of_a_search_go_back_until_there_is_no_more(house: Any) -> None:
    for number in range(25):
        house.node.say("web", 1, f"line {number}")
    query = "node=alpha&service=web&grep=line&last=10&pages=1"
    seen: list[str] = []
    before: dict[str, Any] = {}
    async with house.client() as session:
        for wanted in (10, 10, 5):
            *lines, end = await fetch(session, f"{query}&before={json.dumps(before)}")
            assert (end["node"], len(lines), end["unread"]) == ("alpha", wanted, [])
            seen = [line["text"] for line in lines] + seen
            before = {"alpha": end["older"]}
    assert seen == [f"line {number}" for number in range(25)]
    assert before == {"alpha": {}}


@pytest.mark.parametrize("before", ["[]", "{", '{"alpha": []}', "7"])
async def test_a_place_that_is_none_is_refused(house: Any, before: str) -> None:
    path = f"/api/logs?node=alpha&pages=1&before={before}"
    async with house.client() as session, session.get(path) as answer:
        assert answer.status == 400
        assert "TURN:OFFSET" in await answer.text()


async def test_the_live_page_is_told_where_older_lines_are(house: Any, open_live: Any) -> None:
    for number in range(5):
        house.node.say("web", 1, f"line {number}")
    query = {"service": "web", "last": "2", "pages": "1"}
    async with house.client() as session, open_live(session) as page:
        await page.order(op="log", id="a", nodes=["alpha"], query=query)
        rows, older = [], None
        while older is None or not rows:
            data = await page.next("log:a")
            rows += data["lines"]
            older = older or data.get("older")
        assert [row[5] for row in rows] == ["line 3", "line 4"]
        assert (older["node"], older["older"]) == ("alpha", {"web/1/stdout": "0:4"})
        house.node.say("web", 1, "new")
        assert [row[5] for row in (await page.next("log:a"))["lines"]] == ["new"]
        back = {"alpha": older["older"]}
        query = {**query, "until": "9999999999"}
        await page.order(op="log", id="b", nodes=["alpha"], query=query, before=back)
        rows = []
        while not rows:
            rows = (await page.next("log:b"))["lines"]
        assert [row[5] for row in rows] == ["line 1", "line 2"]


async def test_places_that_are_none_end_the_live_page(house: Any, open_live: Any) -> None:
    async with house.client() as session, open_live(session) as page:
        await page.order(op="log", id="a", nodes=["alpha"], query={}, before=["x"])
        message = await page.socket.receive(timeout=60)
        while message.type.name == "TEXT":
            message = await page.socket.receive(timeout=60)
        assert page.socket.close_code == 1008


async def test_all_of_it_can_be_read_in_a_tab_as_plain_text(house: Any) -> None:
    house.node.say("web", 1, "<script>alert(1)</script>")
    path = "/api/logs?node=alpha&service=web&whole=1&form=text"
    async with house.client() as session:
        async with session.get(f"{path}&show=1") as answer:
            assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Content-Disposition"].startswith("inline")
            assert "<script>alert(1)</script>" in await answer.text()
        house.node.output[-1]["time"] = 0.0  # as a line of the supervisor's own log
        async with session.get(path) as answer:
            assert (await answer.text()).startswith("- alpha web/1 stdout <script>")
        # Only plain text is ever shown in a tab.
        for other in (path, f"{path.replace('text', 'ndjson')}&show=1"):
            async with session.get(other) as answer:
                assert answer.headers["Content-Disposition"].startswith("attachment")


def test_a_span_of_time_is_asked_for_by_the_clock_of_the_node() -> None:
    query = {"since": "1000", "until": "1060.5", "last": "5"}
    assert at_node(query, 600.0) == {"since": "1600.0", "until": "1660.5", "last": "5"}
    assert at_node(query, 0.0) == query
    assert at_node({"since": "yesterday"}, 600.0) == {"since": "yesterday"}, "the node refuses it"
