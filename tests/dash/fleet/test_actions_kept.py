"""A hub that is killed: what it had accepted is in its file, and its next start finds out."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from chapiteau.dash.auth.access import Caller, Role
from chapiteau.dash.fleet.action import Target
from chapiteau.dash.fleet.actions import Actions
from chapiteau.dash.fleet.bus import Bus
from chapiteau.dash.fleet.fleet import Fleet
from chapiteau.dash.store import StorageError, Store
from chapiteau.dash.testing import MemoryNode, process, service
from chapiteau.io.clock import SystemClock
from tests.support import wait_for_async

_ANA = Caller(name="ana", role=Role.OPERATOR)
_CLOCK = SystemClock()


class _Held(MemoryNode):
    """Does what it is told; its answer comes when the test lets it."""

    def __init__(self, name: str) -> None:
        super().__init__(name=name, clock=_CLOCK)
        self.services = [service("web", [process(1, 9)])]
        self.answer = asyncio.Event()

    async def command(self, *args: Any) -> Any:
        outcome = await super().command(*args)
        await self.answer.wait()
        return outcome


@contextlib.asynccontextmanager
async def _hub(path: Path, *nodes: Any) -> AsyncIterator[tuple[Actions, Store]]:
    bus, store = Bus(), Store(path)
    fleet = Fleet(bus, clock=_CLOCK, chance=Random(1), history=0)
    for node in nodes:
        fleet.add(node)
    actions = Actions(fleet, bus, store, _CLOCK)
    actions.open()
    await wait_for_async(
        lambda: all((w.is_present and w.status) or w.away_since for w in fleet.watches())
    )
    try:
        yield actions, store
    finally:
        await actions.close()
        await fleet.close()
        store.close()


def _killed(path: Path) -> Path:
    """The file as it is now: what a hub that is killed at this moment leaves."""
    left = path.with_name("left.sqlite3")
    with (
        contextlib.closing(sqlite3.connect(path)) as now,
        contextlib.closing(sqlite3.connect(left)) as then,
    ):
        now.backup(then)
    return left


async def test_what_became_of_it_is_asked_of_the_nodes(tmp_path: Path) -> None:
    one, two = _Held("one"), _Held("two")
    targets = [Target("one", "web"), Target("two", "web")]
    async with _hub(tmp_path / "hub.sqlite3", one, two) as (actions, store):
        actions.start(_ANA, "restart", targets, {}, "k")
        (line,) = store.audit_trail()
        assert (line["who"], line["verb"], line["target"]) == ("ana", "restart", "one/web, two/web")
        assert "not known yet" in line["result"], "noted before the first command leaves"
        assert one.commands == []
        await wait_for_async(lambda: one.commands and two.commands)
        left = _killed(tmp_path / "hub.sqlite3")
        one.answer.set()
        two.answer.set()
    async with _hub(left, one, two) as (actions, store):
        (action,) = actions.recent()
        await wait_for_async(lambda: action.ended)
        again = actions.start(_ANA, "restart", targets, {}, "k")
        assert again is action, "the same key acts once, whatever happened to the hub"
        (line,) = store.audit_trail()
    assert line["result"] == "2 of 2 done"
    assert len(one.commands) == len(two.commands) == 1


async def test_what_never_reached_a_node_is_not_done_later(tmp_path: Path) -> None:
    one, two = _Held("one"), _Held("two")
    async with _hub(tmp_path / "hub.sqlite3", one, two) as (actions, _):
        actions.start(_ANA, "stop", [Target("one", "web"), Target("two", "web")], {}, "k", batch=50)
        await wait_for_async(lambda: one.commands)
        left = _killed(tmp_path / "hub.sqlite3")
    async with _hub(left, one, two) as (actions, store):
        (action,) = actions.recent()
        await wait_for_async(lambda: action.ended)
        (line,) = store.audit_trail()
    assert line["result"] == "1 of 2 done; not begun"
    assert two.commands == []


async def test_a_wait_for_an_absent_server_outlives_the_hub(tmp_path: Path) -> None:
    one = _Held("one")
    one.answer.set()
    path = tmp_path / "hub.sqlite3"
    async with _hub(path, one) as (actions, _):
        one.fall_silent()
        watch = actions._fleet.watch("one")
        await wait_for_async(lambda: watch.away_since)
        actions.start(_ANA, "restart", [Target("one", "web")], {}, "k", wait=3600)
        await wait_for_async(lambda: actions.recent()[0].waits)
    async with _hub(path, one) as (actions, store):
        (action,) = actions.recent()
        assert action.ended == 0
        one.fall_silent(away=False)
        await wait_for_async(lambda: action.ended)
        (line,) = store.audit_trail()
    assert line["result"] == "1 of 1 done"
    assert len(one.commands) == 1


async def test_nothing_is_done_that_can_not_be_noted(tmp_path: Path) -> None:
    one = _Held("one")
    async with _hub(tmp_path / "hub.sqlite3", one) as (actions, store):
        store._db.execute(f"PRAGMA max_page_count = {_pages(store)}")
        with pytest.raises(StorageError, match="full"):
            actions.start(_ANA, "restart", [Target("one", "web")], {"x": "y" * 20_000}, "k")
        assert actions.recent() == []
    assert one.commands == []


async def test_a_result_is_stored_when_the_disk_has_room_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chapiteau.dash.fleet.actions._AGAIN", 0.05)
    one = _Held("one")
    one.outcome = type(one.outcome)(ok=False, error="x" * 50_000)
    async with _hub(tmp_path / "hub.sqlite3", one) as (actions, store):
        action = actions.start(_ANA, "restart", [Target("one", "web")], {}, "k")
        store._db.execute(f"PRAGMA max_page_count = {_pages(store)}")
        one.answer.set()
        await wait_for_async(lambda: action.ended)
        assert "not known yet" in next(store.audit_trail())["result"]
        store._db.execute("PRAGMA max_page_count = 100000")
        await wait_for_async(lambda: "0 of 1 done" in next(store.audit_trail())["result"])


def _pages(store: Store) -> int:
    return int(store._db.execute("PRAGMA page_count").fetchone()[0])
