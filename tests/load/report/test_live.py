"""What is looked at each second while a run goes on."""

from __future__ import annotations

import dataclasses

from msgspec.structs import replace

from chapiteau.load.report.document import failures_of, timeline
from chapiteau.load.report.live import LivePoints, busiest_endpoints, live_samples, stored_endpoints
from chapiteau.load.report.result import Failure
from chapiteau.load.stats.recorder import Recorder
from chapiteau.load.stats.totals import Totals
from tests.load.report.test_report import made


def served(totals: Totals, second: int, *latencies: int) -> None:
    recorder = Recorder()
    row = recorder.row("GET /")
    row.latency[second] += latencies
    totals.add(dataclasses.replace(recorder.flush(), running={second: second}, cpu={second: [0.1]}))


def test_a_look_each_second_shows_what_the_whole_timeline_shows() -> None:
    totals, live = Totals(), LivePoints()
    for second in range(5):
        served(totals, second, 1000 * second + 500, 9000)
        assert live.points(totals) == timeline(totals)

    # An answer that comes late changes a second that was looked at before.
    served(totals, 2, 2_000_000)
    assert live.points(totals) == timeline(totals)
    assert live.points(totals)[2].max == 2.0


def test_only_the_newest_seconds_are_shown_and_kept() -> None:
    totals, live = Totals(), LivePoints(newest=3)
    for second in range(10):
        served(totals, second, 700)
        live.points(totals)

    assert [point.t for point in live.points(totals)] == [7, 8, 9]
    assert len(live._made) == 3


def test_what_has_not_changed_is_not_made_anew() -> None:
    totals, live = Totals(), LivePoints()
    served(totals, 0, 700)
    first = live.points(totals)[0]
    served(totals, 1, 800)

    assert live.points(totals)[0] is first


def test_the_latency_of_all_rows_is_that_of_all_seconds() -> None:
    totals = Totals()
    for second in range(4):
        served(totals, second, 700, 900 * second + 1)

    assert totals.latency.to_bytes() == totals.whole().latency.to_bytes()


def test_a_row_shows_the_same_while_it_runs_and_when_it_is_stored() -> None:
    totals = Totals()
    for second in range(3):
        served(totals, second, 700, 900, 90_000 + second)
    (live,), (stored,) = busiest_endpoints(totals), stored_endpoints(made(totals))
    assert replace(live, pace=[]) == replace(stored, pace=[])
    assert live.slowest[:2] == [(2, 0.090002), (1, 0.090001)]
    assert sum(count for _, count in live.bins) == 9


def test_watchers_get_the_beginning_of_a_sample() -> None:
    recorder, totals = Recorder(), Totals()
    recorder.row("GET /").latency[0].append(5)
    recorder.row("GET /").failures["timeout"] += 1
    recorder.sample("GET /: timeout", "x" * 3000)
    totals.add(recorder.flush())
    assert live_samples(failures_of(totals)) == [Failure("GET /: timeout", 1, "x" * 600)]
