"""A load test that runs is watched, marked and ended from the page."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import expect

from chapiteau.dash.auth.access import Caller, Role
from chapiteau.load.execution.storage import save_result
from tests.dash.page.test_page import no_violations
from tests.load.report.test_endpoint_changes import measured
from tests.support import wait_for_async

pytestmark = [
    pytest.mark.slow,
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="module"),
]


@pytest_asyncio.fixture(loop_scope="module")
async def running(house: Any) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "chapiteau", "load", "run", f"{house.base}/favicon.svg",
        "--rate", "20/s", "-d", "60", "-q", "--objective", "p99 < 5s",
        cwd=house.hub.reports.parent, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    await wait_for_async((house.hub.reports / "load" / "live" / f"{process.pid}.json").exists)
    yield process
    if process.returncode is None:
        process.kill()
        await process.wait()


async def test_it_is_marked_and_ended_by_keys(visit: Any, house: Any, running: Any) -> None:
    async with visit("/load") as page:
        live = page.get_by_role("region", name="Running:")
        await expect(live).to_contain_text("Verdict so far")
        await expect(live.get_by_role("region", name="Requests so far")).to_contain_text("favicon")
        await page.keyboard.press("m")
        dialog = page.get_by_role("dialog")
        await expect(dialog.get_by_label("What happens now")).to_be_focused()
        await page.keyboard.type("cache emptied")
        await expect(dialog).to_contain_text(f"load mark 'cache emptied' {running.pid}")
        await no_violations(page)
        await page.keyboard.press("Enter")
        marks = live.get_by_role("list", name="Marked moments")
        await expect(marks).to_contain_text("cache emptied — local")
        await no_violations(page)
        await page.keyboard.press("+")
        await expect(dialog).to_contain_text(f"chapiteau load add {running.pid} --rate 50/s")
        await page.keyboard.type("30")
        await page.keyboard.press("Enter")
        await expect(marks).to_contain_text("+30/s — local")
        await expect(live).to_contain_text("then 50/s for")
        await live.get_by_role("button", name="favicon").click()
        await expect(live).to_contain_text("The slowest")
        assert "row=" in page.url
        await no_violations(page)
        await page.keyboard.press("s")
        await expect(dialog).to_contain_text(f"chapiteau load stop {running.pid}")
        await page.keyboard.press("Enter")
        await expect(live).to_have_count(0)
        results = page.get_by_role("grid", name="Load tests")
        await expect(results.get_by_role("row", name="1").last).to_be_visible()
        await page.goto(f"{house.base}/load/1")
        await expect(page.get_by_text("stopped early by local")).to_be_visible()
        rows = page.get_by_role("region", name="Requests by name")
        await rows.get_by_role("button", name="favicon").click()
        await expect(rows.get_by_label("Answers")).to_contain_text("200")
        await page.keyboard.press("b")
        await expect(page.get_by_role("button", name="#1 is the baseline")).to_be_visible()
        await expect(page.get_by_text("chapiteau load baseline 1 --clear")).to_be_visible()
        await no_violations(page)
        report = page.frame_locator("iframe")
        await expect(report.get_by_text("cache emptied (local)").last).to_be_visible()
        async with page.expect_download() as coming:
            await page.get_by_role("link", name="CSV", exact=True).click()
        found = await coming.value
        assert (await found.path()).read_text().startswith("name,")
    assert (await running.communicate())[0].decode().count("stopped early by local") == 1


async def test_two_results_lie_over_each_other_and_each_endpoint_has_its_mark(
    visit: Any, house: Any
) -> None:
    for seed, factor in ((1, 1.0), (2, 1.6)):
        found = measured(seed, {"same": 1.0, "worse": factor})
        save_result(house.hub.reports, found, "<!doctype html><title>a report</title>")
    async with visit("/load?pick=1,2") as page:
        await expect(page.get_by_role("link", name="compare")).to_be_visible()
        await page.keyboard.press("c")
        rows = page.get_by_role("region", name="p99 of each endpoint")
        await expect(rows.get_by_role("row", name="worse")).to_contain_text("▲ real")
        await expect(rows.get_by_role("row", name="same")).to_contain_text("% noise")
        chart = page.get_by_role("img", name="p99 by elapsed time: #1")
        await expect(chart).to_have_attribute("aria-label", re.compile(r"; #2 now"))
        await page.get_by_role("button", name="set #1 as baseline").click()
        await expect(page.get_by_text("chapiteau load compare baseline 2")).to_be_visible()
        await no_violations(page)
        await page.goto(f"{house.base}/load")
        row = page.get_by_role("grid", name="Load tests").get_by_role("row").nth(1)
        await expect(row.get_by_role("link", name="+")).to_be_visible()
        await page.set_viewport_size({"width": 360, "height": 700})
        await no_violations(page)


async def test_who_only_looks_sees_no_buttons(visit: Any, house: Any) -> None:
    save_result(house.hub.reports, measured(1, {"same": 1.0}), "<!doctype html><title>a</title>")
    async with visit("/load/1") as page:
        await expect(page.get_by_role("button", name="set #1 as baseline")).to_be_visible()
        vera = house.hub.sessions.begin(Caller(name="vera", role=Role.VIEWER))
        name = f"chapiteau-{house.server.port}"
        await page.context.add_cookies([{"name": name, "value": vera, "url": house.base}])
        await page.reload()
        await expect(page.get_by_role("region", name="Requests by name")).to_be_visible()
        await expect(page.get_by_role("button", name="as baseline")).to_have_count(0)


async def test_a_target_is_known_by_its_port_and_a_search_takes_no_more_load(
    visit: Any, house: Any
) -> None:
    live = house.hub.reports / "load" / "live"
    live.mkdir(parents=True)
    state = {
        "run": "1", "pid": os.getpid(), "kind": "capacity", "name": "home", "phase": "hold",
        "target": "http://127.0.0.1:8000/", "started": house.hub.clock.wall() - 5, "seconds": 30,
        "requests": 9, "errors": 0, "timeline": [],
    }  # fmt: skip
    (live / "1.json").write_text(json.dumps(state))
    async with visit("/load") as page:
        running = page.get_by_role("region", name="Running: home")
        await expect(running.get_by_role("region", name="CPU and memory of web")).to_be_visible()
        await expect(running.get_by_role("toolbar").get_by_role("button")).to_have_count(2)


async def test_what_is_picked_stays_in_the_address(visit: Any) -> None:
    async with visit("/load?pick=3") as page:
        await expect(page.get_by_text("#3: pick another one")).to_be_visible()
