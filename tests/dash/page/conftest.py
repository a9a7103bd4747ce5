"""Debian's chromium, driven by Playwright."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, async_playwright, expect

from chapiteau.dash.web.app import STATIC
from tests.dash.conftest import House, dashboard
from tests.support import DEADLINE

expect.set_options(timeout=DEADLINE * 1000)
CHROMIUM = "/usr/bin/chromium"
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
)


expect.set_options(timeout=60_000)  # a busy machine may take long; only the fact counts


# One loop and one browser for all tests of a module: a browser takes a second to start.


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def browser() -> AsyncIterator[Browser]:
    if not (STATIC / "index.html").exists():
        pytest.skip("the page is not built: cd ui && npm ci && npm run build")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="module")
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with dashboard(tmp_path) as house:
        yield house


@contextlib.asynccontextmanager
async def open_page(
    browser: Browser, house: Any, path: str = "/", *, may_complain: bool = False, **more: Any
) -> AsyncIterator[Page]:
    """A page that is logged in; anything it complains about fails the test."""
    context = await browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **more})
    context.set_default_timeout(DEADLINE * 1000)
    page = await context.new_page()
    complaints: list[str] = []
    foreign: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
    page.on("request", lambda r: foreign.append(r.url) if not _ours(r.url, house.base) else None)
    await page.goto(f"{house.base}{path}#token={house.hub.sessions.token}")
    await page.get_by_role("navigation", name="Pages").wait_for()
    try:
        yield page
    except AssertionError as failure:
        failure.add_note(f"the page complained: {complaints}")
        raise
    await context.close()
    assert may_complain or complaints == []
    assert foreign == []


def _ours(url: str, base: str) -> bool:
    return url.startswith((base, base.replace("http", "ws", 1), "data:", "blob:"))


@pytest.fixture
def visit(browser: Browser, house: Any) -> Any:
    """visit("/service/web") as a context manager that gives the page."""
    return lambda path="/", **more: open_page(browser, house, path, **more)
