"""Frames added up, objectives judged, guards watching."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chapiteau.core.errors import UsageError
from chapiteau.load.report.live import LivePoints
from chapiteau.load.stats.frames import decode_frame, encode_frame
from chapiteau.load.stats.recorder import OTHER_ENDPOINTS, Recorder
from chapiteau.load.stats.totals import Totals
from chapiteau.load.verdict.evidence import collect_evidence
from chapiteau.load.verdict.objectives import (
    evaluate_objectives,
    parse_objectives,
    with_error_objective,
)
from chapiteau.load.verdict.run_verdict import run_verdict
from chapiteau.load.verdict.step_guard import (
    StepGuard,
    generator_lateness,
    generator_limit,
    recovery_seconds,
    rising_metric,
)

if TYPE_CHECKING:
    from collections.abc import Sequence


def fed(requests: Sequence[tuple[int, float, bool]], watched: tuple[str, ...] = ()) -> Totals:
    """Requests as (second, latency in ms, good), through a recorder and its frame."""
    recorder, totals = Recorder(), Totals(watched)
    row = recorder.row("GET /", ("tag",))
    for second, latency, good in requests:
        row.latency[second].append(round(latency * 1000))
        row.service.append(round(latency * 1000))
        row.statuses[200 if good else 500] += 1
        if not good:
            row.bad[second] += 1
    totals.add(decode_frame(encode_frame(recorder.flush())))
    return totals


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 10_000_000), st.booleans()), max_size=60),
    st.integers(1, 4),
)
def test_any_split_over_workers_adds_up_to_the_same(
    requests: list[tuple[int, int, bool]], workers: int
) -> None:
    """The same requests in one process or several, flushed once or often: the same totals."""
    whole = Totals()
    parts = Totals()
    one, several = Recorder(), [Recorder() for _ in range(workers)]
    for number, (second, micros, good) in enumerate(requests):
        for recorder in (one, several[number % workers]):
            row = recorder.row(f"name {number % 3}")
            row.latency[second].append(micros)
            row.service.append(micros)
            row.statuses[200] += 1
            row.bad[second] += not good
            recorder.started += 1
        if number % 7 == 0:
            parts.add(several[number % workers].flush())
    whole.add(one.flush())
    for recorder in several:
        parts.add(recorder.flush())

    assert parts.whole().latency == whole.whole().latency
    assert (parts.requests, parts.bad, parts.started) == (whole.requests, whole.bad, whole.started)
    assert {n: r.latency for n, r in parts.rows.items()} == {
        n: r.latency for n, r in whole.rows.items()
    }


def test_too_many_names_are_counted_together() -> None:
    recorder = Recorder(most_names=3)
    for number in range(10):
        recorder.row(f"/{number}").latency[0].append(1)

    assert set(recorder.flush().rows) == {"/0", "/1", "/2", OTHER_ENDPOINTS}


def test_a_restart_forgets_but_keeps_the_rows_that_requests_hold() -> None:
    recorder = Recorder()
    row = recorder.row("x")
    row.latency[0].append(5)
    recorder.crash("boom", "trace")
    recorder.restart(10.0)
    row.latency[0].append(7)
    frame = recorder.flush()

    assert list(frame.rows) == ["x"]
    assert frame.crashes == {}
    assert recorder.zero == 10.0


@pytest.mark.parametrize(
    ("text", "met"),
    [
        ("p99 < 100ms", False),
        ("p90 < 100ms", True),
        ("median < 11ms", True),
        ("mean < 20ms", True),
        ("mean < 10ms", False),
        ("max < 1s", True),
        ("max < 499ms", False),
        ("errors < 1%", True),
        ("errors < 0.1%", False),
        ("rate > 9/s", True),
        ("rate > 11/s", False),
        ("p99(GET /) < 100ms", False),
        ("p99(tag) < 1s", True),
        ("p99(nothing) < 1s", False),
        ("checks > 50%", False),
    ],
)
def test_objectives_are_judged(text: str, met: bool) -> None:
    """196 of 10 ms, 4 of 500 ms, one of them an error, in 20 s."""
    requests = [(i % 20, 10.0, True) for i in range(196)]
    requests += [(3, 500.0, True)] * 3 + [(4, 500.0, False)]
    objectives = parse_objectives(text)
    totals = fed(requests, tuple(o.of for o in objectives if o.of))

    (finding,) = evaluate_objectives(objectives, totals, 20.0)

    assert finding.met is met


def test_the_first_breach_is_told() -> None:
    totals = fed([(0, 10, True)] * 50 + [(7, 900, True)] * 5)

    (finding,) = evaluate_objectives(parse_objectives("p90 < 100ms"), totals, 10)

    assert finding.first_breach == 7


@pytest.mark.parametrize(
    "text",
    ["p99", "p99 > 200ms", "rate < 5/s", "p99 < quick", "errors < 200%", "p0 < 1s", "speed < 1s"],
)
def test_what_is_no_objective_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_objectives(text)
    assert "p99 < 200ms" in caught.value.hint or "use max" in caught.value.hint


def test_a_capacity_is_about_errors_even_when_nobody_says_so() -> None:
    assert [o.text for o in with_error_objective(parse_objectives("p99 < 1s"))] == [
        "p99 < 1s", "errors < 1%"
    ]  # fmt: skip
    for text in ("errors < 5%, p99 < 1s", "checks > 90%", "failed < 1%"):
        assert with_error_objective(parse_objectives(text)) == parse_objectives(text)


def test_names_with_commas_and_braces_are_names() -> None:
    first, second = parse_objectives("p99(GET /a,b/{id}) < 1s, errors < 1%")

    assert first.of == "GET /a,b/{id}"
    assert second.metric == "errors"


def test_evidence_joins_a_short_last_batch_to_the_one_before() -> None:
    totals = fed([(second, 10, True) for second in range(13) for _ in range(10)])
    (found,) = collect_evidence(parse_objectives("p99 < 1s"), totals, 1, 13, 5)

    assert [b.count for b in found.batches] == [50, 70]
    assert found.passes(1.0)


def test_no_data_is_no_pass() -> None:
    (found,) = collect_evidence(parse_objectives("p99 < 1s"), Totals(), 0, 5, 1)

    assert not found.passes()
    assert math.isnan(found.mean.value)


def test_a_service_under_water_ends_the_step() -> None:
    guard = StepGuard(parse_objectives("p99 < 100ms"), rate=100)
    totals = fed([(s, 10, True) for s in range(3) for _ in range(100)])
    totals.running = {0: 1, 1: 30, 2: 80}

    assert [guard.second(s, totals) for s in range(3)] == [False, True, False]
    assert "in flight and growing" in guard.why
    assert guard.ended == 2


def test_a_burst_in_a_hold_is_no_overload() -> None:
    """Near the knee a queue is moody: a second of it must not end, and condemn, a hold."""
    totals = fed([(s, 10, True) for s in range(8) for _ in range(100)])
    totals.running = {0: 1, 1: 2, 2: 30, 3: 5, 4: 30, 5: 32, 6: 35, 7: 50}

    guard = StepGuard(parse_objectives("p99 < 100ms"), rate=100, hold=1)
    assert [guard.second(s, totals) for s in range(7)] == [False] * 6 + [True]

    totals.running = {0: 1, 1: 2, 2: 90}
    guard = StepGuard(parse_objectives("p99 < 100ms"), rate=100, hold=1)
    assert [guard.second(s, totals) for s in range(3)] == [False, False, True]


def test_late_answers_end_the_step() -> None:
    guard = StepGuard(parse_objectives("p99 < 100ms"), rate=100)
    totals = fed([(s, 10 if s == 0 else 300, True) for s in range(4) for _ in range(100)])

    ended = [guard.second(s, totals) for s in range(4)]

    assert ended == [False, False, False, True]


def test_lateness_of_the_generator_is_its_own() -> None:
    totals = Totals()
    for _ in range(100):
        totals.lag.record(9_000)

    assert "9 ms late" in generator_lateness(totals, parse_objectives("p99 < 50ms"))
    assert generator_lateness(totals, parse_objectives("p99 < 500ms")) == ""


def test_a_service_that_is_slow_by_itself_is_not_excused() -> None:
    totals = fed([(0, 300, True)] * 50)
    for _ in range(100):
        totals.lag.record(90_000)

    assert generator_lateness(totals, parse_objectives("p99 < 50ms")) == ""
    assert "late" in generator_lateness(totals, parse_objectives("p99 < 400ms"))


def test_requests_that_a_stalled_service_still_holds_at_the_end_are_not_excused() -> None:
    totals = fed([(0, 10, True)] * 50)
    (row,) = totals.rows.values()
    row.count, row.cut = row.count + 20, 20
    for _ in range(100):
        totals.lag.record(90_000)

    assert generator_lateness(totals, parse_objectives("p99 < 50ms")) == ""
    row.cut = 0
    assert "late" in generator_lateness(totals, parse_objectives("p99 < 50ms"))


def test_what_was_not_sent_is_no_load() -> None:
    totals = Totals()
    totals.dropped = 3

    assert "3 sessions were dropped" in generator_limit(totals)
    assert generator_limit(Totals()) == ""


def test_a_rise_and_a_recovery_are_seen() -> None:
    rising = fed([(s, 10 + s, True) for s in range(30) for _ in range(20)])
    steady = fed([(s, 10 + s % 3, True) for s in range(30) for _ in range(20)])
    down = fed([(s, 400 if s < 4 else 10, True) for s in range(8) for _ in range(20)])
    objectives = parse_objectives("p99 < 100ms")

    assert "p90 rose by" in rising_metric(rising, 0, 30)
    assert rising_metric(steady, 0, 30) == ""
    assert recovery_seconds(down, objectives, 0.01) == 4
    assert recovery_seconds(fed([(0, 900, True)] * 5), objectives, 0.01) is None


def test_old_seconds_take_little_room_and_lose_nothing() -> None:
    recorder, totals = Recorder(), Totals()
    row = recorder.row("/")
    for second in range(400):
        row.latency[second] += [1000 + second, 5000]
        row.bad[second] += 1
        totals.add(recorder.flush())
    assert totals.series[""][0]._packed
    assert not totals.series[""][399]._packed
    row.latency[0].append(7000)  # one that came very late
    totals.add(recorder.flush())
    whole = totals.whole()
    assert (whole.count, whole.bad, whole.latency.high) == (801, 400, 7000)
    assert [p.rate for p in LivePoints(newest=2).points(totals)] == [2, 2]
    assert totals.whole("", 0, 1).count == 3
    assert totals.rows["/"].latency == whole.latency


def test_what_is_kept_with_less_load_than_was_asked_for_proves_nothing() -> None:
    totals = fed([(0, 10.0, True)] * 98)
    totals.started, totals.dropped = 99, 1
    findings = evaluate_objectives(parse_objectives("p99 < 1s"), totals, 1.0)
    assert run_verdict(findings, (), totals, 1.0).word == "met"
    totals.dropped = 40
    verdict = run_verdict(findings, (), totals, 1.0)
    assert (verdict.word, verdict.exit_code) == ("generator-limited", 10)
    assert "40 of 139 sessions were dropped" in verdict.line


def test_a_service_that_keeps_all_users_waiting_has_missed_its_limit() -> None:
    """Sessions that are dropped for that only make its life easier."""
    totals = fed([(0, 5000.0, True)] * 98)
    totals.started, totals.dropped = 99, 400
    totals.cpu = {0: [0.3, 0.5]}
    findings = evaluate_objectives(parse_objectives("p99 < 1s"), totals, 1.0)
    assert run_verdict(findings, (), totals, 1.0).exit_code == 8
    totals.cpu = {0: [0.3, 0.99]}  # a process without any time left: perhaps it was that
    assert run_verdict(findings, (), totals, 1.0).exit_code == 10
    totals.cpu = {}
    totals.rows["GET /"].failures["generator out of ports"] = 1
    assert run_verdict(findings, (), totals, 1.0).exit_code == 10


def test_lateness_takes_nothing_from_errors_that_were_kept() -> None:
    totals = fed([(0, 10, True)] * 400)
    for _ in range(100):
        totals.lag.record(90_000)

    def word(objectives: str) -> str:
        findings = evaluate_objectives(parse_objectives(objectives), totals, 1.0)
        return run_verdict(findings, (), totals, 1.0).word

    assert word("errors < 1%") == "met"
    assert word("errors < 1%, p50 < 300ms") == "generator-limited"
