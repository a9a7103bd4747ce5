"""Three servers in network namespaces of their own: joined, seen, steered, cut off, found again."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.dash.country import Country, three_servers
from tests.support import as_root, wait_for, wait_for_async

pytestmark = [
    pytest.mark.slow,
    pytest.mark.needs_root,
    pytest.mark.timeout(180),
    as_root,
    pytest.mark.skipif(not shutil.which("ip"), reason="needs iproute2"),
]


@pytest.fixture
def country(tmp_path: Path) -> Iterator[Country]:
    with three_servers(tmp_path) as country:
        yield country


class Page:
    """What a browser would ask."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self.session = session

    async def nodes(self) -> dict[str, Any]:
        async with self.session.get("/api/fleet") as answer:
            return {node["name"]: node for node in (await answer.json())["nodes"]}

    async def web(self, name: str) -> dict[str, Any]:
        status = (await self.nodes())[f"server-{name}"]["status"]
        found: dict[str, Any] = next(s for s in status["services"] if s["name"] == "web")
        return found

    async def act(self, verb: str, names: str, key: str, **options: Any) -> int:
        targets = [{"node": f"server-{n}", "service": "web"} for n in names]
        body = {"verb": verb, "targets": targets, "options": options}
        sent = {"Idempotency-Key": key}
        async with self.session.post("/api/act", json=body, headers=sent) as answer:
            assert answer.status == 202, await answer.text()
            return int((await answer.json())["number"])

    async def ended(self, number: int, within: float) -> dict[str, Any]:
        """The action, when it has ended."""
        async with asyncio.timeout(within), self.session.ws_connect("/api/live") as socket:
            await socket.send_json({"op": "sub", "topic": "actions"})
            async for message in socket:
                for told in json.loads(message.data):
                    found: dict[str, Any] = told["data"]
                    if found["number"] == number and found["ended"]:
                        return found
        raise AssertionError("the page was closed")

    async def away(self, name: str) -> bool:
        return bool((await self.nodes())[f"server-{name}"]["away"])


async def test_three_servers_on_one_page(country: Country) -> None:
    link = country.link()
    base = link["base"].rstrip("/")
    headers = {"Origin": base, "X-Chapiteau": "1"}
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(base, headers=headers, cookie_jar=jar) as session:
        token = link["url"].partition("token=")[2]
        async with session.post("/api/login", json={"token": token}) as answer:
            assert answer.status == 200
        page = Page(session)

        async def all_ready() -> bool:
            return [(await page.web(n))["ready"] for n in "abc"] == [2, 2, 2]

        await wait_for_async(all_ready, what="all three are seen")

        # Act on all at once.
        await page.act("scale", "abc", "k1", processes=3)

        async def three_each() -> bool:
            return [(await page.web(n))["ready"] for n in "abc"] == [3, 3, 3]

        await wait_for_async(three_each, what="scaled everywhere")

        # The servers' own events name the person who clicked.
        assert "(dash:local)" in country.on("a", "events", "--json")

        # A worker dies on b: seen, and the reason is told.
        victim = (await page.web("b"))["processes"][0]["pid"]
        os.kill(victim, signal.SIGKILL)

        async def restarted() -> bool:
            processes = (await page.web("b"))["processes"]
            return victim not in [p["pid"] for p in processes] and len(processes) == 3

        await wait_for_async(restarted, what="the worker is replaced")

        # The cable of c is pulled: its values stay, it is away, not down.
        country.cut("c")
        country.deafen("b")  # … and b can hear, but not speak
        await wait_for_async(lambda: page.away("c"), what="c is away")
        await wait_for_async(lambda: page.away("b"), what="b is away")
        assert len((await page.web("b"))["processes"]) == 3
        assert (await page.web("c"))["ready"] == 3
        assert not await page.away("a")

        # Pressed on all three: one does it, two are told at once, and nothing is sent to them.
        number = await page.act("scale", "abc", "k2", processes=3)
        found = await page.ended(number, within=8)
        assert [t["result"]["ok"] for t in found["targets"]] == [True, False, False]
        assert "server-c is away for" in found["targets"][2]["result"]["error"]
        killed = json.loads(country.on("c", "status", "--json"))
        pid = next(s for s in killed["services"] if s["name"] == "web")["processes"][0]["pid"]
        os.kill(pid, signal.SIGKILL)  # behind the cut, c looks after itself
        wait_for(
            lambda: (
                pid
                not in [
                    p["pid"]
                    for s in json.loads(country.on("c", "status", "--json"))["services"]
                    for p in s["processes"]
                ]
            ),
            what="c restarts its worker alone",
        )

        # What is wanted of a server that is away waits for it.
        country.at_hub("hub", "want", "web", "--on", "server-c", "--processes", "4")

        # Back again: what happened meanwhile is told, what was wanted is done.
        country.mend("c")
        country.undeafen("b")

        async def back() -> bool:
            return not await page.away("c") and pid not in [
                p["pid"] for p in (await page.web("c"))["processes"]
            ]

        async def heard() -> bool:
            return not await page.away("b") and (await page.web("c"))["ready"] == 4

        await wait_for_async(back, what="c is back with its news")
        await wait_for_async(heard, what="b is back, c follows")

        # The hub itself is killed: the servers go on, and find the next one.
        assert country.hub is not None
        country.hub.kill()
        country.hub.wait()
        country.start_hub()
    nodes = json.loads(country.at_hub("hub", "nodes", "--json"))["nodes"]
    assert [node["name"] for node in nodes] == ["server-a", "server-b", "server-c"]
    country.at_hub("hub", "revoke", "server-a")
