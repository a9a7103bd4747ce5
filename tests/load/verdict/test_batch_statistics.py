"""Intervals that know that neighbours resemble each other."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chapiteau.load.stats.resampling import block_resample
from chapiteau.load.verdict.evidence import batch_mean, trend


def test_independent_batches_have_the_usual_error() -> None:
    chance = random.Random(1)
    values = [chance.gauss(10, 2) for _ in range(400)]
    found = batch_mean(values)

    assert found.value == pytest.approx(10, abs=0.3)
    assert found.error == pytest.approx(2 / math.sqrt(400), rel=0.25)


def test_dependent_batches_have_a_larger_error() -> None:
    chance, value, values = random.Random(2), 0.0, []
    for _ in range(400):
        value = 0.5 * value + chance.gauss(0, 1)
        values.append(value)
    mixed = values[:]
    chance.shuffle(mixed)

    assert batch_mean(values).error > 1.3 * batch_mean(mixed).error


@pytest.mark.parametrize(
    ("values", "value", "error"),
    [([], math.nan, math.inf), ([3.0], 3.0, math.inf), ([2.0, 2.0], 2.0, 0.0)],
)
def test_few_batches_do_not_pretend(values: list[float], value: float, error: float) -> None:
    found = batch_mean(values)

    assert found.error == error
    assert found.value == value or math.isnan(value)


def test_weights_count_large_batches_more() -> None:
    assert batch_mean([0.0, 1.0], [9.0, 1.0]).value == pytest.approx(0.1)


def test_a_rise_is_seen_through_noise_and_outliers() -> None:
    chance = random.Random(3)
    values = [i * 0.05 + chance.gauss(0, 1) + (50 if i % 17 == 0 else 0) for i in range(90)]

    found = trend(values)

    assert found.rising
    assert found.slope == pytest.approx(0.05, abs=0.02)


def test_noise_alone_rarely_rises() -> None:
    chance = random.Random(4)
    rises = sum(trend([chance.gauss(0, 1) for _ in range(60)]).rising for _ in range(200))

    assert rises <= 6


def test_a_fall_and_a_handful_of_points_are_no_rise() -> None:
    assert not trend([float(-i) for i in range(50)]).rising
    assert not trend([1.0, 2.0, 3.0]).rising


@given(st.integers(1, 60), st.integers(1, 10), st.integers())
def test_a_resample_is_made_of_whole_blocks(length: int, block: int, seed: int) -> None:
    drawn = block_resample(length, block, random.Random(seed))

    assert len(drawn) == length
    assert all(0 <= i < length for i in drawn)
    for start in range(0, length - block, block):
        piece = drawn[start : start + block]
        assert piece == [(piece[0] + k) % length for k in range(block)]
