"""The page over a real supervisor with real processes, started as a user starts them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from tests.support import alive, free_port, run_cli, wait_for

pytestmark = [
    pytest.mark.slow,
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="module"),
]

FILE = """
[project]
name = "real"
[dash]
enable = true
port = 0
[socket.http]
port = PORT
[service.web]
sockets = ["http"]
command = ["${python}", "-uc", "import signal; print('hello from a worker'); signal.pause()"]
processes = 2
labels = { metrics = "/figures", openapi = "http://127.0.0.1:1/api.json" }
[service.broken]
command = ["${python}", "-c", "import a_library_that_is_missing"]
restart = { attempts = 2, window = "30s", after_give_up = "stay-down" }
"""


@pytest.fixture
def project(tmp_path: Path) -> Any:
    (tmp_path / "chapiteau.toml").write_text(FILE.replace("PORT", str(free_port())))
    run_cli("up", "-d", "--no-wait", cwd=tmp_path)
    yield tmp_path
    run_cli("down", cwd=tmp_path)


def link(project: Path) -> str:
    return run_cli("dash", "url", cwd=project).stdout.strip()


def status(project: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run_cli("status", "--json", cwd=project).stdout)
    return found


def pids(project: Path) -> list[int]:
    web = next(s for s in status(project)["services"] if s["name"] == "web")
    return [p["pid"] for p in web["processes"] if p["pid"]]


@contextlib.asynccontextmanager
async def opened(browser: Browser, project: Path) -> AsyncIterator[Page]:
    context = await browser.new_context(viewport={"width": 1280, "height": 900})
    page = await context.new_page()
    await page.goto(wait_for(lambda: link(project), what="the link"))
    yield page
    await context.close()


async def test_what_is_pressed_happens_and_what_happens_is_seen(
    browser: Browser, project: Path
) -> None:
    async with opened(browser, project) as page:
        problem = page.get_by_role("region", name="Needs attention")
        await expect(problem).to_contain_text("a_library_that_is_missing")
        await page.get_by_role("link", name="web").first.click()
        await expect(page.get_by_text("2/2 ready")).to_be_visible()
        await expect(page.get_by_role("log")).to_contain_text("hello from a worker")
        await page.get_by_role("button", name="One process more").click()
        await expect(page.get_by_text("3/3 ready")).to_be_visible()
        wait_for(lambda: len(pids(project)) == 3)

        victim = pids(project)[0]
        os.kill(victim, signal.SIGKILL)
        await expect(page.get_by_role("row", name=str(victim))).to_have_count(0)
        await expect(page.get_by_text("SIGKILL").first).to_be_visible()

        # The brain dies: its services live, the page finds its way back.
        before = pids(project)
        web, broken = (s for s in status(project)["services"] if s["name"] != "dashboard")
        port = status(project)["sockets"][0]["address"].rpartition(":")[2]
        assert web["metrics"] == f"http://127.0.0.1:{port}/figures"
        assert (web["openapi"], broken["metrics"]) == ("http://127.0.0.1:1/api.json", "")
        os.kill(status(project)["pid"], signal.SIGKILL)
        wait_for(lambda: pids(project) == before, what="the next brain")
        assert all(alive(pid) for pid in before)
        await expect(page.get_by_text("3/3 ready")).to_be_visible()
        await page.get_by_role("button", name="Stop", exact=True).click()
        await page.get_by_role("dialog").get_by_role("button", name="Stop", exact=True).click()
        await expect(page.get_by_text("0/3 ready")).to_be_visible()
        wait_for(lambda: not any(alive(pid) for pid in before))


async def test_a_server_is_emptied_while_another_looks_on(browser: Browser, project: Path) -> None:
    """Two browsers at once, a real supervisor: all ends, nobody gets in, and it comes back."""
    host, _, port = status(project)["sockets"][0]["address"].rpartition(":")
    async with opened(browser, project) as actor, opened(browser, project) as onlooker:
        name = status(project)["node"]
        for page in (actor, onlooker):
            await page.goto(
                f"{page.url.split('/', 3)[0]}//{page.url.split('/', 3)[2]}/server/{name}"
            )
            await expect(page.get_by_role("row", name="web").first).to_contain_text(
                "2/2", timeout=20_000
            )
        before = pids(project)
        await actor.keyboard.press("Shift+D")
        await actor.get_by_role("dialog").get_by_role("button", name="Drain", exact=True).click()
        told = onlooker.get_by_text("connections are refused, nothing starts")
        await expect(told).to_be_visible()
        assert not any(alive(pid) for pid in before)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((host, int(port)), timeout=60)
        assert run_cli("start", "web", cwd=project).returncode == 4
        await onlooker.get_by_role("toolbar").get_by_role("button", name="Undrain").click()
        await expect(actor.get_by_role("row", name="web").first).to_contain_text(
            "2/2", timeout=20_000
        )
        socket.create_connection((host, int(port)), timeout=60).close()
        # Both see who did it, and the moment stands in the server's charts.
        for page in (actor, onlooker):
            who = page.get_by_text("services end — by local").first
            await expect(who).to_be_visible()
