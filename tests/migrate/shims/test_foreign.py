"""What can be told of other testers' files without running them."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chapiteau.core.problems import InvalidInputError
from chapiteau.load.scenario.shape import parse_shape
from chapiteau.load.workers.suite_loader import foreign_kind
from chapiteau.migrate.locust.shape import shape_of_ticks
from chapiteau.migrate.molotov_settings import molotov_settings
from chapiteau.migrate.shims.arguments import read_arguments


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("import molotov", "molotov"),
        ("def f():\n    from molotov import scenario", "molotov"),
        ("from locust.contrib.fasthttp import FastHttpUser", "locust"),
        ("from loads.case import TestCase", "loads"),
        ("import json.loads as x\nfrom json import loads", ""),
        ("from chapiteau.load import scenario\nimport molotov", ""),
        ("from .locust import x", ""),
        ("this is no Python", ""),
        ("\0", ""),
    ],
)
def test_a_file_is_told_by_what_it_imports(text: str, kind: str) -> None:
    assert foreign_kind(text) == kind


def test_ticks_become_stages_with_their_spawn_rates() -> None:
    def tick(second: float) -> Any:
        if second < 10:
            return 20, 4
        return (5, 100) if second < 12 else None

    assert shape_of_ticks(tick) == "0->20 5s, 20 5s, 20->5 1s, 5 1s"
    assert shape_of_ticks(lambda _s: None) == ""
    assert parse_shape(shape_of_ticks(tick), rates=False).seconds == 12


@given(st.lists(st.tuples(st.integers(0, 50), st.floats(0.5, 30)), min_size=1, max_size=40))
def test_a_shape_made_of_ticks_goes_where_the_ticks_wanted(ticks: list[tuple[int, float]]) -> None:
    def tick(second: float) -> Any:
        return ticks[int(second)] if second < len(ticks) else None

    shape = parse_shape(shape_of_ticks(tick), rates=False)
    level = 0.0
    for second, (users, rate) in enumerate(ticks, 1):
        level = min(users, level + rate) if users > level else max(users, level - rate)
        # Levels are written with six digits.
        assert shape.level(second - 1e-9) == pytest.approx(level, abs=0.01 + level * 1e-4)


@pytest.mark.parametrize("answer", ["many", (1,), (-1, 2), (3, -1), (float("nan"), 1), 7])
def test_what_is_no_tick_is_refused(answer: Any) -> None:
    with pytest.raises(ValueError, match="tick"):
        shape_of_ticks(lambda _s: answer)


def molotov(tests: Any, **root: Any) -> str:
    return json.dumps({"molotov": {"tests": tests, **root}})


def test_a_molotov_test_becomes_settings() -> None:
    text = molotov(
        {
            "big": {
                "workers": 10, "processes": 2, "duration": 60, "ramp_up": 20, "env": {"B": 2},
                "scenario": "other.py", "use_extension": ["a.py", "b.py"], "statsd": True,
                "wrkers": 1,
            },
            "once": {"workers": 3, "single_run": True, "single_mode": "read"},
            "plain": {"workers": 3, "duration": 5, "max_runs": 4, "delay": 0.5},
        },
        env={"A": "1", "B": "1"}, requirements="reqs.txt",
    )  # fmt: skip
    big = molotov_settings(text, "big")
    assert big.settings == {
        "target": "other.py",
        "shape": "0->20 20s, 20 40s",
        "processes": 2,
        "options": {"use_extension": "a.py b.py"},
    }
    assert big.environment == {"A": "1", "B": "2"}
    assert [p.what for p in big.problems] == [
        "'statsd' is left out",
        "'wrkers' is not a setting",
        "its requirements are not installed: reqs.txt",
    ]
    assert molotov_settings(text, "once").settings == {
        "target": "loadtest.py",
        "users": 3,
        "iterations": 3,
        "scenarios": ["read"],
    }
    assert molotov_settings(text, "plain").settings["iterations"] == 12


@pytest.mark.parametrize(
    ("text", "test", "message"),
    [
        ("{", "", "is not JSON"),
        ("{}", "", "this is no molotov.json"),
        (molotov({"a": {}, "b": {}}), "", "molotov.json:a"),
        (molotov({"small": {}}), "smal", "did you mean 'small'"),
    ],
)
def test_a_wrong_molotov_file_or_test_is_told(text: str, test: str, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        molotov_settings(text, test)


class Key:
    """As requests.auth.AuthBase: changes the request."""

    def __call__(self, request: Any) -> Any:
        request.headers["X-Signed"] = request.method + request.url
        return request


class Total:
    total = 3


@pytest.mark.parametrize(
    ("given_", "options"),
    [
        ({}, {}),
        ({"headers": {"A": "1", "B": None}}, {"headers": {"A": "1"}}),
        ({"params": {"a": 1, "b": None, "c": [1, 2]}}, {"params": {"a": "1", "c": [1, 2]}}),
        ({"params": "a=1&b=2"}, {"params": {"a": "1", "b": "2"}}),
        ({"timeout": (1, 5)}, {"timeout": 5.0}),
        ({"timeout": Total()}, {"timeout": 3.0}),
        ({"allow_redirects": False, "verify": False}, {"allow_redirects": False}),
        ({"cookies": {"a": "1", "b": "2"}}, {"headers": {"Cookie": "a=1; b=2"}}),
        ({"auth": ("a", "b")}, {"headers": {"Authorization": "Basic YTpi"}}),
        ({"auth": Key()}, {"headers": {"X-Signed": "GEThttp://h/"}}),
        ({"data": "text"}, {"data": b"text"}),
        (
            {"data": {"a": ["1", "ü"]}},
            {
                "data": b"a=1&a=%C3%BC",
                "headers": {"Content-Type": "application/x-www-form-urlencoded"},
            },
        ),
        ({"json": []}, {"data": b"[]", "headers": {"Content-Type": "application/json"}}),
    ],
)
def test_arguments_of_requests_are_understood(given_: Any, options: Any) -> None:
    assert read_arguments("get", "http://h/", given_).options == options


def test_files_are_multipart() -> None:
    request = read_arguments(
        "post", "/", {"files": {"f": ("x.txt", b"hi", "text/plain")}, "data": {"a": "1"}}
    )
    assert b'name="a"\r\n\r\n1' in request.body
    assert b'filename="x.txt"\r\nContent-Type: text/plain\r\n\r\nhi' in request.body


def test_a_body_that_can_not_be_sent_is_refused() -> None:
    with pytest.raises(TypeError, match="a body of object"):
        read_arguments("post", "/", {"data": object()})
