"""What watchers are told of the objective while a test runs."""

from __future__ import annotations

from dataclasses import replace

from chapiteau.load.execution.storage import _so_far
from chapiteau.load.report.document import timeline
from chapiteau.load.stats.recorder import Recorder
from chapiteau.load.stats.totals import Totals
from chapiteau.load.verdict.objectives import JudgedObjective, parse_objectives, watched_names


def told(objective: str, kind: str = "run", seconds: int = 2) -> list[JudgedObjective]:
    totals = Totals(watched_names(parse_objectives(objective)))
    for second in range(seconds):
        recorder = Recorder()
        recorder.row("GET /").latency[second] += (10_000, 20_000)  # µs
        totals.add(replace(recorder.flush(), running={second: 1}, cpu={second: [0.1]}))
    points = timeline(totals)
    return _so_far(objective, kind, totals, points)


def test_each_limit_is_judged_as_if_the_test_ended_now() -> None:
    found = told("p99 < 15ms, rate > 1/s, errors < 1%")
    assert [(f.objective, f.met) for f in found] == [
        ("p99 < 15ms", False),
        ("rate > 1/s", True),
        ("errors < 1%", True),
    ]
    assert found[1].shown == "2/s"


def test_nothing_is_said_before_the_first_second_nor_by_a_search() -> None:
    assert told("p99 < 15ms", seconds=0) == []
    assert told("p99 < 15ms", kind="capacity") == []


def test_failures_are_judged_though_nobody_asked() -> None:
    assert [(one.objective, one.met) for one in told("")] == [("errors < 1%", True)]
    few = told("p90 < 1s")[0]
    assert (few.met, few.value, few.shown) == (False, None, "too few requests: 4 of 29")
