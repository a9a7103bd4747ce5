"""Two people at their browsers, three servers in network namespaces: all of it as they would."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Locator, Page, expect

from tests.dash.country import SERVICES, Country, three_servers
from tests.support import as_root

pytestmark = [
    pytest.mark.slow,
    pytest.mark.long,
    pytest.mark.browser,
    pytest.mark.needs_root,
    pytest.mark.timeout(300),
    pytest.mark.asyncio(loop_scope="module"),
    as_root,
    pytest.mark.skipif(not shutil.which("ip"), reason="needs iproute2"),
]

PASSWORD = "a good long password"
CRASHING = """
[service.mailer]
command = ["${python}", "-c", "import time; time.sleep(1); import a_mail_library"]
ready = { alive = "100ms" }
"""


@pytest.fixture
def country(tmp_path: Path) -> Iterator[Country]:
    with three_servers(tmp_path) as country:
        country.account("vera", "viewer", PASSWORD)
        yield country


@contextlib.asynccontextmanager
async def opened(browser: Browser, url: str) -> AsyncIterator[Page]:
    context = await browser.new_context(viewport={"width": 1280, "height": 900})
    page = await context.new_page()
    await page.goto(url)
    yield page
    await context.close()


def worker_of(country: Country, name: str) -> int:
    found = json.loads(country.on(name, "status", "--json"))["services"]
    pid: int = next(s for s in found if s["name"] == "web")["processes"][0]["pid"]
    return pid


async def goes_to(page: Page, path: str) -> None:
    base = page.url.split("/", 3)
    await page.goto(f"{base[0]}//{base[2]}{path}")


async def does(page: Page, button: str) -> Locator:
    """Press it and confirm; the toast that tells what came of it."""
    await page.get_by_role("button", name=button, exact=True).first.click()
    dialog = page.get_by_role("dialog")
    await dialog.locator("button[type=submit]").click()
    await expect(dialog).to_have_count(0)
    return page.locator(".toasts")


async def test_two_people_and_three_servers(browser: Browser, country: Country) -> None:
    link = country.link()
    async with opened(browser, link["url"]) as admin, opened(browser, link["base"]) as viewer:
        # One comes by the one-time link, the other has an account that may only look.
        await viewer.get_by_label("Name").fill("vera")
        await viewer.get_by_label("Password").fill(PASSWORD)
        await viewer.get_by_role("button", name="Log in", exact=True).click()
        for page in (admin, viewer):
            for name in "abc":
                tile = page.get_by_role("link", name=f"server-{name}")
                await expect(tile).to_contain_text("3/3 ready")  # web twice, node
        await goes_to(viewer, "/service/web")
        await expect(viewer.get_by_text("6/6 ready on 3 servers")).to_be_visible()
        await expect(viewer.get_by_role("button", name="Restart")).to_have_count(0)

        # One acts on all three, the other sees it.
        await goes_to(admin, "/service/web")
        toasts = await does(admin, "One process more")
        await expect(toasts).to_contain_text("✓ Scale web 3/3")
        await expect(viewer.get_by_text("9/9 ready on 3 servers")).to_be_visible()
        await expect(viewer.get_by_text("by local").first).to_be_visible()

        # A worker is killed: seen by whom, where, by what.
        os.kill(worker_of(country, "b"), signal.SIGKILL)
        died = viewer.get_by_role("listitem").filter(has_text="killed by SIGKILL")
        await expect(died).to_contain_text("server-b")
        await expect(viewer.get_by_text("9/9 ready on 3 servers")).to_be_visible()

        # A new service comes by the file, dies again and again, and is stopped by its remedy.
        (country.folder / "a" / "chapiteau.toml").write_text(SERVICES + CRASHING)
        await goes_to(admin, "/server/server-a")
        await admin.get_by_role("button", name="Compare with the file").click()
        await expect(admin.get_by_text("service mailer")).to_be_visible()
        await admin.get_by_role("button", name="Apply the change").click()
        await goes_to(viewer, "/")
        problem = viewer.get_by_role("region", name="Needs attention")
        await expect(problem).to_contain_text("No module named 'a_mail_library'")
        await goes_to(admin, "/")
        await expect(await does(admin, "Stop")).to_contain_text("✓ Stop mailer")
        well = viewer.get_by_text("Nothing needs attention.")
        await expect(well).to_be_visible()

        # One is cut off: not down, only unreachable; an order reaches the other two.
        country.cut("c")
        await expect(problem).to_contain_text("server-c unreachable")
        await goes_to(admin, "/service/web")
        away = admin.get_by_role("main").get_by_text("server-c unreachable for")
        await expect(away).to_be_visible()
        toasts = await does(admin, "Restart")
        await expect(toasts).to_contain_text("Restart web 2/3, 1 failed")
        await expect(toasts).to_contain_text("server-c")

        # And back again, by itself.
        country.mend("c")
        await expect(well).to_be_visible()
        await expect(away).to_have_count(0)
        await expect(admin.get_by_text("9/9 ready on 3 servers")).to_be_visible()
