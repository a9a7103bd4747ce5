"""Settings at run time: on top of the file's, under the same rules, and told as drift."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chapiteau.run.config.load import read_spec
from chapiteau.run.config.overrides import (
    drift,
    parse_setting,
    updated_overrides,
    value_at,
    with_overrides,
)
from chapiteau.run.config.plan import make_plan
from chapiteau.run.config.spec import Spec


def spec(**service: Any) -> Spec:
    found, problems = read_spec(
        {
            "log": {"keep": 9},
            "service": {"web": {"command": "x", **service}, "db": {"command": "y"}},
        },
        name="shop",
    )
    assert found is not None, problems
    return found


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("stop_timeout", "30s", "30s"),
        ("processes", "4", 4),
        ("stop_signal", "9", "9"),
        ("umask", "027", "027"),
        ("needs", '["db"]', ["db"]),
        ("command", "echo 'a b'", "echo 'a b'"),
        ("essential", "true", True),
        ("env.DEBUG", "1", "1"),
        ("restart.attempts", "20", 20),
        ("labels.x", "", ""),
    ],
)
def test_a_word_means_what_the_setting_can_be(key: str, text: str, value: object) -> None:
    assert parse_setting(key, text) == value


def test_what_is_set_runs_and_the_rest_stays() -> None:
    base = spec(log={"keep": 5, "mode": "line"}, env={"A": "1", "TOKEN": {"file": "t"}})
    own = {"web": {"stop_timeout": "3s", "restart.attempts": 20, "env.A": "2"}}
    found, problems = with_overrides(base, own)
    assert found is not None, problems
    web = found.service["web"]
    assert (web.stop_timeout, web.restart.attempts, web.env["A"]) == (3.0, 20, "2")
    back, _ = with_overrides(base, {})
    assert back == base
    assert found.service["db"] == base.service["db"]
    assert web.log == base.service["web"].log, "5 is a default, and yet the service's own word"
    assert not make_plan(found, base, own).of("project")
    text = make_plan(found, base, own).text()
    assert "stop_timeout 3.0 → 10.0 (was set at run time)" in text
    assert "1 →" not in text, "values of the environment are not shown"
    assert list(drift(base.service["web"], web, own["web"])) == [
        "stop_timeout = 3.0 (file: 10.0)",
        "restart.attempts = 20 (file: 10)",
        "env.A = … (set at run time)",
    ]


@pytest.mark.parametrize(
    ("own", "says"),
    [
        ({"stop_timout": "3s"}, "stop_timout"),
        ({"stop_timeout": "soon"}, "soon"),
        ({"needs": ["nobody"]}, "nobody"),
        ({"command.x": 1}, "command is no table"),
        ({"one_shot": True, "processes": 3}, "one-shot"),
    ],
)
def test_what_can_not_be_is_refused_with_its_place(own: dict[str, Any], says: str) -> None:
    found, problems = with_overrides(spec(), {"web": own})
    assert found is None
    assert any(says in problem.what and "web" in problem.what for problem in problems)


def test_giving_back_takes_the_named_ones_or_all() -> None:
    now = {"web": {"restart.attempts": 1, "restart.delay": "1s", "nice": 5}, "db": {"nice": 1}}
    assert updated_overrides(now, "web", {}, ["restart"]) == {"web": {"nice": 5}, "db": {"nice": 1}}
    assert updated_overrides(now, "web", {}, ["*"]) == {"db": {"nice": 1}}
    assert updated_overrides(now, "web", {"restart": {}}) == {
        "db": {"nice": 1},
        "web": {"nice": 5, "restart": {}},
    }


def test_a_value_is_found_by_its_dotted_name() -> None:
    web = spec(env={"A": "1"}).service["web"]
    assert value_at(web, "restart.attempts") == 10
    assert value_at(web, "env.A") == "1"
    assert value_at(web, "watch.debounce") is None
    with pytest.raises(KeyError):
        value_at(web, "restart.tries")


@given(
    st.dictionaries(
        st.sampled_from(["nice", "stop_timeout", "restart.delay", "env.A", "batch", "labels.x"]),
        st.integers(1, 9) | st.text("ab1", min_size=1, max_size=3),
        max_size=4,
    )
)
def test_all_or_nothing_and_given_back_is_as_before(own: dict[str, Any]) -> None:
    base = spec()
    found, problems = with_overrides(base, {"web": own})
    assert (found is None) == bool(problems)
    back, _ = with_overrides(base, updated_overrides({"web": own}, "web", {}, ["*"]))
    assert back == base
