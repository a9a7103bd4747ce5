"""The relay by itself: orders in, reports out, and an end that it finds without being told."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self, TypeVar

import pytest

from chapiteau.load.cluster.shipping import pack_scenario
from chapiteau.load.scenario.shape import constant_shape
from chapiteau.load.stats.frames import decode_frame
from chapiteau.load.stats.totals import Totals
from chapiteau.load.testing import Target
from chapiteau.load.workers.messages import (
    Alive,
    Bye,
    End,
    Go,
    LoadStep,
    Order,
    Over,
    Prepare,
    Ready,
    Second,
    Setup,
    StillAlive,
    Stop,
    encode_message,
    report_reader,
)
from chapiteau.load.workers.plan import Plan
from tests.load.workers.test_local_workers import file_plan, plan
from tests.support import wait_for

R = TypeVar("R")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    with Target("queue", mean=0.0001, fixed=True) as running:
        yield running


class Line:
    """A relay at the other end of two pipes."""

    def __init__(self, what: Plan, place: Path | None = None) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "chapiteau.load.cluster.relay"],
            env=None if place is None else {**os.environ, "TMPDIR": str(place)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.totals = Totals()
        packed, files = pack_scenario(what)
        self.tell(Setup(plan=packed, files=files), Prepare())
        self.hear(Ready)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()

    def tell(self, *orders: Order) -> None:
        """All in one write, as a network may bring them."""
        assert self.process.stdin is not None
        self.process.stdin.write(b"".join(map(encode_message, orders)))
        self.process.stdin.flush()

    def hear(self, kind: type[R]) -> R:
        """The next report of this kind."""
        assert self.process.stdout is not None
        reader = report_reader()
        for line in self.process.stdout:
            (report,) = reader.feed(line)
            if isinstance(report, Second | Over):
                self.totals.add(decode_frame(report.counts))
            if isinstance(report, kind):
                return report
        raise AssertionError(f"no {kind.__name__} came")

    def workers(self) -> list[int]:
        """Its load processes."""
        pid = self.process.pid
        return [int(w) for w in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def go(turn: int, seconds: float, *, last: float = 30.0) -> Go:
    zero = time.monotonic() + 0.1
    step = LoadStep(shape=constant_shape(50, seconds), arrivals="even", drain=1.0)
    return Go(turn, zero, step, zero + last)


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_a_stop_that_comes_together_with_its_step_ends_it_and_no_other(target: Target) -> None:
    with Line(plan(target.url)) as line:
        line.tell(go(1, 40), Stop(1))
        began = time.monotonic()
        line.hear(Over)
        assert time.monotonic() - began < 40
        line.totals = Totals()
        # A stop that was on its way for longer than the step is nothing to the next one.
        line.tell(go(2, 0.5), Stop(1), Alive())
        line.hear(StillAlive)  # though its load processes have nothing to tell yet
        line.hear(Over)
        assert line.totals.started == line.totals.requests == 25


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, 0])
def test_nothing_is_left_of_a_relay_that_is_told_to_end(
    target: Target, tmp_path: Path, number: int
) -> None:
    with Line(plan(target.url), tmp_path) as line:
        (worker,) = line.workers()
        assert list(tmp_path.iterdir())
        if number:
            line.process.send_signal(number)
        else:
            line.tell(End(leave=True))
        line.process.wait(60)
        assert not list(tmp_path.iterdir())
        wait_for(lambda: gone(worker), what="its load process has ended")


@pytest.mark.long
def test_the_plans_end_is_the_end_whatever_the_scenario_does(
    target: Target, tmp_path: Path
) -> None:
    stuck = """
import time
from chapiteau.load import scenario
@scenario
async def one(session):
    time.sleep(3600)
"""
    with Line(file_plan(tmp_path / "t.py", stuck, target.url)) as line:
        (worker,) = line.workers()
        line.tell(go(1, 0.2, last=1.0))
        assert line.process.wait(60) == 1
        wait_for(lambda: gone(worker), what="its load process has ended")


@pytest.mark.long
def test_load_processes_that_are_stuck_end_with_the_line(target: Target, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    stuck = f"""
import pathlib, time
from chapiteau.load import scenario
@scenario
async def one(session):
    pathlib.Path({str(mark)!r}).touch()
    time.sleep(3600)
"""
    with Line(file_plan(tmp_path / "t.py", stuck, target.url)) as line:
        (worker,) = line.workers()
        line.tell(go(1, 20))
        wait_for(mark.exists, what="a session has begun")
        assert line.process.stdin is not None
        line.process.stdin.close()
        assert line.process.wait(60) == 0
        wait_for(lambda: gone(worker), what="its load process has ended")


def test_problems_of_the_tear_down_are_reported(target: Target, tmp_path: Path) -> None:
    locust = """
from locust import HttpUser, events, task
class User(HttpUser):
    @task
    def ask(self):
        self.client.get("/")
@events.quitting.add_listener
def judge(environment, **_kw):
    environment.process_exit_code = 3
"""
    with Line(file_plan(tmp_path / "locustfile.py", locust, target.url)) as line:
        line.tell(End())
        bye = line.hear(Bye)
        assert bye.refused == ["locustfile.py set process_exit_code 3"]
    bad = """
from chapiteau.load import scenario, teardown
@teardown("worker")
def away(stage):
    raise OSError("no such table")
@scenario
async def one(session):
    await session.get("/")
"""
    with Line(file_plan(tmp_path / "t.py", bad, target.url)) as line:
        line.tell(End())
        assert line.hear(Bye).problems == [
            "the worker's teardown, away, failed: OSError: no such table"
        ]
