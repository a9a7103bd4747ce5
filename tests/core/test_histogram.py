"""The histogram against the plain sorted list it stands for."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chapiteau.core.histogram import SUB, Histogram, _index, _middle

TOP = 1 << 42
micros = st.integers(0, TOP)
some = st.lists(micros, max_size=60)


@given(micros)
def test_the_middle_of_a_bucket_is_near_every_value_in_it(value: int) -> None:
    assert abs(_middle(_index(value)) - value) <= value / SUB


@given(micros)
def test_bucket_numbers_rise_with_values_and_leave_no_gap(value: int) -> None:
    step = _index(value + 1) - _index(value)
    assert step in {0, 1}


@pytest.mark.parametrize("bits", range(1, 42))
def test_powers_of_two_are_continuous(bits: int) -> None:
    edge = 1 << bits
    assert _index(edge) == _index(edge - 1) + 1
    assert _index(int(_middle(_index(edge)))) == _index(edge)


@given(st.lists(micros, min_size=1, max_size=80), st.floats(0, 1))
def test_quantiles_agree_with_the_sorted_list(values: list[int], share: float) -> None:
    exact = sorted(values)[max(0, math.ceil(share * len(values) - 1e-9) - 1)]
    assert Histogram.of(values).quantile(share) == pytest.approx(exact, rel=1 / SUB, abs=0.5)


@given(st.lists(micros, min_size=1))
def test_the_ends_and_the_mean_are_exact(values: list[int]) -> None:
    seen = Histogram.of(values)
    assert (seen.low, seen.high, seen.count) == (min(values), max(values), len(values))
    assert seen.mean == pytest.approx(sum(values) / len(values))
    assert seen.quantile(1.0) == max(values)
    assert seen.quantile(0.0) == pytest.approx(min(values), rel=1 / SUB)


@given(some, some)
def test_merge_is_the_histogram_of_both(left: list[int], right: list[int]) -> None:
    both = Histogram.of(left)
    both.merge(Histogram.of(right))
    assert both == Histogram.of(left + right)


@given(some, some, some)
def test_merge_is_associative_and_commutative(a: list[int], b: list[int], c: list[int]) -> None:
    def joined(*parts: list[int]) -> Histogram:
        whole = Histogram()
        for part in parts:
            whole.merge(Histogram.of(part))
        return whole

    right = Histogram.of(b)
    right.merge(Histogram.of(c))
    nested = Histogram.of(a)
    nested.merge(right)
    assert joined(a, b, c) == joined(c, a, b) == nested


@given(some)
def test_bytes_read_back_to_the_same(values: list[int]) -> None:
    seen = Histogram.of(values)
    again = Histogram.from_bytes(seen.to_bytes())
    assert again == seen
    assert (again.count, again.total, again.low, again.high) == (
        seen.count,
        seen.total,
        seen.low,
        seen.high,
    )


@given(st.binary(max_size=60))
def test_foreign_bytes_are_refused_or_give_a_sound_histogram(data: bytes) -> None:
    try:
        seen = Histogram.from_bytes(data)
    except ValueError:
        return
    assert not seen.count or seen.low <= seen.quantile(0.5) <= seen.high


def test_bytes_whose_buckets_contradict_their_head_are_refused() -> None:
    head, pairs = Histogram.of([5]).to_bytes()[:24], Histogram.of([9]).to_bytes()[24:]
    for data in (head + pairs, Histogram.of([5]).to_bytes() + pairs[:1], head + pairs + pairs):
        with pytest.raises(ValueError, match="not a histogram"):
            Histogram.from_bytes(data)


@given(st.lists(st.integers(0, 5000), min_size=1), st.integers(-5, 5000))
def test_above_counts_what_lies_above_a_bucket(values: list[int], edge: int) -> None:
    counted = Histogram.of(values).above(edge)
    assert sum(v > edge * (1 + 2 / SUB) + 1 for v in values) <= counted
    assert counted <= sum(v > edge for v in values)


def test_values_outside_the_range_count_at_its_ends() -> None:
    seen = Histogram.of([-5, TOP + 5])
    assert (seen.low, seen.high, seen.count) == (0, TOP, 2)


def test_counting_a_value_no_times_changes_nothing() -> None:
    seen = Histogram()
    seen.record(7, times=0)
    assert seen == Histogram()
    assert list(seen.buckets()) == []


def test_a_value_may_be_counted_many_times_at_once() -> None:
    seen = Histogram()
    seen.record(7, times=3)
    assert seen == Histogram.of([7, 7, 7])
    assert list(seen.buckets()) == [(7.0, 3)]


def test_an_empty_histogram_knows_no_mean_and_no_quantile() -> None:
    assert math.isnan(Histogram().mean)
    assert math.isnan(Histogram().quantile(0.5))
    assert repr(Histogram()) == "<Histogram empty>"


def test_its_repr_tells_what_one_asks_in_a_debugger() -> None:
    assert repr(Histogram.of([1, 2, 3])) == "<Histogram n=3 p50=2us max=3us>"


def test_it_is_equal_to_nothing_else_and_has_no_hash() -> None:
    assert Histogram() != "histogram"
    with pytest.raises(TypeError, match="unhashable"):
        hash(Histogram())


@given(st.dictionaries(st.integers(-10, 1 << 43), st.integers(1, 9), max_size=20))
def test_counting_many_at_once_is_counting_each(counts: dict[int, int]) -> None:
    at_once, each = Histogram(), Histogram()
    at_once.record_counts(counts)
    for value, times in counts.items():
        each.record(value, times)
    assert at_once == each
