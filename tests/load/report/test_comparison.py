"""Comparisons on simulated services whose difference is known (all of it: bench/load)."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from chapiteau.core.errors import UsageError
from chapiteau.core.histogram import Histogram
from chapiteau.load.execution.ab_test import ab_blocks, ab_verdict, turn_order
from chapiteau.load.report.comparison import (
    MetricChange,
    apply_baseline,
    compare_results,
    overall_verdict,
)
from chapiteau.load.report.result import Batches, FigureChange, Soundness
from chapiteau.load.scenario.shape import Shape, Stage, constant_shape
from chapiteau.load.stats.recorder import Recorder, encode_histogram
from chapiteau.load.stats.totals import Totals
from chapiteau.load.testing import Queue, simulated_batches
from chapiteau.load.verdict.run_verdict import Verdict

NAMES = ("A", "B")


def words(factor: float, *, load: float, count: int) -> list[str]:
    found = []
    for seed in range(count):
        a = simulated_batches(Queue(0.008, 4, seed=2 * seed), load, 40, 2 * seed)
        b = simulated_batches(Queue(0.008 * factor, 4, seed=2 * seed + 1), load, 40, 2 * seed + 1)
        found.append(compare_results(a, b, 0.05, random.Random(seed)).word)
    return found


@pytest.mark.slow
def test_what_is_the_same_is_not_called_different() -> None:
    found = words(1.0, load=150, count=6)
    assert sum(word in {"slower", "faster"} for word in found) <= 1


@pytest.mark.slow
def test_what_takes_a_quarter_longer_is_slower_and_the_other_way_faster() -> None:
    assert set(words(1.25, load=150, count=3)) == {"slower"}
    assert set(words(0.75, load=150, count=3)) == {"faster"}


def test_a_margin_makes_small_differences_none() -> None:
    a = simulated_batches(Queue(0.002, 8, fixed=True), 100, 30, 1)
    b = simulated_batches(Queue(0.00204, 8, fixed=True), 100, 30, 2)

    assert compare_results(a, b, 0.05, random.Random(1)).word == "same"
    assert compare_results(a, b, 0.01, random.Random(1)).word == "slower"


def test_too_short_runs_tell_nothing() -> None:
    a = simulated_batches(Queue(0.002, 8, fixed=True), 100, 5, 1)

    found = compare_results(a, a, 0.05, random.Random(1))
    assert found.word == "cannot tell"
    assert found.changes[0].low is None


def test_a_generator_that_was_too_slow_makes_no_service_slower() -> None:
    quick = simulated_batches(Queue(0.002, 8, fixed=True), 100, 30, 1)
    slow = simulated_batches(Queue(0.004, 8, fixed=True), 100, 30, 2)
    sound = Soundness(sound=False, notes=["sessions began 90 ms late (p99)"])
    late = replace(slow, soundness=sound)

    after = compare_results(quick, late, 0.05, random.Random(1))
    assert after.word == "cannot tell"
    assert (
        "the load generator was the limit in B (sessions began 90" in ab_verdict(after, NAMES).line
    )
    assert "limit in A" in compare_results(late, quick, 0.05, random.Random(1)).limited
    # It can only have made B look slower than it is.
    odd = replace(quick, soundness=sound)
    assert compare_results(slow, odd, 0.05, random.Random(1)).word == "faster"


def test_a_generator_that_was_a_little_late_hides_no_large_difference() -> None:
    quick = simulated_batches(Queue(0.020, 8, fixed=True), 20, 30, 1)
    slow = simulated_batches(Queue(0.060, 8, fixed=True), 20, 30, 2)
    notes = ["sessions began up to 9 ms late (p99): the generator was too slow"]
    sound = Soundness(sound=False, notes=notes, lag_p99=0.009)
    late = replace(slow, soundness=sound)
    assert compare_results(quick, late, 0.05, random.Random(1)).word == "slower"
    assert compare_results(late, quick, 0.05, random.Random(1)).word == "faster"
    for other in (
        replace(sound, lag_p99=0.045),  # that explains it
        replace(sound, notes=[*notes, "3 requests failed for lack of ports or descriptors"]),
    ):
        limited = replace(slow, soundness=other)
        assert compare_results(quick, limited, 0.05, random.Random(1)).word == "cannot tell"


def changed(figure: str, low: float, high: float) -> MetricChange:
    return MetricChange(
        figure=figure, before=1.0, after=1.0, change=0.0, low=low, high=high, surely=low - 0.1
    )


@pytest.mark.parametrize(
    ("p90", "p99", "word"),
    [
        ((-0.5, -0.3), (-0.7, 0.04), "faster"),  # the p99 can't have got slower
        ((-0.5, -0.3), (-0.7, 0.30), "cannot tell"),
        ((-0.04, 0.04), (-0.7, 0.04), "cannot tell"),
        ((-0.5, -0.3), (0.2, 0.4), "slower"),
        ((-0.5, -0.3), (0.1, 0.3), "cannot tell"),  # one of three chances to be wrong
        ((0.1, 0.3), (0.1, 0.3), "slower"),
        ((math.nan, math.nan), (math.nan, math.nan), "cannot tell"),
    ],
)
def test_a_wide_interval_of_the_p99_hides_no_gain(
    p90: tuple[float, float], p99: tuple[float, float], word: str
) -> None:
    changes = [changed("p50", -0.4, -0.3), changed("p90", *p90), changed("p99", *p99)]
    assert overall_verdict(changes, 0.05, (0.0, 0.0)) == word
    assert overall_verdict(changes, 0.05, (0.0, 0.5)) == "slower"


def test_pairs_take_out_what_happens_to_both() -> None:
    """The machine gets half as fast in the middle: alike for both, which take turns."""
    documents = []
    for side in (0, 1):
        parts = []
        for turn in range(16):
            slow = 1000 * (1 + turn // 8)
            parts.append((encode_histogram(Histogram.of(slow + n + side for n in range(50))), 0))
        made = simulated_batches(Queue(0.002, 8, fixed=True), 100, 5, side)
        documents.append(replace(made, batches=Batches(1, parts)))
    a, b = documents

    assert compare_results(a, b, 0.05, random.Random(1), paired=True).word == "same"
    assert compare_results(a, b, 0.05, random.Random(1)).word == "cannot tell"


def test_a_result_that_got_slower_than_its_baseline_is_not_met() -> None:
    a = simulated_batches(Queue(0.002, 8, fixed=True), 100, 30, 1)
    b = simulated_batches(Queue(0.004, 8, fixed=True), 100, 30, 2)
    b = replace(b, verdict=Verdict("met", "met"))

    held = apply_baseline(b, compare_results(a, b, 0.05, random.Random(1)))
    assert (held.verdict.word, held.verdict.exit_code) == ("not met", 8)
    assert "slower than the baseline" in held.verdict.line


@given(st.integers(8, 40))
def test_turns_are_even_and_no_side_is_always_first(pairs: int) -> None:
    order = turn_order(pairs)

    assert order.count(0) == order.count(1) == pairs
    firsts = order[::2]
    assert abs(firsts.count(0) - firsts.count(1)) <= 1


@given(st.floats(32, 3600))
def test_turns_take_the_time_that_was_given(seconds: float) -> None:
    pairs, turn = ab_blocks(constant_shape(50, seconds))

    assert pairs >= 9
    assert turn.seconds == int(turn.seconds) >= 1
    assert 0.85 * seconds < 2 * pairs * turn.seconds <= seconds


@pytest.mark.parametrize(
    "shape",
    [constant_shape(50, 17), Shape((Stage(1, 9, 60),)), Shape((Stage(1, 1, 60), Stage(2, 2, 60)))],
)
def test_what_can_not_be_taken_in_turns_is_refused(shape: Shape) -> None:
    with pytest.raises(UsageError):
        ab_blocks(shape)


@pytest.mark.parametrize(
    ("word", "code"), [("same", 0), ("faster", 0), ("slower", 8), ("cannot tell", 9)]
)
def test_each_word_has_its_exit_code(word: str, code: int) -> None:
    change = FigureChange(
        figure="p99", before=1.0, after=1.2, change=0.2, low=0.1, high=0.3, word=word
    )
    a = simulated_batches(Queue(0.002, 8, fixed=True), 100, 5, 1)
    found = replace(
        compare_results(a, a, 0.05, random.Random(1)), word=word, changes=[change], limited=""
    )

    verdict = ab_verdict(found, NAMES)
    assert verdict.exit_code == code
    assert verdict.line.startswith(word)


@settings(max_examples=20)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 10**6)), min_size=1, max_size=40))
def test_pieces_joined_are_the_whole(requests: list[tuple[int, int]]) -> None:
    """Two pieces of load one after the other count as one that lasted as long as both."""
    whole, parts = Totals(), Totals()
    recorder = Recorder()
    pieces = (Recorder(), Recorder())
    for second, micros in requests:
        for one, at in ((recorder, second), (pieces[second // 2], second % 2)):
            row = one.row("x")
            row.latency[at].append(micros)
            row.statuses[200] += 1
            one.check("c", good=micros % 2 == 0)
    whole.add(recorder.flush())
    for number, one in enumerate(pieces):
        piece = Totals()
        piece.add(one.flush())
        parts.join(piece, 2 * number)

    assert parts.whole().latency == whole.whole().latency
    assert parts.rows.keys() == whole.rows.keys()
    assert parts.checks == whole.checks
    for name, row in whole.rows.items():
        assert parts.rows[name].pace == row.pace
        assert parts.rows[name].statuses == row.statuses
    assert {s: p.count for s, p in parts.series[""].items()} == {
        s: p.count for s, p in whole.series[""].items()
    }
