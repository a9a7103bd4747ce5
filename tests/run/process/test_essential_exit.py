"""An essential service takes everything down with its own exit code, and only for good."""

from __future__ import annotations

from typing import Any

import pytest

from chapiteau.run.config.spec import Service
from chapiteau.run.process.exits import ProcessExit, essential_exit
from chapiteau.run.process.states import State


def service(**settings: Any) -> Service:
    return Service(command="x", essential=True, **settings)


@pytest.mark.parametrize(
    ("end", "code"),
    [
        (ProcessExit(code=9), 9),
        (ProcessExit(signal=9), 137),
        (ProcessExit(code=127, spawn_error="command not found"), 127),
        (ProcessExit(), 1),
        (ProcessExit(code=0), 1),
    ],
)
def test_a_failure_for_good_ends_with_the_process_own_code(end: ProcessExit, code: int) -> None:
    found = essential_exit("main", service(), [(State.RUNNING, None), (State.FAILED, end)])
    assert found is not None
    assert found.code == code
    assert "main is essential" in found.why


def test_content_for_good_ends_with_zero_when_all_processes_are_content() -> None:
    done = (State.COMPLETED, ProcessExit(code=0))
    assert essential_exit("main", service(), [done, (State.RUNNING, None)]) is None
    found = essential_exit("main", service(), [done, done])
    assert found is not None
    assert found.code == 0


def test_a_one_shot_that_has_done_its_work_takes_nothing_down() -> None:
    done = [(State.COMPLETED, ProcessExit(code=0))]
    assert essential_exit("migrate", service(one_shot=True), done) is None
    assert essential_exit("nightly", service(schedule="@every 1h"), done) is None


def test_there_is_hope_while_it_is_tried_again() -> None:
    for state in set(State) - {State.FAILED, State.COMPLETED}:
        assert essential_exit("main", service(), [(state, ProcessExit(code=1))]) is None
    assert (
        essential_exit("main", Service(command="x"), [(State.FAILED, ProcessExit(code=1))]) is None
    )


def test_a_hook_that_forbids_the_start_is_a_failure() -> None:
    found = essential_exit("main", service(), [], "before_start: ended with 3")
    assert found is not None
    assert found.code == 1
    assert "before_start" in found.why


def test_how_a_shell_would_tell_it() -> None:
    assert ProcessExit().shell_code is None
    assert ProcessExit(code=0).shell_code == 0
    assert ProcessExit(signal=15).shell_code == 143
