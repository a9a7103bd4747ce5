"""What a report shows: the same figures everywhere, none that contradicts another."""

from __future__ import annotations

import base64
import json
import math
import re
from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chapiteau.core.histogram import Histogram
from chapiteau.load.report import render
from chapiteau.load.report.document import document, latency_figures, soundness
from chapiteau.load.report.html import as_html
from chapiteau.load.report.html_sections import capacity_section
from chapiteau.load.report.result import CapacitySection, Facts, LoadResult, SearchStep
from chapiteau.load.report.text import as_text, whole_points
from chapiteau.load.stats.recorder import Recorder
from chapiteau.load.stats.totals import Totals
from chapiteau.load.verdict.objectives import evaluate_objectives, parse_objectives
from chapiteau.load.verdict.run_verdict import Verdict, interrupted_verdict, run_verdict
from chapiteau.load.workers.external import count

FIGURES = ("p50", "p90", "p95", "p99", "p999", "max")


def facts(seconds: float = 3.0) -> Facts:
    """Of a run that nobody needs to know more of."""
    return Facts(
        kind="run",
        name="shop",
        target="http://127.0.0.1:1/",
        started=0.0,
        seconds=seconds,
        plan={},
        command=[],
        machine={},
        version="",
    )


def made(totals: Totals, objective: str = "", seconds: float = 3.0) -> LoadResult:
    objectives = parse_objectives(objective)
    findings = evaluate_objectives(objectives, totals, seconds)
    return document(facts(seconds), totals, run_verdict(findings, (), totals, seconds), findings)


def refused(count: int = 20) -> Totals:
    """Nobody listens: every request fails at once."""
    recorder, totals = Recorder(), Totals()
    row = recorder.row("GET /")
    for _ in range(count):
        row.latency[0].append(150)
        row.bad[0] += 1
        row.failures["connection refused"] += 1
    totals.add(recorder.flush())
    return totals


def served(seconds: int) -> Totals:
    recorder, totals = Recorder(), Totals()
    row = recorder.row("GET /")
    for second in range(seconds):
        row.latency[second] += [1000, 2000, 90_000]
        row.statuses[200] += 3
    totals.add(recorder.flush())
    return totals


def test_an_answer_that_was_not_expected_is_among_the_failures_whatever_its_status() -> None:
    recorder, totals = Recorder(), Totals()
    row = recorder.row("POST /orders")
    row.latency[0] += [1000] * 5
    row.statuses[200] += 3
    row.statuses[201] += 2
    row.bad[0] += 3
    recorder.sample("POST /orders: 200", "200 OK from http://h/orders")
    totals.add(recorder.flush())

    (failure,) = made(totals).failures
    assert (failure.what, failure.count) == ("POST /orders: 200", 3)


def test_a_scenario_that_blocks_makes_the_measurement_unsound() -> None:
    totals = served(3)
    totals.looks, totals.blocked = 60, {"reckon (visits.py:3)": 20}
    totals.blocked_ms = {"reckon (visits.py:3)": 250}

    found = made(totals, "p99 < 10ms")
    assert found.soundness.sound is False
    assert any("reckon (visits.py:3)" in note for note in found.soundness.notes)
    assert (found.verdict.word, found.verdict.exit_code) == ("generator-limited", 10)
    totals.looks = 60_000  # once in an hour
    assert made(totals, "p99 < 10ms").verdict.word == "not met"


@given(st.lists(st.integers(0, 100_000_000), min_size=1, max_size=300))
def test_percentiles_rise_up_to_the_maximum(values: list[int]) -> None:
    figures = latency_figures(Histogram.of(values))

    shown = [figures[name] for name in FIGURES]
    assert shown == sorted(shown)  # type: ignore[type-var]


@pytest.mark.parametrize("objective", ["p99 < 1s", "mean < 1s", "max < 1s"])
def test_a_service_that_nobody_answers_for_keeps_no_time_limit(objective: str) -> None:
    found = made(refused(), objective)

    (finding,) = found.verdict.findings
    assert (found.verdict.word, found.verdict.exit_code) == ("broken", 11)
    assert (finding.met, finding.value, finding.shown) == (False, None, "no data")
    for form in ("html", "md", "junit"):
        assert "✓" not in render(found, form)


def test_what_a_generator_in_any_language_timed_is_an_answer_without_a_status() -> None:
    recorder, totals = Recorder(), Totals()
    count(recorder, "job", 0.01, 1.0)
    totals.add(recorder.flush())

    assert made(totals, "p99 < 1s").verdict.word == "met"


def test_an_axis_says_nothing_twice() -> None:
    for seconds in (2, 3, 4, 7, 60):
        html = render(made(served(seconds)), "html")
        axis = re.findall(r">(\d+:\d\d)<", html.split("</svg>")[0])
        assert len(axis) == len(set(axis)) >= 2, seconds


def test_what_was_kept_until_a_signal_is_no_proof() -> None:
    met = Verdict("met", "met: p99 < 1s")
    missed = Verdict("not met", "not met: p99 < 1s was 2s")

    assert interrupted_verdict(met, 3.04, 30.0, 2) == Verdict(
        "unsure", "kept so far: p99 < 1s (stopped early, after 3s of 30s)", 130
    )
    assert interrupted_verdict(missed, 3.0, 30.0, 15).word == "not met"
    assert interrupted_verdict(missed, 3.0, 30.0, 15).exit_code == 143


def test_a_name_and_a_failure_are_only_text() -> None:
    recorder, totals = Recorder(), Totals()
    row = recorder.row("<img src=x onerror=alert(1)>|`")
    row.latency[0].append(5)
    row.statuses[200] += 1
    recorder.crash("</pre><script>alert(2)</script>", "]]><script>")
    totals.add(recorder.flush())

    html = render(made(totals), "html")
    assert "<script" not in html
    assert "<img" not in html
    assert "&lt;img" in render(made(totals), "md")


def test_the_same_result_gives_the_same_bytes() -> None:
    for form in ("html", "json", "csv", "junit", "markdown"):
        assert render(made(served(5)), form) == render(made(served(5)), form)


def test_without_data_there_are_no_figures() -> None:
    assert set(latency_figures(Histogram()).values()) == {None}
    assert math.isnan(evaluate_objectives(parse_objectives("p99 < 1s"), Totals(), 1.0)[0].value)


def test_answers_that_lay_unread_are_told_of() -> None:
    recorder, totals = Recorder(), Totals()
    row = recorder.row("/")
    row.latency[0] += [20_000] * 100
    frame = recorder.flush()
    totals.add(replace(frame, unread=Histogram.of([5_000] * 10)))
    sound = soundness(totals)
    assert sound.unread_p99 == pytest.approx(0.005, rel=0.01)
    assert any("before they were read" in note for note in sound.notes)
    assert sound.sound


def test_the_page_shows_margins_statuses_the_histogram_and_saves_its_json() -> None:
    page = as_html(made(served(30), "p99 < 1s, p50 < 1ms"))

    assert "91% below the limit" in page
    assert "100% above the limit" in page
    assert "Answers by status: 200: 90" in page
    assert "How many requests took how long" in page
    data = re.search(r'download="result.json" href="data:application/json;base64,([^"]+)"', page)
    assert data is not None
    assert json.loads(base64.b64decode(data[1]))["format"] == "chapiteau-load/1"


def test_the_page_shows_what_a_crowd_does_to_latency() -> None:
    totals = Totals()
    for second in range(12):
        recorder = Recorder()
        recorder.row("GET /").latency[second] += [1000 * (second + 1)] * 5
        totals.add(replace(recorder.flush(), running={second: second * 3}, cpu={second: [0.1]}))

    assert "Latency by sessions in flight" in as_html(made(totals))
    assert "Latency by sessions in flight" not in as_html(made(served(12)))


def test_a_load_process_uses_one_core_at_most() -> None:
    totals = Totals()
    totals.add(replace(Recorder().flush(), running={9: 0}, cpu={9: [8.4]}))

    assert soundness(totals).cpu_peak == 1.0


def test_the_terminal_shows_what_the_service_said_and_numbers_of_the_scenarios_own() -> None:
    recorder, totals = Recorder(), Totals()
    row = recorder.row("GET /")
    row.statuses[400] += 1
    row.bad[0] += 1
    row.latency[0].append(100)
    recorder.sample("GET /: 400", "400 Bad Request from /\n<html>\n<b>no  certificate</b>\n</html>")
    recorder.crash("ValueError: x", 'Traceback …\n  File "a.py", line 1, in f\nValueError: x')
    recorder.metric("counter", "orders", 3.0)
    recorder.metric("trend", "items", 2.0)
    totals.add(recorder.flush())
    shown = as_text(made(totals))
    assert "400 Bad Request from /\n      <html> <b>no certificate</b> </html>\n" in shown
    assert "      ValueError: x" in shown
    assert 'File "a.py"' not in shown
    assert re.search(r"orders +counter +3\n", shown)
    assert re.search(r"items +trend +mean 2, p50 2, p99 2", shown)


def test_names_beyond_the_limit_are_told_of() -> None:
    recorder, totals = Recorder(most_names=2), Totals()
    for number in range(5):
        recorder.row(f"GET /{number}").latency[0].append(100)
    totals.add(recorder.flush())
    (note,) = [n for n in made(totals).soundness.notes if "names" in n]
    assert note.startswith("3 requests had too many names")


def test_a_scenarios_own_numbers_are_json() -> None:
    recorder, totals = Recorder(), Totals()
    recorder.row("GET /").latency[0].append(5)
    for kind, name, value in (("counter", "a", 2.0), ("gauge", "b", 3.0), ("trend", "c", 4.0)):
        recorder.metric(kind, name, value)
    totals.add(recorder.flush())
    found = {one["name"]: one for one in json.loads(msgspec.json.encode(made(totals)))["metrics"]}
    assert found["a"] == {"name": "a", "kind": "counter", "value": 2.0}
    assert found["b"] == {"name": "b", "kind": "gauge", "value": 3.0}
    assert found["c"]["count"] == 1


def test_the_report_says_first_whether_the_measurement_is_sound() -> None:
    sound = made(served(100), "p99 < 10s", 100.0)
    late = served(100)
    for _ in range(100):
        late.lag.record(9_000)
    unsound, tight, wide = (
        made(late),
        made(late, "p50 < 50ms", 100.0),
        made(late, "p50 < 1s", 100.0),
    )

    assert as_text(sound).startswith("✓ met")
    assert as_html(sound).index("The measurement is sound") < as_html(sound).index("✓ met")
    assert as_text(unsound).startswith("! the measurement is not sound: sessions began 9 ms late")
    assert as_html(unsound).index("is not sound") < as_html(unsound).index("no objective was given")
    assert (tight.verdict.word, tight.soundness.sound) == ("generator-limited", False)
    assert (wide.verdict.word, wide.soundness.sound) == ("met", True)  # a tenth of the limit


@pytest.mark.parametrize("seconds", [3.0, 3.4])
def test_a_part_of_a_second_is_not_drawn_as_a_drop(seconds: float) -> None:
    totals = served(3)
    recorder = Recorder()
    recorder.row("GET /").latency[3].append(1000)  # while the last sessions end
    totals.add(recorder.flush())
    found = made(totals, seconds=seconds)

    assert [point.rate for point in found.timeline] == [3, 3, 3, 1]
    assert [point.rate for point in whole_points(found)] == [3, 3, 3]
    assert "rate ▁▁▁\n" in as_text(found)


def test_one_user_is_no_point_on_the_axis_of_rates() -> None:
    step = {"seconds": 5.0, "p50": 0.01, "errors": 0.0, "running": 1.0, "why": ""}
    capacity = CapacitySection(
        outcome="held", held=100.0, held_requests=100.0, failed=None, interval=None, notes=[],
        steps=[
            SearchStep(phase="probe", rate=80.0, reached=80.0, p99=0.5, outcome="kept", **step),
            SearchStep(phase="hold", rate=90.0, reached=90.0, p99=0.02, outcome="kept", **step),
            SearchStep(phase="hold", rate=100.0, reached=100.0, p99=0.03, outcome="kept", **step),
        ],
    )  # fmt: skip
    page = capacity_section(capacity)

    assert "<td>one user</td>" in page
    assert ">90/s</text>" in page
    assert ">80/s</text>" not in page
