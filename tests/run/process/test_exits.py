"""Judging an end."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chapiteau.core.fields import read
from chapiteau.run.config.spec import Service
from chapiteau.run.process.exits import History, ProcessExit, judge
from chapiteau.run.process.states import Trigger


def service(**settings: Any) -> Service:
    made, problems = read(Service, {"command": "x", **settings})
    assert made is not None, problems
    return made


def verdict(
    spec: Service, end: ProcessExit, history: History | None = None, now: float = 0.0
) -> Any:
    return judge(spec, end, history or History(), now, random.Random(1))


@pytest.mark.parametrize(
    ("settings", "end", "event"),
    [
        pytest.param({}, ProcessExit(code=1), Trigger.DIED_RETRY, id="always: failure is retried"),
        pytest.param({}, ProcessExit(code=0), Trigger.DIED_RETRY, id="always: success too"),
        pytest.param(
            {"restart": {"policy": "on-failure"}}, ProcessExit(code=0), Trigger.DIED_DONE,
            id="on-failure: success is the end",
        ),
        pytest.param(
            {"restart": {"policy": "on-failure", "success_codes": [0, 3]}}, ProcessExit(code=3),
            Trigger.DIED_DONE, id="success is what the service says it is",
        ),
        pytest.param(
            {"restart": {"policy": "never"}}, ProcessExit(code=1), Trigger.DIED_FOR_GOOD,
            id="never: a failure stays",
        ),
        pytest.param(
            {"restart": {"stop_codes": [78]}}, ProcessExit(code=78), Trigger.DIED_FOR_GOOD,
            id="a stop code ends it whatever the policy",
        ),
        pytest.param({"one_shot": True}, ProcessExit(code=0), Trigger.DIED_DONE, id="one-shot"),
        pytest.param(
            {"one_shot": True}, ProcessExit(code=2), Trigger.DIED_FOR_GOOD, id="failed one-shot",
        ),
        pytest.param(
            {}, ProcessExit(code=0, detached=True), Trigger.DIED_FOR_GOOD,
            id="a daemon that went away is not started in a loop",
        ),
        pytest.param({}, ProcessExit(signal=15, asked=True), Trigger.DIED_DONE, id="asked to stop"),
        pytest.param(
            {}, ProcessExit(spawn_error="not found"), Trigger.DIED_RETRY, id="failed start"
        ),
    ],
)  # fmt: skip
def test_verdict(settings: dict[str, Any], end: ProcessExit, event: Trigger) -> None:
    assert verdict(service(**settings), end).trigger is event


def test_a_failed_one_shot_does_not_blame_a_policy_that_it_has_not() -> None:
    assert (
        verdict(service(one_shot=True), ProcessExit(code=1)).reason
        == "exit 1; a one-shot is not repeated"
    )


def test_the_first_restart_is_at_once_and_the_next_ones_wait_longer() -> None:
    spec = service(restart={"jitter": 0})
    history, delays = History(), []
    for turn in range(5):
        found = verdict(spec, ProcessExit(code=1, ran_for=0.01), history, now=float(turn))
        history = found.history
        delays.append(found.delay)
    assert delays == [0.0, 0.1, 0.2, 0.4, 0.8]


def test_a_command_that_is_not_there_is_never_tried_at_once() -> None:
    assert verdict(service(), ProcessExit(spawn_error="no such file")).delay > 0


def test_a_healthy_life_clears_the_row() -> None:
    history = History(row=7, times=(1.0,))
    found = verdict(service(), ProcessExit(code=1, ran_for=60.0), history, now=100.0)
    assert found.delay == 0.0
    assert found.history.row == 1


def test_slow_loops_are_caught_by_the_budget() -> None:
    """Dying every 15 s is healthy each time and still more than 5 restarts in 2 minutes."""
    spec = service(restart={"attempts": 5})
    history = History()
    for turn in range(6):
        found = verdict(spec, ProcessExit(code=1, ran_for=15.0), history, now=15.0 * turn)
        history = found.history
    assert found.trigger is Trigger.DIED_FOR_GOOD
    assert found.reason == "exit 1 ×6 within 120 s"  # that it gave up the state says
    assert found.delay == 60.0  # and looks again later


def test_stay_down_means_that() -> None:
    spec = service(restart={"attempts": 1, "after_give_up": "stay-down"})
    history = verdict(spec, ProcessExit(code=1)).history
    assert verdict(spec, ProcessExit(code=1), history).delay is None


@given(
    ends=st.lists(
        st.tuples(st.floats(0, 100), st.integers(0, 3), st.floats(0, 50)), min_size=1, max_size=60
    ),
    attempts=st.integers(1, 8),
    window=st.floats(1, 200),
)
def test_no_window_ever_holds_more_restarts_than_the_budget(
    ends: list[tuple[float, int, float]], attempts: int, window: float
) -> None:
    spec = service(restart={"attempts": attempts, "window": window})
    history, now = History(), 0.0
    restarts: list[float] = []
    for gap, code, ran_for in ends:
        now += gap
        found = verdict(spec, ProcessExit(code=code, ran_for=ran_for), history, now)
        history = found.history
        if found.trigger is Trigger.DIED_RETRY:
            restarts.append(now)
            assert found.delay is not None
            assert 0 <= found.delay <= spec.restart.max_delay
    for start in restarts:
        assert sum(1 for t in restarts if start <= t < start + window) <= attempts


def test_a_healthy_life_is_not_counted_where_only_unhealthy_ones_are() -> None:
    rule = {"count": "unhealthy", "attempts": 2, "healthy_after": "5s"}
    spec, history = service(restart=rule), History()
    for now in range(0, 60, 6):  # ten ends, each after a healthy life
        made = verdict(spec, ProcessExit(code=1, ran_for=6.0), history, float(now))
        assert made.trigger is Trigger.DIED_RETRY
        history = made.history
    events = []
    for now in range(60, 63):
        made = verdict(spec, ProcessExit(code=1, ran_for=0.5), history, float(now))
        history = made.history
        events.append(made.trigger)
    assert events == [Trigger.DIED_RETRY, Trigger.DIED_RETRY, Trigger.DIED_FOR_GOOD]


def test_the_least_wait_holds_for_the_first_restart_and_after_long_lives() -> None:
    spec = service(restart={"min_delay": "5s", "delay": "1s", "factor": 1.0, "jitter": 0})
    history, delays = History(), []
    for ran_for in (0.1, 0.1, 3600.0, 0.1):
        made = verdict(spec, ProcessExit(code=1, ran_for=ran_for), history)
        history = made.history
        delays.append(made.delay)
    assert delays == [5.0] * 4
