"""What Prometheus is asked, and how its answers are read."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from chapiteau.core.errors import UsageError
from chapiteau.core.fields import read
from chapiteau.core.problems import Problem
from chapiteau.load.report.result import PrometheusSeries
from chapiteau.load.settings import LoadTest
from chapiteau.load.telemetry.prometheus_query import (
    parse_prometheus_url,
    parse_range_answer,
    range_query_url,
    scarce_resource,
)


def answer(*series: list[list[Any]], kind: str = "matrix") -> str:
    result = [{"metric": {"instance": str(n)}, "values": one} for n, one in enumerate(series)]
    return json.dumps({"status": "success", "data": {"resultType": kind, "result": result}})


def test_a_query_is_asked_for_the_time_of_the_test() -> None:
    query = 'sum(rate(cpu{job="web"}[10s])) / 2'
    asked = urlsplit(range_query_url("http://prom:9090/x", query, 100.0, 160.0))

    assert asked.path == "/x/api/v1/query_range"
    assert parse_qs(asked.query, strict_parsing=True) == {
        "query": [query], "start": ["100.000"], "end": ["160.000"], "step": ["1"]
    }  # fmt: skip


def test_a_long_test_asks_for_no_more_points_than_a_chart_shows() -> None:
    asked = urlsplit(range_query_url("http://prom:9090", "up", 0.0, 3600.0))

    assert parse_qs(asked.query)["step"] == ["6"]


def test_of_several_series_the_highest_counts_at_each_moment() -> None:
    told = answer([[100, "0.2"], [101, "0.9"]], [[100, "0.5"], [101, "NaN"], [102, "0.1"]])

    assert parse_range_answer(told, 100.0) == [(0.0, 0.5), (1.0, 0.9), (2.0, 0.1)]


@pytest.mark.parametrize(
    ("told", "why"),
    [
        (
            '{"status":"error","errorType":"bad_data","error":"1:5: parse error"}',
            "1:5: parse error",
        ),
        (answer([[1, "1"]], kind="vector"), "a vector came"),
        (answer(), "no data for this time"),
        (answer([[1, "+Inf"]]), "no data for this time"),
        ("[]", "no object"),
        ("<html>", "Expecting value"),
    ],
)
def test_an_answer_that_tells_nothing_says_why(told: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_range_answer(told, 0.0)


def asked(name: str, *values: float) -> PrometheusSeries:
    points = [(float(at), value) for at, value in enumerate(values)]
    return PrometheusSeries(name, "", points)


def test_the_fullest_resource_is_named() -> None:
    both = [asked("cpu", 0.4, 0.5), asked("database connections", 0.95, 0.97)]

    assert scarce_resource(both, 0, 9) == "database connections: 96% in use"
    assert "most is cpu, 45% in use" in scarce_resource(both[:1], 0, 9)
    assert scarce_resource([], 0, 9) == ""


def test_only_the_time_of_the_hold_counts_and_what_can_not_be_a_share_does_not() -> None:
    assert scarce_resource([asked("cpu", 0.99, 0.2)], 1, 9).endswith("cpu, 20% in use")
    assert scarce_resource([asked("bytes", 5e9, 6e9)], 0, 9) == ""


def test_an_address_has_its_credentials_apart() -> None:
    assert parse_prometheus_url("https://ana:s%40@prom.example.org/p/") == (
        "https://prom.example.org/p", "ana", "s@"
    )  # fmt: skip
    with pytest.raises(UsageError, match="neither http"):
        parse_prometheus_url("ftp://prom")


def test_server_and_queries_go_together() -> None:
    ask = {"target": "http://127.0.0.1/", "prometheus": "http://p:9090"}

    assert [p.where for p in problems(ask)] == ["queries"]
    assert [p.where for p in problems({**ask, "queries": {"cpu": "up"}})] == []


def problems(given: dict[str, Any]) -> list[Problem]:
    test, _ = read(LoadTest, given)
    assert test is not None
    return list(test.problems())
