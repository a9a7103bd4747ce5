"""Generators in any language: what they print counts, and nothing of them is left behind."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from chapiteau.load.errors import ScenarioError
from chapiteau.load.workers.plan import CommandSource, Plan
from tests.support import alive, wait_for

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from chapiteau.load.stats.totals import Totals

    Played = Callable[..., Awaitable[Totals]]

pytestmark = pytest.mark.slow


def command(tmp_path: Path, text: str) -> CommandSource:
    path = tmp_path / "generator.py"
    path.write_text(
        "import json, os, sys, time\ndef say(**v): print(json.dumps(v), flush=True)\n" + text
    )
    return CommandSource(
        (
            sys.executable,
            "-I",
            str(path),
        )
    )


async def test_requests_checks_and_metrics_are_counted(tmp_path: Path, played: Played) -> None:
    source = command(
        tmp_path,
        """
say(**{"is": "request", "name": "GET /x", "seconds": 0.25, "status": 200, "received": 7})
say(**{"is": "request", "name": "GET /x", "seconds": 0.5, "status": 503})
say(**{"is": "request", "name": "GET /x", "seconds": 1, "error": "no answer"})
say(**{"is": "check", "label": "sane", "good": False})
say(**{"is": "metric", "kind": "trend", "name": "size", "value": 3})
say(**{"is": "metric", "name": "users " + os.environ["CHAPITEAU_USER"]})
assert os.environ["CHAPITEAU_BASE"] == "http://h"
print(os.environ["CHAPITEAU_OPTION_COLOUR"], file=sys.stderr)
print()
""",
    )

    totals = await played(source, users=2, sessions=6, base="http://h", options={"colour": "red"})

    row = totals.rows["GET /x"]
    assert (row.count, row.bad, row.received) == (18, 12, 42)
    assert row.statuses == {"200": 6, "503": 6}
    assert row.failures == {"status 503": 6, "no answer": 6}
    assert totals.checks == {"sane": [0, 6]}
    assert totals.metrics["users 1"].value + totals.metrics["users 2"].value == 6
    assert totals.iterations == {"external": [6, 0]}


async def test_a_command_that_fails_is_a_failed_session(tmp_path: Path, played: Played) -> None:
    source = command(tmp_path, "sys.exit('the disk is full')\n")

    totals = await played(source, users=1, sessions=2)

    assert totals.iterations == {"external": [0, 2]}
    (crash,) = totals.crashes
    assert "the command ended with 1: the disk is full" in crash


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("print('hello')\n", "line 1 of the command's output is no JSON"),
        ("say(**{'is': 'riddle'})\n", '"is" must be one of request, check, metric'),
        ("say(**{'is': 'request', 'name': 'x'})\n", "KeyError: 'seconds'"),
    ],
)
async def test_lines_that_say_nothing_known_break_the_run(
    tmp_path: Path, played: Played, text: str, message: str
) -> None:
    with pytest.raises(ScenarioError, match=message):
        await played(command(tmp_path, text), users=1, sessions=1)


async def test_a_missing_command_breaks_the_run(played: Played) -> None:
    with pytest.raises(ScenarioError, match="no-such-command: No such file"):
        await played(CommandSource(("/no-such-command",)), sessions=1)


async def test_a_command_that_does_not_end_is_ended_with_its_children(
    tmp_path: Path, played: Played
) -> None:
    pids = tmp_path / "pids"
    source = command(
        tmp_path,
        f"""
child = os.fork()
open({str(pids)!r}, "a").write(f"{{os.getpid()}} ") if child else None
time.sleep(60)
""",
    )
    from chapiteau.load.scenario.shape import Shape, Stage
    from chapiteau.load.stats.totals import Totals
    from chapiteau.load.workers.local_workers import LocalWorkers
    from chapiteau.load.workers.messages import LoadStep

    async with LocalWorkers(Plan(source=source, most_users=10, timeout=5.0), 1) as team:
        order = LoadStep(shape=Shape((Stage(1, 1, 1.5),)), open=False, drain=0.1)
        await team.run(order, Totals())

    (pid,) = map(int, pids.read_text().split())
    wait_for(lambda: not alive(pid), 5.0, "the command is gone")
