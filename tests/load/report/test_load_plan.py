"""The plan of a load, drawn and as data."""

from __future__ import annotations

import pytest
from hypothesis import given

from chapiteau.load.report.load_plan import draw_levels, load_levels, plan_document
from chapiteau.load.scenario.shape import Shape, constant_shape, parse_shape
from tests.load.scenario.test_shape import shapes


@given(shapes)
def test_a_drawing_has_the_area_of_its_shape(shape: Shape) -> None:
    levels = load_levels(shape, 240)
    mean = sum(levels) / 240 * shape.seconds
    assert mean == pytest.approx(shape.total, rel=0.05, abs=0.05 * shape.peak * shape.seconds)
    for line in draw_levels(load_levels(shape), shape.seconds, "/s"):
        assert len(line) <= 90


def test_a_spike_stands_out() -> None:
    shape = parse_shape("10/s 20s, 100/s 10s, 10/s 30s", rates=True)
    lines = draw_levels(load_levels(shape), 60.0, "/s")
    assert lines[0].startswith("100/s ┤")
    assert lines[0].count("█") == 10
    assert lines[0].index("█") - lines[0].index("┤") == 21
    assert lines[5].startswith("  0/s ┤")
    assert len(lines[5].split("┤")[1]) == 60
    assert lines[-1].split() == ["0s", "1m"]


def test_no_load_is_not_drawn() -> None:
    assert draw_levels([0.0] * 60, 1.0, "/s") == []


def test_a_log_is_drawn_by_its_own_moments() -> None:
    shape, moments = constant_shape(0.4, 10.0), (0.0, 0.1, 9.9, 9.95)
    assert load_levels(shape, 10, moments=moments) == [2.0, *[0.0] * 8, 2.0]
    plan = plan_document("http://h", shape, ["GET /"], is_open=True, moments=moments)
    assert (plan["model"], plan["total"], plan["moments"]) == ("open", 4.0, [*moments])
    assert plan["stages"] == [{"first": 0.4, "last": 0.4, "seconds": 10.0, "period": 0.0}]
