"""The page as people use it."""

from __future__ import annotations

from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, expect

from chapiteau.core.errors import UnreachableError
from chapiteau.dash.fleet.node import ServiceResponse
from tests.support import wait_for_async

pytestmark = [
    pytest.mark.slow,
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="module"),
]

DOCUMENT = """{"openapi": "3.1.0", "info": {"title": "Atlas", "version": "1"}, "paths": {
 "/cities": {"get": {"operationId": "list", "summary": "Cities", "parameters": [
   {"name": "country", "in": "query", "schema": {"type": "string"}}],
   "responses": {"200": {"description": "A page"}}}}}}"""


async def no_violations(page: Page) -> None:
    for scheme in ("light", "dark"):
        await page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        found = await Axe().run(page)
        assert found.violations_count == 0, found.generate_report()


async def test_home_says_what_is_wrong_where_and_why(visit: Any) -> None:
    async with visit() as page:
        problem = page.get_by_role("region", name="Needs attention")
        await expect(problem).to_contain_text("mailer")
        await expect(problem).to_contain_text("backing off: exit 1")
        await expect(problem).to_contain_text("a module is missing: redis")
        await expect(problem).to_contain_text("ModuleNotFoundError: redis")
        grid = page.get_by_role("grid", name="Services")
        await expect(grid.get_by_role("row", name="web")).to_contain_text("4/4")
        await expect(grid.get_by_role("row", name="web")).to_contain_text("running")


async def test_the_token_leaves_the_address_bar(visit: Any, house: Any) -> None:
    async with visit() as page:
        assert "token" not in page.url
        assert page.url.rstrip("/") == house.base


async def test_a_button_asks_shows_the_line_and_acts(visit: Any, house: Any) -> None:
    async with visit("/service/web") as page:
        await page.get_by_role("button", name="Restart", exact=True).click()
        dialog = page.get_by_role("dialog")
        await expect(dialog).to_contain_text("Restart web on alpha")
        await expect(dialog).to_contain_text("chapiteau restart web")
        await expect(dialog).to_contain_text("4 of 4 processes ready")
        await dialog.get_by_role("button", name="Restart", exact=True).click()
        await expect(page.get_by_role("status").last).to_contain_text("✓ Restart web")
    assert house.node.commands == [("restart", "web", {}, "dash:local")]


async def test_escape_cancels_and_nothing_happens(visit: Any, house: Any) -> None:
    async with visit("/service/web") as page:
        await page.get_by_role("button", name="Stop", exact=True).click()
        await expect(page.get_by_role("dialog")).to_be_visible()
        await page.keyboard.press("Escape")
        await expect(page.get_by_role("dialog")).to_have_count(0)
    assert house.node.commands == []


async def test_keys_do_what_buttons_do(visit: Any, house: Any) -> None:
    async with visit("/service/web") as page:
        await page.get_by_role("button", name="Reload", exact=True).wait_for()
        await page.keyboard.press("r")
        await wait_for_async(lambda: house.node.commands == [("reload", "web", {}, "dash:local")])
        await page.keyboard.press("+")
        await wait_for_async(
            lambda: ("scale", "web", {"by": 1}, "dash:local") in house.node.commands
        )
        await page.keyboard.press("g")
        await page.keyboard.press("e")
        await expect(page.get_by_role("heading", name="Events")).to_be_visible()


async def test_the_palette_finds_a_service_and_goes_there(visit: Any) -> None:
    async with visit() as page:
        await page.keyboard.press("Control+k")
        box = page.get_by_role("combobox", name="Search or command")
        await box.fill("web")
        await expect(page.get_by_role("option", name="web").first).to_be_visible()
        await box.press("Enter")
        await expect(page.get_by_role("heading", name="web", exact=True)).to_be_visible()
        assert page.url.endswith("/service/web")


async def test_log_lines_arrive_and_are_only_text(visit: Any, house: Any) -> None:
    async with visit("/service/web") as page:
        log = page.get_by_role("log")
        await expect(log).to_contain_text("No output yet")
        attack = [
            "<script>document.title='owned'</script><img src=x onerror=alert(1)>",
            "\x1b]0;owned\x07\x1b[2J\x1b[31mred\x1b[0m",
            "\u202egnp.exe\u2066 \x00\x08 bidi",
            "x" * 100_000,
        ]
        for line in attack:
            house.node.say("web", 1, line)
        house.node.say("web", 2, "the end", "stderr")
        await expect(log).to_contain_text("the end")
        await expect(log).to_contain_text("<script>document.title='owned'</script>")
        await expect(log).to_contain_text("\\u202egnp.exe\\u2066 \\u0000\\u0008 bidi")
        await expect(log).to_contain_text("…cut")
        await expect(log.locator(".c-red")).to_have_text("red")
        assert await log.locator("script, img").count() == 0
        assert "owned" not in await page.title()


async def test_the_log_waits_when_somebody_reads(visit: Any, house: Any) -> None:
    for number in range(300):
        house.node.say("web", 1, f"line {number}")
    async with visit("/service/web") as page:
        log = page.get_by_role("log")
        await expect(log).to_contain_text("line 299")
        await log.evaluate("el => el.scrollTop = 0")
        await expect(log).to_contain_text("line 0")
        house.node.say("web", 1, "something new")
        pill = page.get_by_role("button", name="▼ 1 new")
        await pill.click()
        await expect(log).to_contain_text("something new")


async def test_charts_draw_numbers_and_say_them(visit: Any) -> None:
    async with visit("/service/web") as page:
        chart = page.get_by_role("img", name="CPU: #1 now")
        await expect(chart).to_be_visible()
        assert await chart.locator("canvas").count() == 1
        await page.get_by_role("button", name="as table").first.click()
        table = page.get_by_role("region", name="CPU as a table")
        await expect(table.get_by_role("columnheader", name="#4")).to_be_visible()


async def test_the_url_holds_the_view(visit: Any) -> None:
    async with visit("/?view=processes&q=cpu%3E0&sort=-cpu") as page:
        grid = page.get_by_role("grid", name="Processes")
        await expect(grid.get_by_role("row")).to_have_count(5)  # header and four of web
        await expect(grid.get_by_role("columnheader", name="CPU", exact=True)).to_have_attribute(
            "aria-sort", "descending"
        )
        await page.get_by_role("searchbox", name="Filter").fill("mailer")
        await expect(grid.get_by_role("row")).to_have_count(2)
        assert "q=mailer" in page.url


async def test_a_silent_server_greys_and_comes_back(visit: Any, house: Any) -> None:
    async with visit("/server/alpha") as page:
        await expect(page.get_by_role("row", name="web").first).to_be_visible()
        house.node.fall_silent()
        await expect(page.get_by_text("unreachable for")).to_be_visible()
        await expect(page.get_by_role("row", name="web").first).to_be_visible()
        house.node.fall_silent(away=False)
        await expect(page.get_by_text("unreachable for")).to_have_count(0)


async def test_a_lost_hub_is_told_and_found_again(
    visit: Any, house: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: str) -> None:
        raise UnreachableError("the hub is busy with something else")

    async with visit(may_complain=True) as page:
        await expect(page.get_by_text("● live")).to_be_visible()
        with monkeypatch.context() as patch:
            patch.setattr(house.hub.sessions, "caller", refuse)
            for viewer in list(house.hub.bus.viewers):
                viewer.overflown = True
                viewer.wake.set()
            await expect(page.get_by_text("reconnecting")).to_be_visible()
            await expect(page.get_by_role("row", name="web").first).to_be_visible()
        await expect(page.get_by_text("● live")).to_be_visible()


async def test_an_api_is_read_and_tried(visit: Any, house: Any) -> None:
    house.node.answers["GET", ""] = ServiceResponse(
        status=200, headers=(), body=DOCUMENT, milliseconds=1, url="http://127.0.0.1:9/o.json"
    )
    house.node.answers["GET", "/cities?country=PT"] = ServiceResponse(
        status=200, headers=(), body='{"total": 1}', milliseconds=2, url=""
    )
    async with visit("/apis") as page:
        await page.get_by_label("country").fill("PT")
        detail = page.get_by_role("region", name="GET /cities")
        await expect(detail).to_contain_text("curl -i 'http://127.0.0.1:9/cities?country=PT'")
        await page.get_by_role("button", name="Try on alpha").click()
        await expect(page.get_by_label("Body of the answer")).to_contain_text('"total": 1')
        await no_violations(page)


@pytest.mark.parametrize(
    "path", ["/", "/?view=servers", "/?view=processes", "/server/alpha", "/service/web"]
)
async def test_axe_finds_nothing(visit: Any, house: Any, path: str) -> None:
    house.node.happen("process.exited", service="web", process=1, text="web/1 exited 1")
    house.node.say("web", 1, "\x1b[33mcareful\x1b[0m", "stderr")
    async with visit(path) as page:
        await expect(page.get_by_text("● live")).to_be_visible()
        await no_violations(page)


@pytest.mark.parametrize("path", ["/sockets", "/events", "/load", "/apis"])
async def test_axe_finds_nothing_on_the_other_pages(visit: Any, house: Any, path: str) -> None:
    house.node.happen("process.exited", service="web", process=1, text="web/1 exited 1")
    house.node.answers["GET", ""] = ServiceResponse(
        status=200, headers=(), body=DOCUMENT, milliseconds=1, url="http://127.0.0.1:9/o.json"
    )
    async with visit(path) as page:
        await page.get_by_role("heading", level=1).wait_for()
        await no_violations(page)


async def test_axe_finds_nothing_in_dialogs(visit: Any) -> None:
    async with visit("/service/web") as page:
        await page.get_by_role("button", name="Stop", exact=True).click()
        await no_violations(page)
        await page.keyboard.press("Escape")
        await page.keyboard.press("?")
        await no_violations(page)
        await page.keyboard.press("Escape")
        await page.keyboard.press(":")
        await no_violations(page)


@pytest.mark.parametrize("path", ["/", "/service/web", "/server/alpha", "/events", "/sockets"])
async def test_a_telephone_needs_no_sideways_scrolling(visit: Any, path: str) -> None:
    async with visit(path, viewport={"width": 360, "height": 740}) as page:
        await page.get_by_role("main").wait_for()
        width = await page.evaluate("document.documentElement.scrollWidth")
        assert width <= 360


async def test_a_stranger_sees_the_door(browser: Any, house: Any) -> None:
    page = await browser.new_page()
    await page.goto(f"{house.base}/#token=wrong")
    await expect(page.get_by_role("alert")).to_contain_text("was used before")
    await no_violations(page)
    await page.close()
