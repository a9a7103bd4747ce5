"""Logged out is logged out: in this tab, in the others, and in what Back brings."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import expect

pytestmark = [
    pytest.mark.slow,
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="module"),
]


async def test_back_after_logging_out_shows_the_door_at_once(visit: Any, house: Any) -> None:
    async with visit(may_complain=True) as page:
        second = await page.context.new_page()
        await second.goto(f"{house.base}/events")
        await expect(second.get_by_role("heading", name="Events")).to_be_visible()
        await page.get_by_role("link", name="Sockets").click()
        await page.get_by_role("link", name="Events").click()
        await page.get_by_role("button", name="local ▾").click()
        await page.get_by_role("button", name="Log out").click()
        for one in (page, second):
            await expect(one.get_by_role("alert")).to_have_text("You are logged out.")
            await expect(one.get_by_role("navigation")).to_have_count(0)
        await page.go_back()
        await expect(page.get_by_label("Password")).to_be_visible()
        await page.goto(f"{house.base}/sockets")
        await page.go_back()
        await expect(page.get_by_label("Password")).to_be_visible()


async def test_a_page_out_of_the_browsers_memory_asks_first(visit: Any, house: Any) -> None:
    async with visit(may_complain=True) as page:
        await expect(page.get_by_role("row", name="web").first).to_be_visible()
        for cookie in await page.context.cookies():
            house.hub.sessions.end(cookie["value"])
        shown = await page.evaluate("""() => {
          dispatchEvent(new PageTransitionEvent("pageshow", {persisted: true}));
          return getComputedStyle(document.body).visibility;
        }""")
        assert shown == "hidden", "nothing of before is seen while it asks"
        await expect(page.get_by_label("Password")).to_be_visible()


async def test_no_page_is_kept_by_the_browser(house: Any) -> None:
    async with house.client() as session, session.get("/") as answer:
        assert answer.headers["Cache-Control"] == "no-store"
