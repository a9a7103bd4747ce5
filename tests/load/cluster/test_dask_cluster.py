"""What a test does to a Dask cluster that others use, too: as little as it can, and nothing stays.

Scheduler and workers run in this process; the relays are real children of it.
"""

from __future__ import annotations

import asyncio
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("distributed", reason="the extra [cluster] is not installed")

from distributed import Client, Scheduler, Worker

from chapiteau.core.errors import ChapiteauError, UsageError
from chapiteau.load.cluster import dask_tasks as carried
from chapiteau.load.cluster import dask_tasks as dask_side
from chapiteau.load.cluster.dask_cluster import DaskCluster
from chapiteau.load.cluster.distributed_workers import DistributedWorkers
from chapiteau.load.scenario.shape import constant_shape
from chapiteau.load.stats.totals import Totals
from chapiteau.load.testing import Target
from chapiteau.load.workers.messages import Carried, LoadStep, Stop, encode_message
from chapiteau.load.workers.plan import Plan
from tests.load.workers.test_local_workers import file_plan, plan
from tests.support import wait_for_async

pytestmark = pytest.mark.slow

READS = """
import pathlib
from chapiteau.load import scenario
@scenario
async def one(session):
    session.check(pathlib.Path(__file__).with_name("word.txt").read_text() == {word!r}, "own file")
    await session.get("/")
"""


class House:
    """A scheduler with a worker on each of two loopback addresses."""

    def __init__(self, scheduler: Any, workers: list[Any]) -> None:
        self.scheduler = scheduler
        self.workers = workers

    def cluster(self) -> DaskCluster:
        return DaskCluster(self.scheduler.address)

    def plugins(self) -> list[str]:
        """Those that a test has registered."""
        return [name for name in self.scheduler.worker_plugins if name.startswith("chapiteau")]

    def left_over(self) -> list[Path]:
        """Files in the workers' folders that a test left there."""
        return [p for w in self.workers for p in Path(w.local_directory).glob("chapiteau*")]


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with Scheduler(
        host="127.0.0.1", port=0, dashboard=False, dashboard_address="127.0.0.1:0"
    ) as scheduler:
        common: Any = {"nthreads": 2, "local_directory": str(tmp_path), "dashboard": False}
        async with (
            Worker(scheduler.address, host="127.0.0.2", **common) as one,
            Worker(scheduler.address, host="127.0.0.3", **common) as two,
        ):
            yield House(scheduler, [one, two])


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two seconds ahead are for networks."""
    monkeypatch.setattr("chapiteau.load.cluster.distributed_workers._AHEAD", 0.3)


@pytest.fixture(scope="module")
def target() -> Any:
    with Target("queue", mean=0.0001, fixed=True) as running:
        yield running


def spread(cluster: DaskCluster, what: Plan) -> DistributedWorkers:
    return DistributedWorkers(cluster, what, processes=1, on_loss="stop")


async def test_a_step_is_ended_by_an_event_and_nothing_stays_behind(
    house: House, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders: list[bytes] = []

    def push(test: str, line: bytes) -> None:
        orders.append(line)
        passed_on(test, line)

    passed_on = carried.push
    monkeypatch.setattr(carried, "push", push)
    cluster = house.cluster()
    events = house.scheduler.extensions["events"]
    async with spread(cluster, plan(target.url)) as team:
        took = await team.run(
            LoadStep(shape=constant_shape(20, 50), drain=1.0), Totals(), lambda n, _: n == 0
        )
        assert took < 50
        assert list(events._events) == [dask_side.stop_of(cluster._topic, 1)]
        assert orders.count(encode_message(Stop(1))) == 2
        # The next step is another one.
        totals = Totals()
        await team.run(LoadStep(shape=constant_shape(40, 1), arrivals="even"), totals)
        assert totals.requests == 40
    await wait_for_async(lambda: not events._events, what="no event is left")
    assert cluster._topic not in house.scheduler._broker._topics
    assert not house.plugins()
    assert not house.left_over()


@pytest.mark.long
async def test_two_tests_at_once_each_find_their_own_files(
    house: House, target: Target, tmp_path: Path
) -> None:
    async def one(word: str) -> Totals:
        home = tmp_path / word / "same"
        home.mkdir(parents=True)
        (home / "word.txt").write_text(word)
        totals = Totals()
        what = file_plan(home / "t.py", READS.format(word=word), target.url)
        async with spread(house.cluster(), what) as team:
            await team.run(LoadStep(shape=constant_shape(40, 1), arrivals="even"), totals)
        return totals

    for totals in await asyncio.gather(one("cat"), one("dog")):
        assert totals.checks == {"own file": [40, 0]}
    assert not house.left_over()


@pytest.mark.long
async def test_files_lie_where_only_the_workers_user_may_look_and_only_while_they_are_needed(
    house: House, target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    laid_out: list[Path] = []
    take_away = DaskCluster._take_files_away

    async def seen(self: DaskCluster) -> None:
        if not laid_out:
            laid_out.extend(house.left_over())
            assert house.plugins() == [dask_side.files_of(self._topic)]
        await take_away(self)

    monkeypatch.setattr(DaskCluster, "_take_files_away", seen)
    home = tmp_path / "home"
    home.mkdir()
    (home / "word.txt").write_text("x")
    async with spread(
        house.cluster(), file_plan(home / "t.py", READS.format(word="x"), target.url)
    ):
        assert len(laid_out) == 2
        assert {stat.S_IMODE(path.parent.stat().st_mode) for path in laid_out} == {0o700}
        assert not house.left_over()
        assert not house.plugins()


async def test_a_scenario_that_is_broken_leaves_no_files(
    house: House, target: Target, tmp_path: Path
) -> None:
    what = file_plan(tmp_path / "t.py", "import chapiteau.nowhere\n", target.url)
    with pytest.raises(ChapiteauError):
        async with spread(house.cluster(), what):
            pass
    assert not house.left_over()
    assert not house.plugins()


@pytest.mark.long
async def test_our_tasks_have_one_try_and_those_of_others_keep_theirs(
    house: House, target: Target
) -> None:
    allowed = house.scheduler.allowed_failures
    assert allowed > 0
    cluster = house.cluster()
    async with (
        spread(cluster, plan(target.url)),
        Client(house.scheduler.address, asynchronous=True, set_as_default=False) as other,  # type: ignore[no-untyped-call]
    ):
        theirs = other.submit(pow, 2, 3)
        await theirs
        ours = [t for key, t in house.scheduler.tasks.items() if key.startswith(cluster._topic)]
        assert [task.suspicious for task in ours] == [allowed, allowed]
        assert [task.retries for task in ours] == [0, 0]
        assert house.scheduler.tasks[theirs.key].suspicious == 0
    assert house.scheduler.allowed_failures == allowed


@pytest.mark.long
async def test_a_task_that_dask_begins_again_is_a_lost_host(house: House, target: Target) -> None:
    cluster = house.cluster()
    async with spread(cluster, plan(target.url)) as team:
        cluster._heard((0.0, {"host": "127.0.0.2", "line": encode_message(Carried())}))
        await team.run(LoadStep(shape=constant_shape(20, 30)), Totals())
        assert team.lost == {"127.0.0.2": "its worker ended, and another one took its place"}


async def test_a_scheduler_without_certificates_is_told_in_plain_words(house: House) -> None:
    with pytest.raises(UsageError, match="no certificate to show"):
        await DaskCluster(house.scheduler.address.replace("tcp://", "tls://")).hosts()


async def test_workers_that_were_asked_for_are_waited_for(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chapiteau.load.cluster.dask_cluster._COMING", 0.0)
    cluster = DaskCluster(house.scheduler.address, expected=3)
    with pytest.raises(ChapiteauError, match="2 of 3 workers are there"):
        await cluster.hosts()
    await cluster.close()
    cluster = DaskCluster(house.scheduler.address, expected=2)
    assert await cluster.hosts() == ["127.0.0.2", "127.0.0.3"]
    await cluster.close()
