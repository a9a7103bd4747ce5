"""One cursor for all charts of a page, and what happened then; the same in two browsers at once."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import Locator, Page, expect

pytestmark = [
    pytest.mark.slow,
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="module"),
]


async def hover_where(page: Page, chart: Locator, words: str) -> None:
    """Move over a chart until its cursor is at the marker that says this."""
    place = await chart.locator(".u-over").bounding_box()
    assert place is not None
    told = chart.locator("xpath=ancestor::figure").locator(".chart-at")
    for step in range(int(place["width"]), 0, -5):
        await page.mouse.move(place["x"] + step, place["y"] + 40)
        if words in (await told.text_content() or ""):
            return
    raise AssertionError(f"no marker says {words!r}")


async def test_a_crash_and_a_reload_stand_in_every_chart(visit: Any, house: Any) -> None:
    async with visit("/service/web?range=60") as one, visit("/service/web?range=60") as two:
        for page in (one, two):
            await expect(page.get_by_role("img", name="CPU: #1 now")).to_be_visible()
        house.node.happen("process.exited", service="web", process=2, data={"signal": 9})
        house.node.happen("service.scaled", service="web", text="4 → 5", who="dash:ana")
        for page in (one, two):
            await expect(page.get_by_text("killed by SIGKILL")).to_be_visible()
            ends = page.get_by_role("img", name="Unexpected exits: exits now 1")
            await expect(ends).to_be_visible()
            await hover_where(page, page.get_by_role("img", name="CPU: #1 now"), "SIGKILL")
            # In one look, between two seconds: the third counts the ends.
            at = await page.locator(".chart-at").evaluate_all("all => all.map(e => e.textContent)")
            assert len(at) == 3, at
            assert set(at) == {at[0]}, "the cursor is at the same moment in all"
            await page.mouse.move(5, 5)
            await expect(page.locator(".chart-at").first).to_have_text("")
