"""The page on sockets, on kinds of events, and on what waits for a server that is away."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import expect

from chapiteau.dash.testing import MemoryNode, process, service
from tests.dash.page.test_page import no_violations
from tests.support import wait_for_async

pytestmark = [
    pytest.mark.slow,
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="module"),
]


async def test_sockets_tell_what_they_accept_and_who_holds_them(visit: Any) -> None:
    async with visit("/sockets?q=accepts>1") as page:
        row = page.get_by_role("row", name="web")
        await expect(row).to_contain_text("0/2048")
        await expect(row).to_contain_text("listening")
        await row.get_by_role("button", name="Who holds web on alpha").click()
        held = page.get_by_role("region", name="Who holds web on alpha")
        await expect(held.get_by_role("listitem")).to_have_count(4)
        await expect(held.get_by_role("listitem").first).to_contain_text("801 python web #1")
        assert "held=alpha%2Fweb" in page.url
        await no_violations(page)
        await held.get_by_role("button", name="Close").click()
        await expect(held).to_have_count(0)
        await page.get_by_role("grid", name="Sockets").focus()
        await page.keyboard.press("j")
        await page.keyboard.press("m")
        await expect(held).to_be_visible()
        await page.keyboard.press("Enter")
        await page.wait_for_url("**/service/web")


async def test_every_kind_of_trouble_is_found_by_the_filter(visit: Any, house: Any) -> None:
    house.node.happen("supervisor.safe_mode", text="three crashes: it only looks")
    house.node.happen("service.ready", service="web", text="all ready")
    house.node.happen("command.done", service="web", who="uid 0", text="reload web")
    async with visit("/events?kind=problem") as page:
        rows = page.get_by_role("main").get_by_role("listitem")
        await expect(rows).to_have_count(1)
        await expect(rows).to_contain_text("it only looks")
        await page.goto(f"{house.base}/events?kind=people")
        await expect(rows).to_have_count(1)
        await expect(rows).to_contain_text("reload web")


async def test_an_action_waits_for_a_server_and_is_withdrawn(visit: Any, house: Any) -> None:
    beta = MemoryNode(name="beta", clock=house.node.clock)
    beta.services = [service("web", [process(1, 11)])]
    watch = house.hub.fleet.add(beta)
    await wait_for_async(lambda: watch.status)
    beta.fall_silent()
    async with visit("/service/web?node=beta") as page:
        await page.get_by_text("unreachable for").wait_for()
        await no_violations(page)  # grey, and readable
        await page.get_by_role("button", name="Reload", exact=True).click()
        dialog = page.get_by_role("dialog")
        await expect(dialog).to_contain_text("Nothing is sent to it")
        await dialog.get_by_label("Where it is unreachable").select_option("wait an hour")
        await dialog.get_by_role("button", name="Reload", exact=True).click()
        toasts = page.locator(".toasts")
        await expect(toasts).to_contain_text("beta is away: waits for it until")
        await page.reload()  # what waits is in sight on every page
        await expect(toasts).to_contain_text("beta is away: waits for it until")
        await toasts.get_by_role("button", name="withdraw").click()
        await expect(toasts.get_by_role("button", name="withdraw")).to_have_count(0)
    assert beta.commands == []
    await house.hub.fleet.remove("beta")
