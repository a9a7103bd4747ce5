"""A server is drained from its page, others see it, and it is taken back."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import Browser, expect

from chapiteau.dash.auth.access import Caller, Role
from tests.dash.page.conftest import open_page
from tests.dash.page.test_page import no_violations

pytestmark = [
    pytest.mark.slow,
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="module"),
]


async def test_drained_by_a_key_seen_by_others_and_undone(
    browser: Browser, visit: Any, house: Any
) -> None:
    async with visit("/server/alpha") as page:
        link = house.hub.sessions.begin(Caller(name="vera", role=Role.VIEWER))
        context = await browser.new_context()
        await context.add_cookies(
            [{"name": f"chapiteau-{house.server.port}", "value": link, "url": house.base}]
        )
        other = await context.new_page()
        await other.goto(f"{house.base}/server/alpha")
        await expect(other.get_by_role("heading", name="alpha")).to_be_visible()
        await expect(other.get_by_role("button", name="Drain")).to_have_count(0)

        await page.keyboard.press("Shift+D")
        dialog = page.get_by_role("dialog")
        await expect(dialog).to_contain_text("Drain alpha")
        await expect(dialog).to_contain_text("$ chapiteau drain".removeprefix("$ "))
        await expect(dialog).to_contain_text("1 service running")
        await no_violations(page)
        await dialog.get_by_role("button", name="Drain", exact=True).click()
        for one in (page, other):
            told = one.get_by_role("status").filter(has_text="connections are refused")
            await expect(told).to_contain_text("drained by local")
        house.node.drained = {**house.node.drained, "left": ["web"]}
        house.node.happen("service.stopping", service="web")
        bar = page.get_by_label("Services that have ended, of 3")
        await expect(bar).to_have_attribute("value", "2")
        await no_violations(page)
        await page.get_by_role("link", name="Sockets").click()
        await expect(page.get_by_role("row", name="web")).to_contain_text("listening")
        await page.go_back()
        await page.get_by_role("toolbar").get_by_role("button", name="Undrain").click()
        await expect(other.get_by_text("drained by")).to_have_count(0)
        await context.close()
        # Who did it is kept, and shown to whoever may see it.
        await page.goto(f"{house.base}/events?kind=audit")
        trail = page.get_by_role("region", name="Audit trail")
        await expect(trail.get_by_role("row", name="local undrain alpha/all")).to_be_visible()
        await no_violations(page)
    assert [c[0] for c in house.node.commands] == ["drain", "undrain"]


async def test_a_day_of_the_server_is_drawn(browser: Browser, house: Any) -> None:
    async with open_page(browser, house, "/server/alpha") as page:
        await expect(page.get_by_role("img", name="CPU of the server: CPU now")).to_be_visible(
            timeout=10_000
        )
        await page.get_by_role("button", name="24 h").click()
        assert "range=86400" in page.url
        await expect(
            page.get_by_role("img", name="Memory of the server: memory now")
        ).to_be_visible()
        await no_violations(page)
