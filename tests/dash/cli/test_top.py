"""The terminal's screen, over nodes in memory and over a running hub."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from textual import events
from textual.widgets import DataTable, Input, RichLog, Static

from chapiteau.dash.cli.top.app import Top
from chapiteau.dash.cli.top.dialogs import ConfirmDialog
from chapiteau.dash.cli.top.source import HubSource, LocalSource
from chapiteau.dash.errors import HubGoneError, LoginError
from chapiteau.dash.testing import MemoryNode
from chapiteau.io.clock import SystemClock
from chapiteau.run.logs.messages import Outcome
from tests.dash.conftest import fill
from tests.support import wait_for_async


class Seat:
    """Somebody in front of the screen."""

    def __init__(self, app: Top, pilot: Any, node: MemoryNode) -> None:
        self.app = app
        self.pilot = pilot
        self.node = node

    def table(self, name: str) -> list[list[str]]:
        table: DataTable[str] = self.app.query_one(f"#{name}", DataTable)
        return [list(map(str, table.get_row_at(i))) for i in range(table.row_count)]

    def text(self, name: str) -> str:
        return str(self.app.query_one(f"#{name}", Static).content)

    def log(self) -> str:
        return "\n".join(line.text for line in self.app.query_one("#log", RichLog).lines)

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)

    async def until(self, fact: Any, what: str) -> None:
        await wait_for_async(fact, 10, what)


@contextlib.asynccontextmanager
async def seated(source: Any, node: MemoryNode) -> AsyncIterator[Seat]:
    app = Top(source)
    async with app.run_test(size=(140, 44)) as pilot:
        seat = Seat(app, pilot, node)
        await seat.until(lambda: len(seat.table("services")) == 3, "three services")
        yield seat


@pytest.fixture
def node() -> MemoryNode:
    made = MemoryNode(name="alpha", clock=SystemClock(), period=0.2)
    fill(made)
    return made


@pytest.fixture
async def seat(node: MemoryNode) -> AsyncIterator[Seat]:
    source = LocalSource(node, SystemClock())
    async with seated(source, node) as seat:
        yield seat


async def test_the_worst_comes_first_with_its_cause(seat: Seat) -> None:
    assert seat.table("services")[0] == ["mailer", "alpha", "↻ backing off", "0/1"]
    await seat.until(lambda: "redis" in seat.text("problems"), "the cause")
    assert "1 up · 4 running · 1 backing off" in seat.text("band")
    await seat.press("n")
    await seat.until(lambda: "ModuleNotFoundError: redis" in seat.log(), "the last lines")


async def test_the_next_problem_says_why_wherever_the_cursor_was(seat: Seat) -> None:
    seat.node.say("mailer", 1, "its own output")
    await seat.press("j")
    await seat.until(lambda: "mailer" not in seat.text("log-title"), "another service")
    await seat.press("n")
    await seat.until(lambda: "── why" in seat.log(), "the cause")
    assert seat.log().index("its own output") < seat.log().index("── why")


async def test_deploys_are_told_with_who_and_why_not(seat: Seat) -> None:
    lines = ["SyntaxError: [red]never markup[/red]"]
    seat.node.happen("service.reload_failed", service="web", text="it ended", data={"lines": lines})
    seat.node.happen("command.done", service="web", who="uid 0 (dash:ana)", text="reload: it ended")
    seat.node.happen("service.ready", service="web", text="not a deploy")
    await seat.until(lambda: len(seat.app.view.events) == 3, "the events")
    await seat.press("d")
    await seat.until(lambda: "web it ended — by ana" in seat.log(), "who brought it out")
    assert "| SyntaxError: [red]never markup[/red]" in seat.log()
    assert "not a deploy" not in seat.log()


async def test_numbers_of_the_machine_stay_while_processes_come_and_go(seat: Seat) -> None:
    await seat.until(lambda: "CPU" in seat.text("band"), "the machine's numbers")
    seat.app.view.take("stats", {"node": "alpha", "v": 99, "ids": ["web/9"]})
    assert "CPU" in seat.app.view.band()


@pytest.mark.parametrize("picked", [3, 5])
async def test_a_signal_that_ends_a_process_asks_first(seat: Seat, picked: int) -> None:
    await seat.press("exclamation_mark", *["down"] * picked, "enter")
    await seat.until(lambda: isinstance(seat.app.screen, ConfirmDialog), "the question")
    assert seat.node.commands == []


async def test_a_chosen_service_shows_its_processes_and_output_as_text(seat: Seat) -> None:
    seat.node.say("web", 2, "[red]not markup[/red] \x1b[31mred\x1b[0m")
    await seat.press("j")
    await seat.until(lambda: len(seat.table("processes")) == 4, "its processes")
    await seat.until(lambda: seat.table("processes")[0][4] != "0.0", "its numbers")
    await seat.until(lambda: "#2 [red]not markup[/red] red" in seat.log(), "its output")
    seat.node.say("web", 3, "one more")
    await seat.until(lambda: "#3 one more" in seat.log(), "new output")


async def test_what_stops_something_asks_first(seat: Seat) -> None:
    await seat.press("j", "s")
    assert "chapiteau stop web" in str(seat.app.screen.query_one(".line", Static).content)
    await seat.press("escape")
    assert seat.node.commands == []
    await seat.press("s", "y")
    await seat.until(lambda: seat.node.commands == [("stop", "web", {}, "")], "it was stopped")


async def test_deeds_are_done_and_their_failure_is_told(seat: Seat) -> None:
    await seat.press("j", "plus")
    await seat.until(lambda: ("scale", "web", {"by": 1}, "") in seat.node.commands, "scaled")
    seat.node.outcome = Outcome(ok=False, error="no room", hint="buy some")
    await seat.press("r")
    await seat.until(
        lambda: any("no room (buy some)" in n.message for n in seat.app._notifications),
        "the failure is told",
    )


async def test_a_signal_is_picked(seat: Seat) -> None:
    await seat.press("j", "exclamation_mark", "down", "enter")
    await seat.until(
        lambda: ("signal", "web", {"signal": "USR1"}, "") in seat.node.commands, "sent"
    )


async def test_a_filter_narrows_and_escape_drops_it(seat: Seat) -> None:
    await seat.press("slash", *"load", "enter")
    await seat.until(lambda: [r[0] for r in seat.table("services")] == ["loader"], "narrowed")
    await seat.press("escape")
    assert seat.app.query_one("#filter", Input).value == ""
    await seat.until(lambda: len(seat.table("services")) == 3, "all again")


async def test_a_silent_server_is_unreachable_not_gone(seat: Seat) -> None:
    seat.node.fall_silent()
    await seat.until(lambda: seat.table("services")[0][2] == "? unreachable", "told")
    assert len(seat.table("services")) == 3
    seat.node.fall_silent(away=False)
    await seat.until(lambda: "1 up" in seat.text("band"), "back")


async def test_keys_are_listed(seat: Seat) -> None:
    await seat.press("question_mark")
    shown = " ".join(str(line.content) for line in seat.app.screen.query(Static))
    assert "reload, restart the service" in shown
    await seat.press("escape", "e")
    await seat.until(lambda: "── no events yet" in seat.log(), "events")


async def test_a_running_hub_is_shown_and_steered(house: Any) -> None:
    hub = HubSource(house.base, {"token": house.hub.sessions.token})
    await hub.open()
    try:
        async with seated(hub, house.node) as seat:
            house.node.say("web", 1, "hello")
            await seat.press("j")
            await seat.until(lambda: "#1 hello" in seat.log(), "output by the hub")
            await seat.press("r")
            await seat.until(
                lambda: house.node.commands == [("reload", "web", {}, "dash:local")], "reloaded"
            )
            await seat.until(
                lambda: any("✓ reload web" in n.message for n in seat.app._notifications), "told"
            )
    finally:
        await hub.close()


async def test_a_wrong_token_and_a_hub_that_is_not_there_are_told(house: Any) -> None:
    for base, login, kind in (
        (house.base, {"token": "wrong"}, LoginError),
        ("http://127.0.0.1:9", {"token": "x"}, HubGoneError),
    ):
        hub = HubSource(base, login)
        with pytest.raises(kind):
            await hub.open()
        await hub.close()


async def test_dialogs_show_what_they_say_and_no_more_room_than_that(node: MemoryNode) -> None:
    async with seated(LocalSource(node, SystemClock()), node) as seat:
        await seat.press("question_mark")
        await seat.until(lambda: bool(seat.app.screen.query(".dialog Static")), "the keys")
        await seat.pilot.pause()
        lines = list(seat.app.screen.query(".dialog Static"))
        assert all(line.region.width > 13 and line.region.height == 1 for line in lines)
        await seat.press("escape", "R")
        await seat.until(lambda: bool(seat.app.screen.query("#yes")), "the question")
        await seat.pilot.pause()
        assert seat.app.screen.query_one(".dialog").region.height <= 12


async def test_the_key_to_all_keys_is_in_sight_on_a_narrow_screen(node: MemoryNode) -> None:
    app = Top(LocalSource(node, SystemClock()))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        first = next(binding for binding in app.BINDINGS if getattr(binding, "show", True))
        assert getattr(first, "key", "") == "question_mark"


async def test_what_is_typed_ahead_into_the_filter_is_no_deed(seat: Seat) -> None:
    for key, character in (("slash", "/"), ("s", "s"), ("r", "r"), ("R", "R")):
        seat.app.post_message(events.Key(key, character))  # all at once, as a slow line brings them
    box = seat.app.query_one("#filter", Input)
    await seat.until(lambda: box.has_focus, "the filter is open")
    await seat.pilot.pause()
    assert seat.node.commands == []
    assert len(seat.app.screen_stack) == 1  # no dialog either
