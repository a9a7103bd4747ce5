"""Load that comes on top while a test runs: what it does to the plan, and when it may not."""

from __future__ import annotations

import random
from functools import partial
from itertools import pairwise

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from chapiteau.load.execution.control import (
    NO_ROOM,
    AddedLoad,
    Headroom,
    added_load_marks,
    check_added_load,
    headroom,
)
from chapiteau.load.report.result import Mark
from chapiteau.load.scenario.arrivals import ArrivalSchedule, even_arrivals, poisson_arrivals
from chapiteau.load.scenario.shape import Shape, Stage
from chapiteau.load.settings import LoadTest
from tests.load.scenario.test_shape import shapes

OPEN = Headroom(is_open=True, level=100, peak=100, most=150)
CLOSED = Headroom(is_open=False, level=10, peak=20, most=70)


@given(shapes, st.floats(0.01, 0.99), st.floats(1, 100), st.floats(0, 1))
def test_a_raised_shape_is_the_old_one_before_and_higher_after(
    shape: Shape, share: float, by: float, look: float
) -> None:
    at, moment = share * shape.seconds, look * shape.seconds * 0.999
    assume(abs(at - moment) > 1e-6)
    raised = shape.raised(at, by)
    assert raised.seconds == pytest.approx(shape.seconds)
    expected = shape.level(moment) + (by if moment > at else 0.0)
    assert raised.level(moment) == pytest.approx(expected, rel=1e-6, abs=1e-6)
    assert raised.total == pytest.approx(shape.total + by * (shape.seconds - at), rel=1e-6)
    assert raised.peak_after(at) == pytest.approx(shape.peak_after(at) + by)


def test_the_highest_level_that_is_still_to_come_counts() -> None:
    spike = Shape((Stage(10, 10, 5), Stage(100, 100, 5), Stage(10, 30, 10)))
    assert [spike.peak_after(at) for at in (0, 7, 12, 20)] == [100, 100, 30, 0]


levels = st.floats(5, 30)
busy = st.builds(Stage, levels, levels, st.floats(2, 5)) | st.builds(
    Stage, st.just(5.0), levels, st.floats(2, 5), st.floats(0.5, 9)
)


def changed(course: ArrivalSchedule, at: float, other: Shape) -> list[float]:
    """As a load process does it: the one that waits is retimed, the rest follows."""
    moments, came = iter(course), []
    due = next(moments, None)
    while due is not None and due <= at:
        came.append(due)
        due = next(moments, None)
    due = course.change(other) if due is not None else None
    while due is not None:
        came.append(due)
        due = next(moments, None)
    return came


@settings(max_examples=15)
@given(
    st.lists(busy, min_size=1, max_size=3).map(lambda found: Shape(tuple(found))),
    st.floats(0.05, 0.7),
    st.floats(5, 50),
    st.integers(1, 3),
    st.sampled_from([0.0, 0.01]),
)
def test_arrivals_after_a_change_are_as_if_it_had_been_planned(
    shape: Shape, share: float, by: float, parts: int, tick: float
) -> None:
    at = share * shape.seconds
    other = shape.raised(at, by)
    for part in range(parts):
        for share_of_it, make in (
            (1.0, partial(even_arrivals, part=part, parts=parts, tick=tick)),
            (1 / parts, partial(_poisson, seed=part, tick=tick)),
        ):
            before, after = shape.scaled(share_of_it), other.scaled(share_of_it)
            planned = list(make(after))
            # One has to wait for its moment still: else the load was over.
            assume(len(list(make(before))) > sum(moment <= at for moment in planned))
            found = changed(make(before), at, after)
            assert found == pytest.approx(planned, rel=1e-5, abs=max(2e-3, tick))
            assert all(a <= b + 1e-6 for a, b in pairwise(found))


def _poisson(shape: Shape, seed: int, tick: float) -> ArrivalSchedule:
    return poisson_arrivals(shape, random.Random(seed), tick=tick)


def test_each_kind_of_load_takes_its_own_up_to_the_ceiling() -> None:
    assert check_added_load(OPEN, rate=50) is None
    assert check_added_load(CLOSED, users=50) is None
    told = [
        check_added_load(OPEN, rate=51),
        check_added_load(CLOSED, users=51),
        check_added_load(OPEN, users=5),
        check_added_load(CLOSED, rate=5),
        check_added_load(OPEN),
        check_added_load(OPEN, rate=-1),
        check_added_load(OPEN, rate=float("nan")),
        check_added_load(OPEN, rate=float("inf")),
        check_added_load(OPEN, rate=1, users=1),
        check_added_load(Headroom(is_open=True, level=0, peak=0, most=9), rate=1),
        check_added_load(NO_ROOM, rate=1),
    ]
    assert [one.what for one in told if one is not None][:2] == [
        "151/s would be above the 150/s that it may reach",
        "71 users would be above the 70 users that it may reach",
    ]
    assert all(one is not None and one.hint for one in told)


def test_the_room_is_what_the_test_was_given() -> None:
    test = LoadTest(target="http://localhost/", ceiling=200.0, max_rate=150.0, most_users=9)
    ramp = Shape((Stage(0, 100, 10), Stage(50, 50, 10)))
    room = headroom(test, ramp, 5.0, is_open=True, replay=False)
    assert room == Headroom(is_open=True, level=50, peak=100, most=150)
    assert headroom(test, ramp, 12.0, is_open=False, replay=False).most == 9
    replayed = headroom(test, ramp, 5.0, is_open=True, replay=True)
    assert "log" in str(check_added_load(replayed, rate=1))


def test_what_was_added_is_a_marked_moment() -> None:
    done = AddedLoad(asked=1.0, t=12.3, who="ana", users=50, level=70)
    not_done = AddedLoad(asked=2.0, t=13.0, who="bob", rate=20, refused="too much")
    assert added_load_marks([done, not_done]) == [
        Mark(12.3, "ana", "+50 users"),
        Mark(13.0, "bob", "+20/s refused: too much"),
    ]
