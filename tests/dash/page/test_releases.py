"""The page on what changed: configurations, APIs, load tests against each other."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import expect

from chapiteau.dash.fleet.node import ServiceResponse
from tests.dash.page.test_page import DOCUMENT, no_violations
from tests.dash.web.test_releases import CHANGE, keep_result

pytestmark = [
    pytest.mark.slow,
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="module"),
]


async def test_a_changed_file_is_compared_and_applied(visit: Any, house: Any) -> None:
    house.node.plan = [CHANGE]
    async with visit("/server/alpha") as page:
        await page.get_by_role("heading", name="alpha").wait_for()
        await page.keyboard.press("d")
        config = page.get_by_role("region", name="Configuration")
        await expect(config).to_contain_text("service web restart")
        await expect(config).to_contain_text("command web --serve → web --serve --fast")
        await no_violations(page)
        await config.get_by_role("button", name="Apply the change").click()
        await expect(config.get_by_role("status")).to_contain_text("✓")
        assert house.node.applied == ["dash:local"]
        await config.get_by_role("button", name="Compare with the file").click()
        await expect(config).to_contain_text("Running configuration matches the file.")


async def test_two_load_tests_are_picked_and_compared(visit: Any, house: Any) -> None:
    for milliseconds in (10, 20):
        keep_result(house.hub.reports, milliseconds)
    async with visit("/load") as page:
        for number in (1, 2):
            await page.get_by_label(f"Select load test {number}").check()
        await page.keyboard.press("c")
        figures = page.get_by_role("region", name="Figures")
        await expect(figures.get_by_role("row", name="p99")).to_contain_text("slower")
        line = page.get_by_text("chapiteau load compare 1 2")
        await expect(line).to_have_role("textbox")
        assert page.url.endswith("/load/2?with=1")
        await no_violations(page)
        await page.get_by_role("link", name="swap").click()
        await expect(figures.get_by_role("row", name="p99")).to_contain_text("faster")


async def test_deploys_list_what_was_brought_out(visit: Any, house: Any) -> None:
    async with visit("/deploys") as page:
        await expect(page.get_by_text("No deploys yet")).to_be_visible()
        house.node.happen("service.reload_failed", service="web", text="the new one is not ready")
        house.node.happen("service.ready", service="web")
        await expect(page.get_by_role("listitem").filter(has_text="the new one")).to_be_visible()
        await expect(page.get_by_role("main").get_by_role("listitem")).to_have_count(1)
        await no_violations(page)


async def test_a_breaking_change_of_an_api_is_marked(visit: Any, house: Any) -> None:
    for document in (DOCUMENT, DOCUMENT.replace("/cities", "/towns")):
        house.node.answers["GET", ""] = ServiceResponse(
            status=200, headers=(), body=document, milliseconds=1, url="http://127.0.0.1:9/o.json"
        )
        async with visit("/apis") as page:
            await page.get_by_role("navigation", name="Operations").wait_for()
            if "/towns" in document:
                await page.get_by_text("1 breaking").click()
                await expect(page.get_by_role("main")).to_contain_text("GET /cities is gone")
                await no_violations(page)
            else:
                await expect(page.get_by_text("First version seen")).to_be_visible()


async def test_deploys_tell_who_what_and_why_not(visit: Any, house: Any) -> None:
    lines = ["SyntaxError: <b>never</b>"]
    node = house.node
    node.happen("service.reload_failed", service="web", text="it ended", data={"lines": lines})
    node.happen("command.done", service="web", who="uid 0 (dash:ana)", text="reload: it ended")
    change = {"text": "~ service web  reload  threads 4 → 3"}
    node.happen(
        "supervisor.config_applied", who="uid 7", text="1 change", data={"changes": [change]}
    )
    async with visit("/deploys") as page:
        rows = page.get_by_role("main").get_by_role("listitem")
        await expect(rows).to_have_count(2)
        applied, failed = rows.first, rows.last
        await expect(failed).to_contain_text("it ended — by ana")
        await failed.get_by_text("its last lines").click()
        await expect(failed).to_contain_text("SyntaxError: <b>never</b>")
        await applied.get_by_text("what changed").click()
        await expect(applied).to_contain_text("threads 4 → 3")
        await no_violations(page)
