"""What is kept of each name: exactly all of it, in few parts, whatever the order."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from chapiteau.core.histogram import Histogram
from chapiteau.load.stats.endpoint_samples import LatencyBatches, add_slowest, latency_bins

came = st.lists(
    st.tuples(st.integers(0, 300), st.lists(st.integers(1, 10**6), min_size=1, max_size=4)),
    max_size=30,
)


def batches(found: list[tuple[int, list[int]]]) -> LatencyBatches:
    made = LatencyBatches()
    for second, values in found:
        made.add(second, Histogram.of(values))
    return made


def told(made: LatencyBatches) -> list[tuple[int, bytes]]:
    return [(second, latency.to_bytes()) for second, latency in made.parts()]


@given(came, st.randoms(use_true_random=False))
def test_batches_lose_nothing_and_know_no_order(
    found: list[tuple[int, list[int]]], chance: object
) -> None:
    made = batches(found)
    mixed = list(found)
    chance.shuffle(mixed)  # type: ignore[attr-defined]
    assert told(batches(mixed)) == told(made)
    whole = Histogram()
    for second, latency in made.parts():
        assert second % made.step == 0
        whole.merge(latency)
    assert whole == Histogram.of(value for _, values in found for value in values)
    assert len(told(made)) <= 40


def test_a_later_piece_of_load_follows_the_first() -> None:
    made = batches([(0, [5]), (1, [7])])
    made.join(batches([(0, [9]), (100, [11])]), 10)
    assert made.step == 4
    assert [second for second, _ in made.parts()] == [0, 8, 108]


@given(came)
def test_the_slowest_are_ten_to_the_precision_of_a_histogram(
    found: list[tuple[int, list[int]]],
) -> None:
    kept: list[tuple[int, int]] = []
    for second, values in found:
        kept = add_slowest(kept, second, Histogram.of(values))
    true = sorted((value for _, values in found for value in values), reverse=True)[:10]
    assert len(kept) == len(true)
    assert all(math.isclose(a, b, rel_tol=1e-3) for (a, _), b in zip(kept, true, strict=True))
    assert [micros for micros, _ in kept[:1]] == true[:1]


def test_bins_count_everything_and_show_gaps() -> None:
    bins = latency_bins(Histogram.of([100, 105, 1000]))
    assert sum(count for _, count in bins) == 3
    assert (bins[0][1], bins[-1], len(bins)) == (2, (0.001, 1), 13)
    assert latency_bins(Histogram()) == []
