"""A fleet in groups and tables, single processes, and problems from one to the next by keys."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import expect

from chapiteau.dash.testing import MemoryNode, process, service
from chapiteau.run.logs.messages import Outcome
from tests.dash.page.test_page import no_violations
from tests.support import wait_for_async

pytestmark = [
    pytest.mark.slow,
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="module"),
]


def more_servers(house: Any) -> list[MemoryNode]:
    """Two of the role web, one database; `alpha` has no role."""
    made = []
    for number, role in ((1, "web"), (2, "web"), (10, "db")):
        node = MemoryNode(name=f"srv-{number}", clock=house.hub.clock, period=0.2)
        node.labels = {"role": role}
        node.services = [service(role, [process(1, 10 + number), process(2, 30 + number)])]
        house.hub.fleet.add(node)
        made.append(node)
    return made


async def test_tiles_stand_in_groups_and_begin_with_their_past(visit: Any, house: Any) -> None:
    more_servers(house)
    await wait_for_async(lambda: len(house.hub.fleet.watch("srv-1").past.spark(60)) >= 3)
    async with visit() as page:
        await page.get_by_label("Group by").select_option(label="by role")
        assert "group=on.role" in page.url
        web = page.get_by_role("list", name="Servers: web")
        await expect(web.get_by_role("listitem")).to_have_count(2)
        await expect(page.get_by_role("region", name="(none)")).to_contain_text("alpha")
        await expect(page.get_by_role("region", name="web")).to_contain_text("2 servers")
        # A line from the first moment on: its minute came along.
        line = web.locator("polyline").first
        await expect(line).to_have_count(1)
        assert len((await line.get_attribute("points") or "").split()) >= 3
        await no_violations(page)


async def test_a_page_that_lost_the_names_of_processes_asks_for_them_again(
    visit: Any, house: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet, asked = house.hub.fleet, []
    greet = fleet.greet

    def count(viewer: Any, topic: str) -> None:
        asked.append(topic)
        greet(viewer, topic)

    monkeypatch.setattr(fleet, "greet", count)
    async with visit():
        await wait_for_async(lambda: "stats" in asked)
        watch = fleet.watch("alpha")
        watch.ids_version += 1
        fleet._told["alpha"] = watch.ids_version  # as if the new names had been lost on their way
        await wait_for_async(lambda: asked.count("stats") == 2)
        await wait_for_async(lambda: house.hub.bus.wanted("stats"))
        asked.clear()
        beats = fleet.watch("alpha").stats["time"]
        await wait_for_async(lambda: fleet.watch("alpha").stats["time"] > beats + 5)
        assert asked == []  # it has them now


async def test_a_table_of_servers_is_grouped_filtered_and_shut_by_keys(
    visit: Any, house: Any
) -> None:
    more_servers(house)
    async with visit("/?view=table&group=on.role&sort=name") as page:
        grid = page.get_by_role("treegrid", name="Servers")
        await expect(grid.get_by_role("row")).to_have_count(1 + 3 + 4)  # head, groups, servers
        await grid.focus()
        await page.keyboard.press("Home")  # the head of "db"
        await page.keyboard.press("Enter")
        await expect(grid.get_by_role("row", name="srv-10")).to_have_count(0)
        assert "shut=db" in page.url
        await expect(grid.get_by_role("row", expanded=False)).to_contain_text("1 server")
        await no_violations(page)
        await page.get_by_role("searchbox", name="Filter").fill("role:web")
        await expect(grid.get_by_role("row")).to_have_count(1 + 1 + 2)
        await page.get_by_text("Columns").click()
        await page.get_by_label("version").uncheck()
        await expect(grid.get_by_role("columnheader", name="version")).to_have_count(0)
        assert "hide=version" in page.url


@pytest.mark.parametrize(
    ("view", "group", "heads"),
    [
        ("processes", "service", {"web": 8, "db": 2, "loader": 1, "mailer": 1}),
        ("processes", "state", {"running": 10, "backing off": 1, "completed": 1}),
        ("services", "server", {"alpha": 3, "srv-1": 1, "srv-2": 1, "srv-10": 1}),
    ],
)
async def test_rows_are_grouped(
    visit: Any, house: Any, view: str, group: str, heads: dict[str, int]
) -> None:
    more_servers(house)
    async with visit(f"/?view={view}&group={group}") as page:
        grid = page.get_by_role("treegrid", name=view.capitalize())
        for name, count in heads.items():
            word = "backoff" if name == "backing off" else name
            row = grid.get_by_role("row", expanded=True).filter(
                has=page.get_by_role("button", name=word, exact=True)
            )
            await expect(row).to_contain_text(f"{count} ")
        await no_violations(page)


async def test_processes_are_picked_and_acted_on_one_by_one(visit: Any, house: Any) -> None:
    async with visit("/?view=processes&q=web") as page:
        await page.get_by_label("Select web #2 on alpha").check()
        await page.get_by_label("Select web #4 on alpha").check()
        await expect(page.get_by_text("2 processes selected")).to_be_visible()
        await page.get_by_role("button", name="restart", exact=True).click()
        dialog = page.get_by_role("dialog")
        await expect(dialog).to_contain_text("chapiteau restart web --process 2")
        await expect(dialog).to_contain_text("web #4")
        await no_violations(page)
        await dialog.get_by_role("button", name="Restart", exact=True).click()
        await expect(page.locator(".toasts")).to_contain_text("2/2")
    assert [(c[0], c[2]) for c in house.node.commands] == [
        ("restart", {"process": 2}),
        ("restart", {"process": 4}),
    ]


async def test_all_about_a_process_why_it_died_and_what_to_do(visit: Any, house: Any) -> None:
    async with visit("/service/mailer") as page:
        row = page.get_by_role("grid", name="Processes of mailer").get_by_role("row", name="#1")
        await expect(row).to_contain_text(
            "exit 1; a module is missing: redis"
        )  # where others have their figures
        await row.get_by_role("button", name="Actions on mailer #1 on alpha").click()
        dialog = page.get_by_role("dialog")
        await expect(dialog).to_contain_text("ModuleNotFoundError: redis")
        await expect(dialog).to_contain_text("exit 1")
        await no_violations(page)
        await dialog.get_by_role("button", name="Why did it die?").click()
        await expect(page.get_by_text("The last 200 lines of mailer #1 until")).to_be_visible()
        assert "until=" in page.url
        await page.get_by_role("button", name="all around it").click()
        await expect(page.get_by_text("All of mailer around")).to_be_visible()
    for one in house.node.services[1]["processes"]:
        one["health"] = {"what": "http://127.0.0.1:1/healthz", "ok": True, "why": "", "ms": 3.0}
    house.node.happen("service.ready", service="web")
    async with visit("/service/web") as page:
        await expect(page.get_by_text("health /healthz: all 4 pass in 3 ms")).to_be_visible()
        # Its own last minute, drawn: the hub's history stands before what comes live.
        line = page.get_by_role("grid", name="Processes of web").locator("polyline").first
        await expect(line).to_have_count(1)
        await page.get_by_role("grid", name="Processes of web").focus()
        for key in ("Home", "j", "j", "m"):
            await page.keyboard.press(key)
        await (
            page.get_by_role("dialog").get_by_label("Send a signal to web #3").select_option("HUP")
        )
        await wait_for_async(
            lambda: (
                ("signal", "web", {"signal": "HUP", "process": 3}, "dash:local")
                in house.node.commands
            )
        )


async def test_keys_go_from_problem_to_problem_and_cure(visit: Any, house: Any) -> None:
    house.node.services.append(service("queue", [process(1, 0, "backoff")], state="backoff"))
    async with visit() as page:
        problems = page.get_by_role("region", name="Needs attention").get_by_role("listitem")
        await expect(problems).to_have_count(2)
        await page.keyboard.press("n")
        await expect(problems.nth(0)).to_be_focused()
        await page.keyboard.press("n")
        await expect(problems.nth(1)).to_be_focused()
        await page.keyboard.press("r")
        await expect(page.get_by_role("dialog")).to_contain_text("Restart mailer on alpha")
        await page.keyboard.press("Escape")
        await problems.nth(0).focus()
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name="queue", exact=True)).to_be_visible()


async def test_a_problem_that_is_known_is_muted_and_heard_again(visit: Any, house: Any) -> None:
    async with visit() as page:
        problem = page.get_by_role("region", name="Needs attention")
        await problem.get_by_label("Mute mailer").select_option(label="for 8 h")
        await expect(page.get_by_text("Nothing needs attention.")).to_be_visible()
        await page.get_by_text("1 problem muted").click()
        await expect(page.get_by_text("muted by local until")).to_be_visible()
        await no_violations(page)
        await page.get_by_role("button", name="Unmute").click()
        await expect(problem).to_contain_text("mailer")


async def test_servers_go_in_turns(visit: Any, house: Any) -> None:
    nodes = more_servers(house)[:2]
    nodes[0].outcome = Outcome(ok=False, error="web is failed", hint="")
    async with visit("/service/web") as page:
        await expect(page.get_by_text("8/8 ready on 3 servers")).to_be_visible()
        await page.get_by_role("button", name="Restart", exact=True).click()
        dialog = page.get_by_role("dialog")
        await dialog.get_by_label("Servers at a time").select_option("1")
        await expect(dialog).to_contain_text("The next ones only when these are well")
        await no_violations(page)
        await dialog.get_by_role("button", name="Restart", exact=True).click()
        toasts = page.locator(".toasts")
        await expect(toasts).to_contain_text("srv-2: not begun it failed on srv-1 before")
        await expect(toasts).to_contain_text("Restart web 1/3, 2 failed")
    assert [len(node.commands) for node in (house.node, *nodes)] == [1, 1, 0]


@pytest.mark.parametrize(
    "path",
    [
        "/?view=servers&group=on.role",
        "/?view=table",
        "/?view=processes&group=service",
        "/server/srv-1",
    ],
)
async def test_groups_and_tables_fit_a_telephone(visit: Any, house: Any, path: str) -> None:
    more_servers(house)
    async with visit(path, viewport={"width": 360, "height": 740}) as page:
        await expect(page.get_by_role("main")).to_contain_text("srv-1")
        assert await page.evaluate("document.documentElement.scrollWidth") <= 360
        await no_violations(page)
