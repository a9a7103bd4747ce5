"""The hub's machine is gone: another one takes over from a copy, and the old one does no harm."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.dash.country import NET, Country, three_servers
from tests.support import as_root, wait_for, wait_for_async

pytestmark = [
    pytest.mark.slow,
    pytest.mark.long,
    pytest.mark.needs_root,
    pytest.mark.timeout(240),
    as_root,
    pytest.mark.skipif(not shutil.which("ip"), reason="needs iproute2"),
]


@pytest.fixture
def country(tmp_path: Path) -> Iterator[Country]:
    with three_servers(tmp_path) as country:
        yield country


def ready(country: Country, name: str) -> int:
    status = json.loads(country.on(name, "status", "--json"))
    return next(int(s["ready"]) for s in status["services"] if s["name"] == "web")


def nodes_of(country: Country, name: str) -> str:
    return country.on(name, "node", "status")


async def act(country: Country, key: str, name: str, processes: int) -> dict[str, Any]:
    """Scale `web` on a server over the page of the old hub; the result."""
    link = country.link()
    base = link["base"].rstrip("/")
    headers = {"Origin": base, "X-Chapiteau": "1"}
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(base, headers=headers, cookie_jar=jar) as session:
        token = link["url"].partition("token=")[2]
        async with session.post("/api/login", json={"token": token}) as answer:
            assert answer.status == 200
        body = {
            "verb": "scale",
            "targets": [{"node": f"server-{name}", "service": "web"}],
            "options": {"processes": processes},
        }
        sent = {"Idempotency-Key": key}
        async with session.ws_connect("/api/live") as socket:
            await socket.send_json({"op": "sub", "topic": "actions"})
            async with session.post("/api/act", json=body, headers=sent) as answer:
                assert answer.status == 202, await answer.text()
                number = (await answer.json())["number"]
            async with asyncio.timeout(60):
                async for message in socket:
                    for told in json.loads(message.data):
                        found = told["data"]
                        if found["number"] == number and found["ended"]:
                            result: dict[str, Any] = found["targets"][0]["result"]
                            return result
    raise AssertionError("no result")


async def test_another_machine_takes_over_and_the_old_hub_does_no_harm(country: Country) -> None:
    country.at_hub("hub", "want", "web", "--on", "server-a", "--processes", "3")
    wait_for(lambda: ready(country, "a") == 3, what="the old hub steers")
    copy = country.folder / "copy.tar"
    country.at_hub("hub", "backup", str(copy))
    # After the copy: a word that it does not know.
    country.at_hub("hub", "want", "web", "--on", "server-b", "--processes", "4")
    wait_for(lambda: ready(country, "b") == 4, what="said after the copy")
    assert country.hub is not None
    country.hub.kill()
    country.hub.wait()

    # The new machine: the same file but for the address, the copy, and it runs.
    country.add("d")
    there = country.folder / "d"
    address = f"{NET}.{len(country.servers) + 1}"
    text = (country.folder / "hub" / "chapiteau.toml").read_text()
    (there / "chapiteau.toml").write_text(text.replace(f"{NET}.1", address))
    country.on("d", "hub", "restore", str(copy))
    log = (country.folder / "d.log").open("wb")
    space = country.space("d")
    hub = subprocess.Popen(
        ["ip", "netns", "exec", space, sys.executable, "-m", "chapiteau", "hub", "up"],
        cwd=there,
        stdout=log,
        stderr=log,
    )
    try:
        for name in "abc":
            country.on(name, "node", "move", f"{address}:8843")
        for name in "abc":
            wait_for(
                lambda name=name: "\nconnected for" in nodes_of(country, name),
                what=f"{name} follows",
            )
        # It knows what it was copied from, and learns what was said later from the node.
        wanted = json.loads(country.on("d", "hub", "wanted", "--json"))
        assert "server-a" in json.dumps(wanted)
        wait_for(
            lambda: (
                '"processes": 4'
                in json.dumps(json.loads(country.on("d", "hub", "wanted", "--json")))
            ),
            what="what was said after the copy comes back",
        )
        country.on("d", "hub", "want", "web", "--on", "server-c", "--processes", "5")
        wait_for(lambda: ready(country, "c") == 5, what="the new hub steers")

        # The old machine wakes up. Somebody even leads a node back to it.
        country.start_hub()
        country.on("c", "node", "move", f"{NET}.1:8843")
        wait_for(
            lambda: (
                f"hub at {NET}.1" in nodes_of(country, "c")
                and "\nconnected for" in nodes_of(country, "c")
            ),
            what="c is at the old hub",
        )

        async def refused() -> bool:
            result = await act(country, f"k{len(tries)}", "c", 1)
            tries.append(result)
            return "another hub is the leader" in str(result.get("error"))

        tries: list[dict[str, Any]] = []
        await wait_for_async(refused, what="the node refuses the old hub")
        country.at_hub("hub", "want", "web", "--on", "server-c", "--processes", "1")
        await asyncio.sleep(3)  # as long as a word takes three times over
        assert ready(country, "c") == 5

        # Back where it belongs.
        country.on("c", "node", "move", f"{address}:8843")
        country.on("d", "hub", "want", "web", "--on", "server-c", "--processes", "2")
        wait_for(lambda: ready(country, "c") == 2, what="the new hub steers again")
    finally:
        hub.terminate()
        hub.wait(60)
        log.close()
