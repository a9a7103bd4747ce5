"""Whole load processes against real services: exact counts, one instant, true latency."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from chapiteau.core.errors import ChapiteauError, UsageError
from chapiteau.load.engine.connection import ConnectionSettings
from chapiteau.load.errors import ScenarioError, WorkerLostError
from chapiteau.load.scenario.shape import Shape, Stage, constant_shape
from chapiteau.load.stats.totals import Totals
from chapiteau.load.testing import Target
from chapiteau.load.verdict.step_guard import generator_limit
from chapiteau.load.workers.local_workers import LocalWorkers
from chapiteau.load.workers.messages import LoadStep
from chapiteau.load.workers.plan import FileSource, Plan, UrlSource
from tests.support import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow


@pytest.fixture
def target() -> Iterator[Target]:
    with Target("queue", mean=0.0001, fixed=True) as running:
        yield running


def plan(url: str, **more: Any) -> Plan:
    return Plan(**{"source": UrlSource(url), "most_users": 1000, "timeout": 10.0, **more})


def file_plan(path: Path, text: str, base: str, **more: Any) -> Plan:
    path.write_text(text)
    return plan("", source=FileSource(str(path)), base=base, **more)


async def run(team: LocalWorkers, order: LoadStep) -> Totals:
    totals = Totals()
    await team.run(order, totals)
    return totals


async def test_even_arrivals_over_several_processes_are_exactly_as_many_as_planned(
    target: Target,
) -> None:
    async with LocalWorkers(plan(target.url), 3) as team:
        totals = await run(team, LoadStep(shape=constant_shape(200, 1.5), arrivals="even"))

    assert (totals.started, totals.ended, totals.requests, totals.bad) == (300, 300, 300, 0)
    assert totals.lag.count == 300


@pytest.mark.usefixtures("twin")
async def test_where_there_is_no_scenario_a_failed_request_is_told_of_once() -> None:
    """By its row: no line of ours stands there as if it were the user's."""
    async with LocalWorkers(plan(f"http://127.0.0.1:{free_port()}"), 1) as team:
        totals = await run(team, LoadStep(shape=constant_shape(2, 60), open=False, sessions=3))
    assert (totals.bad, totals.crashes) == (3, {})


async def test_a_number_of_sessions_is_split_exactly(target: Target) -> None:
    async with LocalWorkers(plan(target.url), 2) as team:
        totals = await run(team, LoadStep(shape=constant_shape(7, 60), open=False, sessions=501))

    assert (totals.started, totals.requests) == (501, 501)
    assert totals.users <= 7


async def test_paced_users_begin_at_their_pace_and_nobody_waits_for_them_at_the_end(
    target: Target,
) -> None:
    order = LoadStep(shape=constant_shape(3, 3.0), open=False)
    async with LocalWorkers(plan(target.url, pace=2.0), 1) as team:
        totals = Totals()
        took = await team.run(order, totals)

    assert totals.requests == 6  # three users, at 0 and 2 s
    assert totals.cut == 0
    assert took < 4  # when the next ones were due


async def test_what_waits_in_a_users_set_up_makes_no_session_late(
    target: Target, tmp_path: Path
) -> None:
    scenario = (
        "import asyncio\n"
        "from chapiteau.load import scenario, setup\n"
        "@setup('user')\n"
        "async def log_in(session): await asyncio.sleep(0.7)\n"
        "@scenario\n"
        "async def look(session): await session.get('/')\n"
    )
    async with LocalWorkers(file_plan(tmp_path / "s.py", scenario, target.url), 1) as team:
        totals = await run(team, LoadStep(shape=constant_shape(20, 0.5), arrivals="even"))

    assert totals.lag.count == 10
    assert totals.lag.high < 600_000
    assert totals.whole().latency.high < 600_000


async def test_a_scenario_that_blocks_is_named_and_fails_no_service(
    target: Target, tmp_path: Path
) -> None:
    scenario = (
        "import time\n"
        "from chapiteau.load import scenario\n"
        "def reckon(): time.sleep(0.25)\n"
        "@scenario\n"
        "async def look(session):\n"
        "    await session.get('/')\n"
        "    reckon()\n"
    )
    async with LocalWorkers(file_plan(tmp_path / "visits.py", scenario, target.url), 1) as team:
        totals = await run(team, LoadStep(shape=constant_shape(8, 1.0), arrivals="even"))

    assert totals.blocking.startswith("reckon (visits.py:3), for ")
    assert "reckon (visits.py:3)" in generator_limit(totals)
    async with LocalWorkers(plan(target.url), 1) as team:
        totals = await run(team, LoadStep(shape=constant_shape(50, 0.5), arrivals="even"))
    assert (totals.blocking, generator_limit(totals)) == ("", "")
    assert totals.looks > 0


async def test_every_tear_down_is_tried_and_what_fails_is_told(
    target: Target, tmp_path: Path
) -> None:
    scenario = (
        "from pathlib import Path\n"
        "from chapiteau.load import scenario, teardown\n"
        "@teardown\n"
        f"def last(stage): Path({str(tmp_path / 'gone')!r}).touch()\n"
        "@teardown\n"
        "def broken(stage): raise KeyError('tenant')\n"
        "@scenario\n"
        "async def look(session): await session.get('/')\n"
    )
    team = LocalWorkers(file_plan(tmp_path / "s.py", scenario, target.url), 1)
    async with team:
        await run(team, LoadStep(shape=constant_shape(20, 0.2), arrivals="even"))

    assert team.problems == ["the run's teardown, broken, failed: KeyError: 'tenant'"]
    assert (tmp_path / "gone").exists()


async def test_tear_downs_come_after_everything_of_theirs_whatever_became_of_it(
    target: Target, tmp_path: Path
) -> None:
    scenario = (
        "from chapiteau.load import scenario, teardown\n"
        "def say(what):\n"
        f"    with open({str(tmp_path / 'said')!r}, 'a') as file: file.write(what + ' ')\n"
        "@teardown\n"
        "def run(stage): say('run')\n"
        "@teardown('worker')\n"
        "def worker(stage): say('worker')\n"
        "@teardown('session')\n"
        "def tidy(session): session.counter('tidied')\n"
        "@scenario\n"
        "async def look(session):\n"
        "    await session.get('/')\n"
        "    assert session.iteration % 2\n"
    )
    async with LocalWorkers(file_plan(tmp_path / "s.py", scenario, target.url), 3) as team:
        totals = await run(team, LoadStep(shape=constant_shape(3, 9.0), open=False, sessions=12))

    assert totals.metrics["tidied"].value == 12
    assert totals.iterations == {"look": [6, 6]}
    assert (tmp_path / "said").read_text().split() == ["worker"] * 3 + ["run"]


async def test_a_ramp_of_users_rises(target: Target) -> None:
    async with LocalWorkers(plan(target.url), 1) as team:
        totals = await run(team, LoadStep(shape=Shape((Stage(1, 9, 2.0),)), open=False))

    assert totals.running[0] < totals.running[1] <= 9


async def test_workers_run_one_step_after_the_other(target: Target) -> None:
    async with LocalWorkers(plan(target.url), 2) as team:
        for step in range(3):
            totals = await run(
                team, LoadStep(shape=constant_shape(100, 0.5), arrivals="even", step=step)
            )
            assert totals.requests == 50


async def test_stop_ends_a_step_soon(target: Target) -> None:
    async with LocalWorkers(plan(target.url), 2) as team:
        totals = Totals()
        took = await team.run(
            LoadStep(shape=constant_shape(100, 60)), totals, lambda second, _totals: second >= 0
        )

    assert took < 60
    assert totals.requests > 0


async def test_a_standing_service_is_seen_with_its_whole_stall() -> None:
    """Frozen 200 ms in every 2 s: a tenth of the requests waits evenly up to 200 ms, so the true
    p99 is 180 ms. Timed from when they were sent, a closed loop would see a few."""
    with Target("stalling", mean=0.0002, every=2.0, length=0.2) as stalling:
        async with LocalWorkers(plan(stalling.url), 1) as team:
            totals = await run(team, LoadStep(shape=constant_shape(400, 8), arrivals="even"))

    latency = totals.whole("", 0, 8).latency
    assert totals.bad == 0
    assert latency.quantile(0.99) / 1e6 == pytest.approx(0.18, rel=0.06)
    assert latency.quantile(0.5) / 1e6 < 0.05


async def test_dropped_sessions_are_counted(target: Target) -> None:
    with Target("queue", mean=0.05, fixed=True) as slow:
        async with LocalWorkers(plan(slow.url, most_users=5), 1) as team:
            totals = await run(
                team, LoadStep(shape=constant_shape(200, 1.0), arrivals="even", drain=2.0)
            )

    assert totals.dropped > 100
    assert totals.dropped + totals.started == 200


SCENARIO = """
import asyncio
from chapiteau.load import scenario, setup, teardown

@setup
async def whole(stage):
    return {"token": "t"}

@setup("worker")
def here(stage):
    assert stage.shared == {"token": "t"}

@setup("user")
async def login(session):
    assert session.shared["token"] == "t"
    await session.get("/login", name="login")

@setup("session")
def begin(session):
    session.state["begun"] = True

@scenario(weight=3)
async def often(session):
    assert session.state["begun"]
    a, b = await asyncio.gather(session.get("/a"), session.get("/b"))
    session.check(a.status == 200, "a answers")
    session.counter("pairs")
    session.trend("weight", 2.5)
    session.gauge("level", 7)

@scenario(weight=1)
async def failing(session):
    answer = await session.get("/c")
    assert answer.json() == {"never": True}, "not what it should be"

@scenario(weight=0)
async def unused(session):
    raise RuntimeError
"""


async def test_a_scenario_file_with_everything_in_it(target: Target, tmp_path: Path) -> None:
    made = file_plan(tmp_path / "mix.py", SCENARIO, target.url)
    async with LocalWorkers(made, 2) as team:
        totals = await run(team, LoadStep(shape=constant_shape(100, 1.0), arrivals="even"))
        shared = team.shared

    good, bad = totals.iterations["often"][0], totals.iterations["failing"][1]
    assert shared == {"token": "t"}
    assert good + bad == 100
    assert 55 < good < 92
    assert totals.rows["GET /a"].count == totals.rows["GET /b"].count == good
    assert totals.checks == {"a answers": [good, 0]}
    assert totals.metrics["pairs"].value == good
    assert totals.metrics["level"].value == 7
    assert totals.metrics["weight"].values.quantile(0.5) == pytest.approx(2500, rel=0.01)
    (what,) = totals.crashes
    assert what == "AssertionError: not what it should be (mix.py:34)"
    assert "mix.py" in totals.samples[what]
    assert "unused" not in totals.iterations


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x = 1", "no scenario in it"),
        ("import nothing_like_this", "can't be imported"),
        ("def broken(:", "SyntaxError"),
        (
            """from chapiteau.load import *
@setup
def s(stage): raise ValueError('no database')
@scenario
async def f(session): ...""",
            "no database",
        ),
        (
            "from chapiteau.load import *\n@scenario\nasync def f(s): await s.get('http://x.example')",
            "not this machine",
        ),
    ],
)
async def test_a_broken_scenario_says_what_is_wrong_with_it(
    text: str, says: str, target: Target, tmp_path: Path
) -> None:
    made = file_plan(tmp_path / "broken.py", text, target.url)
    with pytest.raises(ChapiteauError, match=says):
        async with LocalWorkers(made, 2) as team:
            await run(team, LoadStep(shape=constant_shape(50, 3)))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"ca_file": "/no/ca.pem"}, "ca_file /no/ca.pem: No such file"),
        ({"ca_file": __file__}, "ca_file .*test_local_workers.py: "),
        (
            {"client_certificate": "/no/c.pem", "client_key": "/no/k"},
            "/no/c.pem with /no/k: No such",
        ),
    ],
)
async def test_certificates_that_can_not_be_read_are_named_before_anything_is_sent(
    target: Target, settings: Any, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        async with LocalWorkers(plan(target.url, connection=ConnectionSettings(**settings)), 1):
            pass


async def test_a_set_up_that_gives_no_json_is_refused(target: Target, tmp_path: Path) -> None:
    text = (
        "from chapiteau.load import *\n@setup\ndef s(stage): return object()\n"
        "@scenario\nasync def f(session): ..."
    )
    with pytest.raises(ScenarioError, match="JSON"):
        async with LocalWorkers(file_plan(tmp_path / "s.py", text, target.url), 1):
            pass


async def test_a_load_process_that_dies_is_noticed(target: Target, tmp_path: Path) -> None:
    text = (
        "import os\nfrom chapiteau.load import *\n"
        "@scenario\nasync def f(session):\n await session.get('/')\n os._exit(7)"
    )
    with pytest.raises(WorkerLostError, match="ended by itself"):
        async with LocalWorkers(file_plan(tmp_path / "die.py", text, target.url), 1) as team:
            await run(team, LoadStep(shape=constant_shape(50, 5)))


async def test_no_process_is_left_when_the_workers_are_closed(target: Target) -> None:
    async with LocalWorkers(plan(target.url), 2) as team:
        pids = team.pids
        await run(team, LoadStep(shape=constant_shape(50, 0.3)))

    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
