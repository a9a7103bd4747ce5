"""Load over time: what is written, what it adds up to, when each arrival is due."""

from __future__ import annotations

import random
from itertools import islice, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chapiteau.core.errors import UsageError
from chapiteau.load.scenario.arrivals import even_arrivals, poisson_arrivals, round_to_tick, split
from chapiteau.load.scenario.shape import Shape, Stage, constant_shape, parse_shape

levels = st.floats(0, 500).filter(lambda v: v == 0 or v > 0.01)
stages = st.builds(Stage, levels, levels, st.floats(0.1, 60)) | st.builds(
    lambda a, b, s, p: Stage(min(a, b), max(a, b), s, p),
    levels, levels, st.floats(1, 60), st.floats(0.5, 30),
)  # fmt: skip
shapes = st.lists(stages, min_size=1, max_size=4).map(lambda s: Shape(tuple(s)))


@pytest.mark.parametrize(
    ("text", "rates", "expected"),
    [
        ("200/s 30s", True, [Stage(200, 200, 30)]),
        ("50/s->500/s 1m", True, [Stage(50, 500, 60)]),
        ("60/min 10s, 10/s 5s", True, [Stage(1, 1, 10), Stage(10, 10, 5)]),
        ("50/s~150/s every 20s 2m", True, [Stage(50, 150, 120, 20)]),
        ("10->50 30s, 50 1m", False, [Stage(10, 50, 30), Stage(50, 50, 60)]),
    ],
)
def test_shapes_are_read_as_written(text: str, rates: bool, expected: list[Stage]) -> None:
    assert parse_shape(text, rates=rates) == Shape(tuple(expected))


@pytest.mark.parametrize(
    "text", ["", "fast 10s", "10/s", "10/s 5", "1/s~2/s 5s", "1/s->2/s every 3s 5s"]
)
def test_a_shape_that_is_none_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_shape(text, rates=True)
    assert "for example" in caught.value.hint


@given(shapes, st.floats(0, 1))
def test_when_is_the_inverse_of_the_area(shape: Shape, share: float) -> None:
    """At the moment given for n arrivals, n have come."""
    count = share * shape.total * 0.999
    moment = shape.when(count)

    if moment is None:
        assert shape.total < 1e-6
        return
    come, left = 0.0, moment
    for stage in shape.stages:
        come += stage.area(min(left, stage.seconds))
        left -= stage.seconds
        if left <= 0:
            break
    assert come == pytest.approx(count, rel=1e-6, abs=1e-3)


@settings(max_examples=30)
@given(shapes.filter(lambda s: s.total < 5_000), st.integers(1, 7))
def test_even_parts_together_are_the_whole(shape: Shape, parts: int) -> None:
    whole = list(even_arrivals(shape))
    pieces = sorted(m for part in range(parts) for m in even_arrivals(shape, part, parts))

    assert pieces == whole
    assert len(whole) == pytest.approx(shape.total, abs=1.001)
    assert all(a <= b + 1e-9 for a, b in pairwise(whole))


@given(st.integers(0, 10_000), st.integers(1, 64))
def test_numbers_split_exactly_and_fairly(total: int, parts: int) -> None:
    pieces = split(total, parts)

    assert sum(pieces) == total
    assert max(pieces) - min(pieces) <= 1


def test_poisson_arrivals_have_the_rate_and_the_spread_of_poisson() -> None:
    moments = list(poisson_arrivals(constant_shape(100, 1000), random.Random(5)))
    gaps = [b - a for a, b in pairwise(moments)]
    mean = sum(gaps) / len(gaps)
    variance = sum((g - mean) ** 2 for g in gaps) / len(gaps)

    assert len(moments) == pytest.approx(100_000, rel=0.02)
    assert variance == pytest.approx(mean**2, rel=0.05)
    assert moments[-1] <= 1000


def test_poisson_follows_a_ramp() -> None:
    moments = list(poisson_arrivals(Shape((Stage(0, 100, 100),)), random.Random(2)))
    early = sum(1 for m in moments if m < 50)

    assert early / len(moments) == pytest.approx(0.25, abs=0.03)


def test_the_same_seed_gives_the_same_arrivals() -> None:
    one = list(islice(poisson_arrivals(constant_shape(10, 60), random.Random("a")), 50))

    assert one == list(islice(poisson_arrivals(constant_shape(10, 60), random.Random("a")), 50))
    assert one != list(islice(poisson_arrivals(constant_shape(10, 60), random.Random("b")), 50))


@given(shapes, st.floats(0.0005, 0.5))
def test_a_tick_keeps_all_arrivals_and_moves_each_by_less_than_itself(
    shape: Shape, tick: float
) -> None:
    exact = list(islice(even_arrivals(shape), 300))
    moved = list(round_to_tick(iter(exact), tick))
    assert len(moved) == len(exact)
    assert all(
        -1e-6 <= there - here < tick + 1e-6 for here, there in zip(exact, moved, strict=True)
    )
    assert list(round_to_tick(iter(exact), 0)) == exact
