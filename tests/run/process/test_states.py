"""The life of a process number, as a table and as a machine."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from chapiteau.run.errors import ImpossibleEventError
from chapiteau.run.process.states import TABLE, State, Trigger, step

ASKED = [Trigger.START_ASKED, Trigger.STOP_ASKED, Trigger.CYCLE_ASKED]
DIED = [Trigger.DIED_RETRY, Trigger.DIED_FOR_GOOD, Trigger.DIED_DONE]
ALIVE = {State.STARTING, State.RUNNING, State.STOPPING, State.CYCLING}


def test_every_state_has_a_row() -> None:
    assert set(State) == set(TABLE)


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("event", ASKED)
def test_people_can_ask_anything_at_any_time(state: State, event: Trigger) -> None:
    assert step(state, event) in State


@pytest.mark.parametrize("state", sorted(ALIVE, key=str))
@pytest.mark.parametrize("event", DIED)
def test_a_process_can_die_in_every_state_that_has_one(state: State, event: Trigger) -> None:
    assert step(state, event) not in {State.RUNNING, State.STOPPING}


def test_an_impossible_event_names_both() -> None:
    with pytest.raises(ImpossibleEventError, match="'became ready' while 'stopped'"):
        step(State.DOWN, Trigger.READY)


def test_every_state_is_reached_from_down() -> None:
    reached, waiting = {State.DOWN}, [State.DOWN]
    while waiting:
        for after in TABLE[waiting.pop()].values():
            if after not in reached:
                reached.add(after)
                waiting.append(after)
    assert set(State) == reached


class Number(RuleBasedStateMachine):
    """Whatever order events come in: a process is there exactly when the state says so."""

    def __init__(self) -> None:
        super().__init__()
        self.state = State.DOWN
        self.alive = False
        self.wanted = False

    def feed(self, event: Trigger) -> None:
        self.state = step(self.state, event)
        self.alive = self.alive or self.state is State.STARTING  # then one is started

    @rule(event=st.sampled_from(ASKED))
    def person(self, event: Trigger) -> None:
        self.wanted = event is not Trigger.STOP_ASKED
        self.feed(event)

    @precondition(lambda self: self.state in (State.STARTING, State.RUNNING))
    @rule()
    def found_unhealthy(self) -> None:
        self.feed(Trigger.UNHEALTHY)

    @precondition(lambda self: self.state is State.STARTING)
    @rule(event=st.sampled_from([Trigger.READY, Trigger.START_TIMEOUT]))
    def probed(self, event: Trigger) -> None:
        self.feed(event)

    @precondition(lambda self: self.state in (State.BACKOFF, State.FAILED))
    @rule()
    def waited(self) -> None:
        self.feed(Trigger.BACKOFF_OVER)

    @precondition(lambda self: self.state not in (State.DOWN, State.STOPPING))
    @rule()
    def replaced(self) -> None:
        self.alive = True
        self.feed(Trigger.REPLACED)

    @precondition(lambda self: self.alive)
    @rule(event=st.sampled_from(DIED))
    def dies(self, event: Trigger) -> None:
        self.alive = False
        self.feed(event)

    @invariant()
    def a_process_is_there_exactly_when_the_state_says_so(self) -> None:
        assert self.alive == (self.state in ALIVE)

    @invariant()
    def what_was_stopped_does_not_come_back(self) -> None:
        if not self.wanted:
            assert self.state not in (State.STARTING, State.RUNNING, State.CYCLING, State.BACKOFF)


TestNumber = Number.TestCase
TestNumber.settings = settings(max_examples=200, stateful_step_count=50)
