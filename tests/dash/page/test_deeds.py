"""Picking many at once, reading around a hit, and where the focus goes."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from playwright.async_api import expect

from chapiteau.dash.testing import process, service
from tests.dash.page.test_page import no_violations
from tests.support import wait_for_async

pytestmark = [
    pytest.mark.slow,
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="module"),
]


async def test_all_that_a_filter_shows_are_picked_at_once(visit: Any, house: Any) -> None:
    house.node.services += [service(f"job-{n}", [process(1, 90 + n)]) for n in range(4)]
    async with visit("/?view=services&q=job") as page:
        rows = page.get_by_role("grid", name="Services").get_by_role("row")
        await expect(rows).to_have_count(5)
        await page.keyboard.press("Shift+A")
        await expect(page.get_by_text("4 services selected")).to_be_visible()
        assert "pick=all" in page.url
        await no_violations(page)
        await page.get_by_label("Select job-2 on alpha").uncheck()
        await expect(page.get_by_text("3 services selected")).to_be_visible()
        await page.reload()  # the address keeps it
        await expect(page.get_by_text("3 services selected")).to_be_visible()
        await page.get_by_role("button", name="restart", exact=True).click()
        dialog = page.get_by_role("dialog")
        await expect(dialog).to_contain_text("chapiteau restart job-0 job-1 job-3")
        await no_violations(page)
        await dialog.get_by_role("button", name="Restart", exact=True).click()
        await expect(page.locator(".toasts")).to_contain_text("3/3")
        await page.get_by_text("each server").click()
        await expect(page.locator(".toasts")).to_contain_text("✓ alpha job-3")
        await no_violations(page)
    assert [name for _, name, *_ in house.node.commands] == ["job-0", "job-1", "job-3"]


async def test_what_the_filter_hides_is_not_touched(visit: Any) -> None:
    async with visit("/?view=services&pick=alpha%252Fweb%2Calpha%252Fmailer") as page:
        await expect(page.get_by_text("2 services selected")).to_be_visible()
        await page.get_by_role("searchbox", name="Filter").fill("web")
        await expect(page.get_by_text("1 service selected")).to_be_visible()


async def test_keys_pick_a_range_and_change_the_view(visit: Any) -> None:
    async with visit("/?view=services") as page:
        grid = page.get_by_role("grid", name="Services")
        await expect(grid.get_by_role("row")).to_have_count(4)
        await grid.focus()
        for key in ("Home", "x", "End", "Shift+X"):
            await page.keyboard.press(key)
        await expect(page.get_by_text("3 services selected")).to_be_visible()
        await page.keyboard.press("3")
        await expect(page.get_by_role("grid", name="Processes")).to_be_visible()
        await page.keyboard.press("1")
        await expect(page.get_by_role("link", name="alpha")).to_be_visible()


async def test_a_dialog_keeps_the_focus_and_gives_it_back(visit: Any, house: Any) -> None:
    async with visit("/service/web") as page:
        stop = page.get_by_role("button", name="Stop", exact=True)
        for way_out in ("Escape", "Cancel", "Stop"):
            await stop.focus()
            await page.keyboard.press("Enter")
            dialog = page.get_by_role("dialog")
            await expect(dialog).to_be_visible()
            for _ in range(6):
                await page.keyboard.press("Tab")
                inside = "document.querySelector('dialog').contains(document.activeElement)"
                assert await page.evaluate(f"{inside} || document.activeElement === document.body")
            if way_out == "Escape":
                await page.keyboard.press("Escape")
            else:
                await dialog.get_by_role("button", name=way_out, exact=True).click()
            await expect(dialog).to_have_count(0)
            await expect(stop).to_be_focused()
        await wait_for_async(lambda: [c[0] for c in house.node.commands] == ["stop"])


async def test_the_focus_goes_along_to_another_page(visit: Any) -> None:
    async with visit() as page:
        await page.get_by_role("link", name="Log", exact=True).click()  # of the problem
        await expect(page.get_by_role("region", name="Log")).to_be_focused()
        assert page.url.endswith("/service/mailer?node=alpha#log")
        await page.keyboard.press("g")
        await page.keyboard.press("e")
        await expect(page.get_by_role("main")).to_be_focused()
        await page.keyboard.press("Escape")  # back, but never out of the page
        await expect(page.get_by_role("heading", name="mailer", exact=True)).to_be_visible()
        # Twice before the browser has gone back once: still not out of the page.
        await page.evaluate("""() => {
          const pressed = {key: "Escape", bubbles: true};
          for (let i = 0; i < 3; i++)
            document.body.dispatchEvent(new KeyboardEvent("keydown", pressed))
        }""")
        await expect(page.get_by_role("heading", name="Needs attention")).to_be_visible()


async def test_what_was_said_around_a_hit(visit: Any, house: Any) -> None:
    for number in range(40):
        house.node.say("web", 1 + number % 2, f"line {number}")
    house.node.say("web", 1, json.dumps({"level": "error", "msg": "the queue is full", "size": 9}))
    async with visit("/service/web") as page:
        log = page.get_by_role("log")
        line = log.get_by_text("error the queue is full size=9")
        await expect(line).to_be_visible()
        await page.keyboard.press("l")
        await page.keyboard.type("line 20$")
        await expect(log.locator(".line")).to_have_count(1)
        await log.get_by_role("link").first.click()
        await expect(page.get_by_text("All of web around")).to_be_visible()
        await expect(log).to_contain_text("line 19")
        await expect(log.locator(".goal")).to_have_count(1)
        await expect(log.locator("mark")).to_have_text("line 20")
        await no_violations(page)
        await page.get_by_role("button", name="back to the newest").click()
        assert "around" not in page.url


async def test_all_output_opens_as_plain_text_by_a_key_and_is_kept_by_a_click(
    visit: Any, house: Any
) -> None:
    house.node.say("web", 1, "hello <b>you</b>")
    async with visit("/service/web") as page:
        await expect(page.get_by_role("log")).to_contain_text("hello")
        async with page.context.expect_page() as opening:
            await page.keyboard.press("o")
        tab = await opening.value
        await expect(tab.get_by_text("alpha web/1 stdout hello <b>you</b>")).to_be_visible()
        assert await tab.evaluate("document.contentType") == "text/plain"
        await tab.close()
        async with page.expect_download() as coming:
            await page.get_by_role("link", name="download").click()
        found = await coming.value
        assert found.suggested_filename == "web.log"
        assert (await found.path()).read_text().endswith(" alpha web/1 stdout hello <b>you</b>\n")


async def test_the_way_goes_from_hit_to_hit_and_the_log_waits_there(visit: Any, house: Any) -> None:
    for number in range(60):
        house.node.say("web", 1 + number % 2, f"{'ERROR' if number % 20 == 3 else 'line'} {number}")
    async with visit("/service/web") as page:
        log, panel = page.get_by_role("log"), page.get_by_role("region", name="Log")
        await expect(log).to_contain_text("line 59")
        await page.keyboard.press("l")
        await page.keyboard.type("error")
        await page.keyboard.press("Escape")  # out of the box, so that keys are keys
        await expect(panel).to_contain_text("3 hits")
        await panel.get_by_role("button", name="only hits").click()
        await page.keyboard.press("Shift+N")
        await expect(panel).to_contain_text("3 hits, this is 3")
        await expect(log.locator(".goal")).to_contain_text("ERROR 43")
        for key, goal in (("Shift+N", "ERROR 23"), ("n", "ERROR 43"), ("n", "ERROR 3")):
            await page.keyboard.press(key)
            await expect(log.locator(".goal")).to_contain_text(goal)
        follow = panel.get_by_role("button", name="follow")
        await expect(follow).to_have_attribute("aria-pressed", "false")
        house.node.say("web", 1, "line 60")
        await expect(panel.get_by_role("button", name="▼ 1 new")).to_be_visible()
        await page.keyboard.press("f")
        await expect(log).to_contain_text("line 60")
        await expect(follow).to_have_attribute("aria-pressed", "true")
        # A click on a process leaves its lines alone.
        await page.get_by_role("grid", name="Processes of web").get_by_text("#2").click()
        await expect(panel.get_by_role("button", name="not only 2")).to_be_visible()
        assert "process=2" in page.url


async def test_a_server_tells_what_its_own_processes_say(visit: Any, house: Any) -> None:
    house.node.say("@supervisor", 0, "error: <b>a trial</b>", "stderr")
    house.hub.fleet.watch("alpha").health = {"address": "10.0.0.42"}
    async with visit("/server/alpha") as page:
        said = page.get_by_role("region", name="Agent log")
        await expect(said).to_contain_text("error: <b>a trial</b>")
        await expect(page.get_by_text("10.0.0.42")).to_be_visible()


async def test_requests_that_a_service_counts_have_charts(visit: Any, house: Any) -> None:
    house.node.requests = {"web": [41.5, 0.012, 2.0]}
    async with visit("/service/web") as page:
        rate = page.get_by_role("img", name="Requests per second")
        await expect(rate).to_have_attribute("aria-label", re.compile("all now 41.5"))
        await expect(rate).to_have_attribute("aria-label", re.compile("answered 5xx now 2"))
        p99 = page.get_by_role("img", name="p99 of the requests")
        await expect(p99).to_have_attribute("aria-label", re.compile("all now 12 ms"))
    async with visit("/service/mailer") as page:
        await expect(page.get_by_role("img", name="Memory")).to_be_visible()
        await expect(page.get_by_role("img", name="Requests per second")).to_have_count(0)
