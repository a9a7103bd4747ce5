"""docs/reference/load-result.schema.json is what every kind of result keeps to."""

from __future__ import annotations

import json
import random
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator
from msgspec.structs import replace

from chapiteau.load.capacity.capacity_verdict import capacity_section, capacity_verdict
from chapiteau.load.capacity.scaling import SizeResult, add_scaling, scaling_section
from chapiteau.load.report.comparison import apply_baseline, compare_results
from chapiteau.load.report.html import as_html
from chapiteau.load.report.resources import resources
from chapiteau.load.report.result import LoadResult, Mark, PrometheusSeries
from chapiteau.load.stats.totals import Totals
from tests.load.capacity.test_search import TEST, knee, run
from tests.load.report.test_report import made, refused, served
from tests.support import ROOT

SCHEMA = json.loads((ROOT / "docs/reference/load-result.schema.json").read_text())


def problems(document: LoadResult | dict[str, Any]) -> list[str]:
    plain = json.loads(msgspec.json.encode(document))
    return [f"{list(e.path)}: {e.message}" for e in Draft202012Validator(SCHEMA).iter_errors(plain)]


def searched() -> LoadResult:
    answer, _ = run(knee(400.0))
    return replace(
        made(served(30)),
        kind="capacity",
        capacity=capacity_section(answer, ceiling=9000, searched=180.0),
        verdict=capacity_verdict(answer, TEST),
    )


def scaled() -> LoadResult:
    found = [SizeResult(size=n, capacity=x) for n, x in ((1, 100.0), (2, 190.0), (4, 0.0))]
    return add_scaling([searched()] * 3, scaling_section(found, random.Random(1)))


def against_another() -> LoadResult:
    document = made(served(30), "p99 < 1s")
    return apply_baseline(document, compare_results(document, document, 0.05, random.Random(1)))


def with_resources() -> LoadResult:
    sample = {"time": 1.0, "ids": ["web/1"], "pid": [7], "cpu": [3.0], "rss": [1], "sockets": {}}
    asked = [PrometheusSeries("cpu", "up", [(0.0, 0.5)])]
    return replace(made(served(3)), resources=resources([sample], 0.0, 3.0), asked=asked)


@pytest.mark.parametrize(
    "document",
    [
        made(Totals()), made(refused(), "p99 < 1s, errors < 1%"), made(served(30), "p99 < 1s"),
        replace(made(served(30)), warmup=4, id=3, marks=[Mark(2.0, "ana", "cache emptied")]),
        searched(), scaled(), against_another(),
        with_resources(),
    ],
    ids=["nothing", "refused", "run", "warm", "capacity", "vary", "baseline", "resources"],
)  # fmt: skip
def test_a_result_keeps_to_the_schema_and_makes_a_page(document: LoadResult) -> None:
    assert problems(document) == []
    assert len(as_html(document)) < 400_000


def test_the_schema_is_one_and_refuses_what_is_no_result() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    broken = msgspec.to_builtins(made(served(3)))
    broken["totals"] = {**broken["totals"], "errors": 1.5}
    del broken["rows"]

    assert len(problems(broken)) == 2
    assert len(problems(replace(made(served(3)), format="chapiteau-load/2"))) == 1
