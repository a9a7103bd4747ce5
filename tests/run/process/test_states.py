"""The life of a process number, as a table and as a machine."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from chapiteau.run.errors import ImpossibleEventError
from chapiteau.run.process.states import TABLE, Effect, State, Trigger, step

ASKED = [Trigger.START_ASKED, Trigger.STOP_ASKED, Trigger.CYCLE_ASKED]
DIED = [Trigger.DIED_RETRY, Trigger.DIED_FOR_GOOD, Trigger.DIED_DONE]
ALIVE = {State.STARTING, State.RUNNING, State.STOPPING, State.CYCLING}


def test_every_state_has_a_row() -> None:
    assert set(State) == set(TABLE)


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("event", ASKED)
def test_people_can_ask_anything_at_any_time(state: State, event: Trigger) -> None:
    assert step(state, event)[0] in State


@pytest.mark.parametrize("state", sorted(ALIVE, key=str))
@pytest.mark.parametrize("event", DIED)
def test_a_process_can_die_in_every_state_that_has_one(state: State, event: Trigger) -> None:
    after, _ = step(state, event)
    assert after not in {State.RUNNING, State.STOPPING}


def test_an_impossible_event_names_both() -> None:
    with pytest.raises(ImpossibleEventError, match="'became ready' while 'stopped'"):
        step(State.DOWN, Trigger.READY)


def test_every_state_is_reached_from_down() -> None:
    reached, waiting = {State.DOWN}, [State.DOWN]
    while waiting:
        for after, _ in TABLE[waiting.pop()].values():
            if after not in reached:
                reached.add(after)
                waiting.append(after)
    assert set(State) == reached


class Number(RuleBasedStateMachine):
    """Whatever order events come in: one process at most, and timers never outlive their reason."""

    def __init__(self) -> None:
        super().__init__()
        self.state = State.DOWN
        self.alive = 0
        self.grace = self.backoff = False
        self.wanted = False

    def feed(self, event: Trigger) -> None:
        self.state, effects = step(self.state, event)
        for effect in effects:
            if effect is Effect.SPAWN:
                assert self.alive == 0, "a second process under the same number"
                self.alive = 1
            elif effect is Effect.FORGET_TIMERS:
                self.grace = self.backoff = False
            elif effect is Effect.ASK_TO_END:
                assert self.alive == 1
                self.grace = True
            elif effect is Effect.WAIT_BACKOFF:
                self.backoff = True
            elif effect is Effect.KILL:
                assert self.alive == 1

    @rule(event=st.sampled_from(ASKED))
    def person(self, event: Trigger) -> None:
        self.wanted = event is not Trigger.STOP_ASKED
        self.feed(event)

    @precondition(lambda self: self.alive and self.state in (State.STARTING, State.RUNNING))
    @rule(event=st.sampled_from([Trigger.READY, Trigger.UNHEALTHY]))
    def probed(self, event: Trigger) -> None:
        self.feed(event)

    @precondition(lambda self: self.alive and self.state is State.STARTING)
    @rule()
    def too_slow(self) -> None:
        self.feed(Trigger.START_TIMEOUT)

    @precondition(lambda self: self.grace)
    @rule()
    def grace_ends(self) -> None:
        self.grace = False
        self.feed(Trigger.GRACE_OVER)

    @precondition(lambda self: self.backoff)
    @rule()
    def waited(self) -> None:
        self.backoff = False
        self.feed(Trigger.BACKOFF_OVER)

    @precondition(lambda self: self.alive)
    @rule(event=st.sampled_from(DIED))
    def dies(self, event: Trigger) -> None:
        self.alive = 0
        self.feed(event)

    @invariant()
    def a_process_is_there_exactly_when_the_state_says_so(self) -> None:
        assert bool(self.alive) == (self.state in ALIVE)

    @invariant()
    def backing_off_always_has_a_timer(self) -> None:
        assert self.backoff == (self.state is State.BACKOFF)

    @invariant()
    def ending_always_has_a_grace_time_or_was_killed(self) -> None:
        if self.grace:
            assert self.state in (State.STOPPING, State.CYCLING)

    @invariant()
    def what_was_stopped_does_not_come_back(self) -> None:
        if not self.wanted:
            assert self.state not in (State.STARTING, State.RUNNING, State.CYCLING, State.BACKOFF)


TestNumber = Number.TestCase
TestNumber.settings = settings(max_examples=200, stateful_step_count=50)
