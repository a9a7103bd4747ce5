"""Load that is added to a test that runs: counted exactly (on several machines: test_spread)."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest

from chapiteau.core.errors import NotFoundError, RefusedError
from chapiteau.core.units import format_duration
from chapiteau.io.clock import SystemClock
from chapiteau.load import client
from chapiteau.load.execution.job import RunObserver
from chapiteau.load.execution.jobs import find_job
from chapiteau.load.execution.run_test import run_test
from chapiteau.load.execution.storage import LiveFile
from chapiteau.load.report.result import Mark
from chapiteau.load.scenario.shape import Shape, constant_shape
from chapiteau.load.stats.totals import Totals
from chapiteau.load.testing import Target
from chapiteau.load.workers.local_workers import LocalWorkers
from chapiteau.load.workers.messages import LoadStep
from tests.load.workers.test_local_workers import plan
from tests.support import wait_for_async

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    with Target("queue", mean=0.0001, fixed=True) as running:
        yield running


async def grown(team: Any, shape: Shape, by: float, order: LoadStep) -> tuple[Totals, Shape]:
    """Run an order that is raised after its first second; the counts, and what became of it."""
    totals, after = Totals(), [shape]

    def on_second(_second: int, _totals: Totals) -> bool:
        if len(after) == 1:
            at = time.monotonic() - team.zero + team.ahead
            after.append(shape.raised(at, by))
            team.reshape(after[-1])
        return False

    async with team:
        await team.run(order, totals, on_second)
    return totals, after[-1]


@pytest.mark.long
async def test_a_higher_rate_is_as_exact_as_one_that_was_planned(target: Target) -> None:
    shape = constant_shape(60, 1.8)
    order = LoadStep(shape=shape, arrivals="even")
    totals, after = await grown(LocalWorkers(plan(target.url), 2), shape, 100, order)
    assert totals.started == pytest.approx(after.total, abs=1.001)
    assert totals.started > shape.total + 20
    assert (totals.requests, totals.bad) == (totals.started, 0)


@pytest.mark.long
async def test_more_users_share_the_work_from_then_on(target: Target) -> None:
    shape = constant_shape(3, 1.6)
    order = LoadStep(shape=shape, open=False)
    totals, _ = await grown(LocalWorkers(plan(target.url, pace=0.05), 2), shape, 4, order)
    assert (totals.users, totals.bad) == (4, 0)  # the larger share of 7, and not of 3


SLOW = """
import asyncio
from chapiteau.load import scenario, setup

@setup("run")
async def slow(stage):
    await asyncio.sleep(0.3)

@scenario()
async def ask(session):
    await session.get("/")
"""


async def test_an_order_is_answered_and_the_result_says_it(target: Target, tmp_path: Path) -> None:
    path = tmp_path / "slow.py"
    path.write_text(SLOW)
    given = {
        "base": target.url,
        "rate": 20.0,
        "duration": 2.5,
        "processes": 1,
        "ceiling": 100.0,
        "arrivals": "even",
    }
    live, said = LiveFile(tmp_path), list[str]()
    job, began = find_job(str(path), given, None, ()), SystemClock.wall()
    running = asyncio.create_task(
        run_test(job, SystemClock(), RunObserver(live=live, say=said.append))
    )
    try:
        await wait_for_async(lambda: any("room" in state for state in client.live(tmp_path)))
        with pytest.raises(RefusedError, match="120/s would be above the 100/s"):
            client.add(tmp_path, live.run, rate=100)
        with pytest.raises(RefusedError, match="has a rate, not a number of users"):
            client.add(tmp_path, live.run, users=5)
        told = await asyncio.to_thread(client.add, tmp_path, live.run, rate=60, who="ana")
        (state,) = client.live(tmp_path)
        made = await running
    finally:
        running.cancel()
        live.remove()
    with pytest.raises(NotFoundError):
        client.add(tmp_path, live.run, rate=1)
    assert (told["level"], told["text"]) == (80.0, "+60/s")
    assert [(one["who"], one["text"]) for one in state["marks"]] == [("ana", "+60/s")]
    assert made.marks == [Mark(told["t"], "ana", "+60/s")]
    stages = [format_duration(told["t"]), format_duration(2.5 - told["t"])]
    assert made.plan["load"] == [f"20/s for {stages[0]}", f"80/s for {stages[1]}"]
    assert made.totals.requests == pytest.approx(20 * 2.5 + 60 * (2.5 - told["t"]), abs=1.001)
    assert said == [f"+60/s by ana, {told['t']:g} s after the start"]
    # The set-up is none of the load: moments that are marked lie where they belong.
    assert made.started - began > 0.3
