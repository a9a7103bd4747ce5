"""Rates worked out by a scenario file are a shape like any other."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from chapiteau.load.errors import ScenarioError
from chapiteau.load.execution.jobs import find_job
from chapiteau.load.scenario.shape import Stage, parse_shape, shape_of_rates
from chapiteau.load.settings import load_shape

FILE = """
from chapiteau.load import rates, scenario
@rates(4)
def load(at): return 10 * at if at < 3 else 0
@scenario
async def look(session): ...
"""


def test_a_shape_goes_through_the_rate_of_each_second() -> None:
    shape = parse_shape(shape_of_rates(lambda at: 20 + 10 * math.sin(at), 30), rates=True)
    assert shape.seconds == 30
    for second in range(30):
        assert shape.level(second) == pytest.approx(20 + 10 * math.sin(second), rel=1e-4)


def test_straight_pieces_are_one() -> None:
    assert shape_of_rates(lambda _at: 5, 60) == "5/s->5/s 60s"
    assert shape_of_rates(lambda at: min(2 * at, 6), 5) == "0/s->6/s 3s, 6/s->6/s 2s"


@pytest.mark.parametrize("answer", [-1, math.nan, math.inf, None, "fast"])
def test_what_is_no_rate_is_told(answer: Any) -> None:
    with pytest.raises(ScenarioError, match="3"):
        shape_of_rates(lambda at: answer if at == 3 else 1.0, 9)
    with pytest.raises(ScenarioError, match="from one second"):
        shape_of_rates(lambda _at: 1.0, 0)


def test_a_files_rates_hold_unless_others_are_given(tmp_path: Path) -> None:
    path = tmp_path / "visits.py"
    path.write_text(FILE)

    def shape(**given: Any) -> tuple[Stage, ...]:
        job = find_job(str(path), {"base": "http://127.0.0.1:1", **given}, None, ())
        return load_shape(job.test)[0].stages

    assert shape() == (Stage(0, 20, 2), Stage(20, 0, 1), Stage(0, 0, 1))
    assert shape(rate=7.0, duration=5.0) == (Stage(7, 7, 5),)
    path.write_text(FILE.replace("load(at)", "one(at)") + FILE.replace("look", "other"))
    with pytest.raises(ScenarioError, match="two functions"):
        shape()
