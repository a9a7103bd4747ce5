"""Which endpoints have changed: on simulated services whose difference is known."""

from __future__ import annotations

import random

import pytest
from msgspec.structs import replace

from chapiteau.load.report.comparison import compare_results, comparison_text
from chapiteau.load.report.document import document
from chapiteau.load.report.endpoint_changes import change_verdict, compare_endpoints
from chapiteau.load.report.result import EndpointChange, LoadResult, Soundness
from chapiteau.load.report.text import format_change
from chapiteau.load.stats.recorder import Recorder
from chapiteau.load.stats.totals import Totals
from chapiteau.load.testing import Queue
from chapiteau.load.verdict.run_verdict import Verdict
from tests.load.report.test_report import facts


def measured(seed: int, factors: dict[str, float], *, rate: float = 60.0) -> LoadResult:
    """A result of 20 s with a queue of its own for each name."""
    recorder, totals = Recorder(), Totals()
    for name, factor in factors.items():
        chance, queue = random.Random(f"{seed} {name}"), Queue(0.008 * factor, 4, seed=seed)
        due = chance.expovariate(rate)
        while due < 20:
            micros = int((queue.admit(due) - due) * 1e6)
            recorder.row(name).latency[int(due)].append(micros)
            due += chance.expovariate(rate)
    totals.add(recorder.flush())
    return document(facts(20.0), totals, Verdict("none", ""))


def test_what_has_changed_is_real_and_the_rest_is_not() -> None:
    a = measured(1, {"same": 1, "worse": 1, "better": 1, "gone": 1})
    b = measured(2, {"same": 1, "worse": 1.6, "better": 0.6, "new": 1})
    found = {row.name: row for row in compare_endpoints(a, b, 0.05, random.Random(1))}
    words = {name: row.word for name, row in found.items()}
    assert words == {"same": "noise", "worse": "slower", "better": "faster"}
    worse = found["worse"]
    assert (worse.low or 0) < worse.change < (worse.high or 0)
    text = comparison_text(compare_results(a, b, 0.05, random.Random(1)))
    assert "▲ real" in text
    assert "▼ real" in text
    assert "% noise" in text


def test_few_requests_tell_nothing_nor_do_results_that_kept_no_times() -> None:
    few = measured(1, {"GET /": 1}, rate=10)
    many = measured(2, {"GET /": 2})
    old = replace(many, rows=[replace(many.rows[0], batches=None)])
    for a, b in ((few, many), (many, old)):
        (row,) = compare_endpoints(a, b, 0.05, random.Random(1))
        assert (row.low, row.word) == (None, "cannot tell")


@pytest.mark.parametrize(
    ("low", "high", "change", "text"),
    [
        (0.06, 0.2, 0.12, "+12% ▲ real"),
        (-0.3, -0.1, -0.2, "-20% ▼ real"),
        (-0.03, 0.04, -0.02, "±2% noise"),
        (-0.2, 0.3, 0.1, "±10% noise"),
        (0.01, 0.2, 0.1, "+10% ? cannot tell"),
        (None, None, 0.3, "+30% ? cannot tell"),
    ],
)
def test_each_change_has_its_mark(
    low: float | None, high: float | None, change: float, text: str
) -> None:
    word = change_verdict(low, high, 0.05)
    found = EndpointChange(
        name="x", before=1.0, after=1.0, change=change, low=low, high=high, word=word
    )
    assert format_change(found) == text


def test_a_generator_that_was_the_limit_makes_no_endpoint_slower() -> None:
    a, b = measured(1, {"x": 1}), measured(2, {"x": 3})
    sound = Soundness(sound=False, notes=["9 requests failed for lack of ports"])
    b = replace(b, soundness=sound)
    assert [r.word for r in compare_results(a, b, 0.05, random.Random(1)).rows] == ["cannot tell"]
