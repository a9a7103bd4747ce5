"""Machines whose clocks read something else begin at the same instant all the same."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time

import pytest

from chapiteau.load.cluster.distributed_workers import DistributedWorkers
from chapiteau.load.cluster.ssh import MODULE, PipeCluster
from chapiteau.load.scenario.shape import constant_shape
from chapiteau.load.stats.totals import Totals
from chapiteau.load.testing import Target
from chapiteau.load.workers.messages import LoadStep
from tests.load.workers.test_local_workers import plan

pytestmark = pytest.mark.slow
AHEAD = 5000.0  # seconds by which the other machine has been up for longer


def other_time() -> list[str]:
    """What runs a command in a time namespace of its own; skips the test where that can't be."""
    words = [shutil.which("unshare") or "unshare", "--time", "--monotonic", str(int(AHEAD))]
    words += ["--fork", "--kill-child", "--"]
    tried = subprocess.run([*words, "true"], capture_output=True, check=False)
    if tried.returncode:
        pytest.skip("time namespaces are not allowed here")
    return words


async def test_a_machine_with_another_clock_begins_with_the_others() -> None:
    relay = [sys.executable, "-m", MODULE]
    pipes = PipeCluster({"here": relay, "there": [*other_time(), *relay]})
    with Target("queue", mean=0.0001, fixed=True) as target:
        async with DistributedWorkers(pipes, plan(target.url), processes=1, on_loss="stop") as team:
            totals = Totals()
            began = time.monotonic()
            await team.run(LoadStep(shape=constant_shape(40, 1), arrivals="even"), totals)
            assert time.monotonic() - began < 60
            there = team._hosts["there"].clock
            assert abs(there.value - AHEAD) <= there.error + 0.001
            assert abs(team._hosts["here"].clock.value) <= team._hosts["here"].clock.error + 0.001
    assert (totals.started, totals.requests, totals.bad) == (40, 40, 0)
    # Each half of them would be a second late if the other machine had begun at its own time.
    assert totals.lag.quantile(0.5) < 500_000
