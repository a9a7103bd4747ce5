"""An essential service takes everything down with its own exit code, and only for good."""

from __future__ import annotations

from typing import Any

import pytest

from chapiteau.run.config.spec import Service
from chapiteau.run.process.restart_policy import essential_exit, shell_code
from chapiteau.run.process.states import State


def service(**settings: Any) -> Service:
    return Service(command="x", essential=True, **settings)


@pytest.mark.parametrize(
    ("end", "code"),
    [
        ({"code": 9, "signal": None}, 9),
        ({"code": None, "signal": 9}, 137),
        ({"code": 127, "text": "command not found"}, 127),
        ({"code": None, "signal": None, "unknown": True}, 1),
        ({"code": 0, "signal": None}, 1),
    ],
)
def test_a_failure_for_good_ends_with_the_process_own_code(end: dict[str, Any], code: int) -> None:
    found = essential_exit("main", service(), [(State.RUNNING, {}), (State.FAILED, end)])
    assert found is not None
    assert found.code == code
    assert "main is essential" in found.why


def test_content_for_good_ends_with_zero_when_all_processes_are_content() -> None:
    done = (State.COMPLETED, {"code": 0, "signal": None})
    assert essential_exit("main", service(), [done, (State.RUNNING, {})]) is None
    found = essential_exit("main", service(), [done, done])
    assert found is not None
    assert found.code == 0


def test_a_one_shot_that_has_done_its_work_takes_nothing_down() -> None:
    done = [(State.COMPLETED, {"code": 0, "signal": None})]
    assert essential_exit("migrate", service(one_shot=True), done) is None
    assert essential_exit("nightly", service(schedule="@every 1h"), done) is None


def test_there_is_hope_while_it_is_tried_again() -> None:
    for state in set(State) - {State.FAILED, State.COMPLETED}:
        assert essential_exit("main", service(), [(state, {"code": 1})]) is None
    assert essential_exit("main", Service(command="x"), [(State.FAILED, {"code": 1})]) is None


def test_a_hook_that_forbids_the_start_is_a_failure() -> None:
    found = essential_exit("main", service(), [], "before_start: ended with 3")
    assert found is not None
    assert found.code == 1
    assert "before_start" in found.why


def test_how_a_shell_would_tell_it() -> None:
    assert shell_code({}) is None
    assert shell_code({"code": 0}) == 0
    assert shell_code({"signal": 15, "code": None}) == 143
