"""The fleet for machines: /metrics, wanted states, and who did what."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from chapiteau.dash.project import read_project
from chapiteau.dash.testing import MemoryNode
from chapiteau.dash.web.server import Server
from chapiteau.io.clock import SystemClock
from tests.dash.conftest import House, fill
from tests.support import wait_for_async

HUB = """
[project]
name = "fleet"
[hub]
host = "127.0.0.1"
port = 0
metrics_token = { file = "token" }
"""


@pytest.fixture
async def fleet(tmp_path: Path) -> Any:
    (tmp_path / "chapiteau.toml").write_text(HUB)
    (tmp_path / "token").write_text("scrape-me\n")
    (tmp_path / "token").chmod(0o600)
    clock = SystemClock()
    node = MemoryNode(name="alpha", clock=clock, period=0.2)
    fill(node)
    project = read_project(tmp_path)
    server = Server(
        project,
        host="127.0.0.1",
        port=0,
        exact_port=True,
        clock=clock,
        with_hub=True,
        node=node,
    )
    async with server.running():
        house = House(server, node)
        await wait_for_async(lambda: house.hub.fleet.watch("alpha").status)
        yield house


async def test_a_scraper_with_the_token_reads_the_fleet(fleet: House) -> None:
    async with fleet.client(login=False) as scraper:
        for shown in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "scrape-me"}):
            async with scraper.get("/metrics", headers=shown) as answer:
                assert answer.status == 401
        right = {"Authorization": "Bearer scrape-me"}
        async with scraper.get("/metrics", headers=right) as answer:
            assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
            text = await answer.text()
        async with scraper.get("/api/fleet", headers=right) as answer:
            assert answer.status == 401  # good for /metrics and nothing else
    lines = text.splitlines()
    assert lines[-1] == "# EOF"
    assert "chapiteau_hub_leads 1" in lines
    assert 'chapiteau_node_up{node="alpha"} 1' in lines
    assert 'chapiteau_service_processes_ready{node="alpha",service="web"} 4' in lines
    assert 'chapiteau_service_restarts_total{node="alpha",service="mailer"} 5' in lines
    assert 'chapiteau_problems{node="alpha",kind="down",severity="broken"} 1' in lines
    fleet.node.fall_silent()
    await wait_for_async(lambda: fleet.hub.fleet.watch("alpha").away_since)
    async with fleet.client() as browser, browser.get("/metrics") as answer:
        text = await answer.text()
    assert 'chapiteau_node_up{node="alpha"} 0' in text
    assert 'chapiteau_service_processes_ready{node="alpha",service="web"} 4' in text


async def test_of_two_pages_that_want_something_else_the_second_is_told(fleet: House) -> None:
    wish = {"node": "alpha", "services": {"web": {"processes": 8}}, "expect": 0}
    async with fleet.client() as page:
        async with page.post("/api/wanted", json=wish) as answer:
            made = await answer.json()
            assert (answer.status, made["who"]) == (200, "local")
        async with page.post("/api/wanted", json=wish) as answer:
            told = await answer.json()
            assert answer.status == 409
            assert "changed by local meanwhile" in told["detail"]
        async with page.get("/api/wanted?node=alpha") as answer:
            assert await answer.json() == made
        for bad in ({**wish, "services": {"web": {"x": 1}}}, {**wish, "expect": None}):
            async with page.post("/api/wanted", json=bad) as answer:
                assert answer.status == 400
        async with page.get("/api/wanted?node=nobody") as answer:
            assert answer.status == 404
        async with page.get("/api/audit") as answer:
            refused, entry, _login = (await answer.json())["entries"]
        for line in (refused, entry):
            assert (line["who"], line["verb"], line["target"]) == ("local", "want", "alpha")
        assert refused["result"].startswith("failed: ")
        assert entry["result"].startswith("generation 1: ")


async def test_a_page_without_nodes_wants_nothing(house: House) -> None:
    async with house.client() as page, page.get("/api/wanted?node=alpha") as answer:
        assert answer.status == 404


async def test_alerts_that_can_not_be_are_told_with_their_place(tmp_path: Path) -> None:
    from chapiteau.core.problems import InvalidInputError

    (tmp_path / "chapiteau.toml").write_text(HUB + "[hub.alerts.to.chat]\nleast = 'bad'\n")
    with pytest.raises(InvalidInputError, match="degraded"):
        read_project(tmp_path)
    (tmp_path / "chapiteau.toml").write_text(HUB + "[hub.alerts.to.chat]\n")
    with pytest.raises(InvalidInputError, match="either url or mail"):
        read_project(tmp_path)
    assert os.listdir(tmp_path) == ["chapiteau.toml"]
