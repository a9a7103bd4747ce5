"""The life of one process of a service, as a table.

Everything that changes a process's state stands here. A process number ("web 2") has a state even
while no process runs under it. The engine feeds events and does the effects; it never sets a state.
Timers carry the number of the life they belong to, so an old timer can't ring into a new life.
docs/reference/process-states.md is made from this table.
"""

from collections.abc import Sequence
from enum import Enum
from typing import Final

from chapiteau.run.errors import ImpossibleEventError

__all__ = ["TABLE", "Effect", "State", "Trigger", "service_state", "step"]


class State(Enum):
    """What a process number is doing."""

    DOWN = "stopped"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    CYCLING = "restarting"
    BACKOFF = "backoff"
    FAILED = "failed"
    COMPLETED = "completed"


class Trigger(Enum):
    """What can happen to it. People can ask for start, stop and cycle in any state."""

    START_ASKED = "start asked"
    STOP_ASKED = "stop asked"
    CYCLE_ASKED = "restart asked"
    READY = "became ready"
    START_TIMEOUT = "not ready in time"
    UNHEALTHY = "found unhealthy"
    GRACE_OVER = "did not end in time"
    BACKOFF_OVER = "waited long enough"
    REPLACED = "another process, already ready, has taken the number"
    # its end, or a spawn that failed, as judged by run/process/restart_policy.py:
    DIED_RETRY = "ended, try again"
    DIED_FOR_GOOD = "ended, give up"
    DIED_DONE = "ended with success, nothing more to do"


class Effect(Enum):
    """What the engine must do now, in this order."""

    SPAWN = "start a process"
    ASK_TO_END = "send the stop signal and start the grace time"
    KILL = "kill everything of it"
    WAIT_BACKOFF = "set the back-off timer"
    FORGET_TIMERS = "cancel its timers"


S, V, F = State, Trigger, Effect
Move = tuple[State, tuple[Effect, ...]]

_NEW: Final[tuple[Effect, ...]] = (F.FORGET_TIMERS, F.SPAWN)
_END: Final[tuple[Effect, ...]] = (F.FORGET_TIMERS, F.ASK_TO_END)
_CALM: Final[tuple[Effect, ...]] = (F.FORGET_TIMERS,)
_RETRY: Final[Move] = (S.BACKOFF, (F.FORGET_TIMERS, F.WAIT_BACKOFF))

TABLE: Final[dict[State, dict[Trigger, Move]]] = {
    S.DOWN: {
        V.START_ASKED: (S.STARTING, _NEW),
        V.STOP_ASKED: (S.DOWN, ()),
        V.CYCLE_ASKED: (S.STARTING, _NEW),
    },
    S.STARTING: {
        V.START_ASKED: (S.STARTING, ()),
        V.STOP_ASKED: (S.STOPPING, _END),
        V.CYCLE_ASKED: (S.CYCLING, _END),
        V.REPLACED: (S.RUNNING, _CALM),
        V.READY: (S.RUNNING, ()),
        V.START_TIMEOUT: (S.CYCLING, _END),
        V.UNHEALTHY: (S.CYCLING, _END),
        V.DIED_RETRY: _RETRY,
        V.DIED_FOR_GOOD: (S.FAILED, _CALM),
        V.DIED_DONE: (S.COMPLETED, _CALM),
    },
    S.RUNNING: {
        V.START_ASKED: (S.RUNNING, ()),
        V.STOP_ASKED: (S.STOPPING, _END),
        V.CYCLE_ASKED: (S.CYCLING, _END),
        V.READY: (S.RUNNING, ()),
        V.REPLACED: (S.RUNNING, _CALM),
        V.UNHEALTHY: (S.CYCLING, _END),
        V.DIED_RETRY: _RETRY,
        V.DIED_FOR_GOOD: (S.FAILED, _CALM),
        V.DIED_DONE: (S.COMPLETED, _CALM),
    },
    S.STOPPING: {
        V.START_ASKED: (S.CYCLING, ()),
        V.STOP_ASKED: (S.STOPPING, ()),
        V.CYCLE_ASKED: (S.CYCLING, ()),
        V.READY: (S.STOPPING, ()),
        V.GRACE_OVER: (S.STOPPING, (F.KILL,)),
        V.DIED_RETRY: (S.DOWN, _CALM),
        V.DIED_FOR_GOOD: (S.DOWN, _CALM),
        V.DIED_DONE: (S.DOWN, _CALM),
    },
    S.CYCLING: {
        V.START_ASKED: (S.CYCLING, ()),
        V.STOP_ASKED: (S.STOPPING, ()),
        V.CYCLE_ASKED: (S.CYCLING, ()),
        V.READY: (S.CYCLING, ()),
        V.GRACE_OVER: (S.CYCLING, (F.KILL,)),
        V.DIED_RETRY: _RETRY,
        V.DIED_FOR_GOOD: (S.FAILED, _CALM),
        V.DIED_DONE: (S.STARTING, _NEW),
    },
    S.BACKOFF: {
        V.START_ASKED: (S.STARTING, _NEW),
        V.STOP_ASKED: (S.DOWN, _CALM),
        V.CYCLE_ASKED: (S.STARTING, _NEW),
        V.BACKOFF_OVER: (S.STARTING, _NEW),
        V.REPLACED: (S.RUNNING, _CALM),
    },
    S.FAILED: {
        V.START_ASKED: (S.STARTING, _NEW),
        V.STOP_ASKED: (S.DOWN, _CALM),
        V.CYCLE_ASKED: (S.STARTING, _NEW),
        V.BACKOFF_OVER: (S.STARTING, _NEW),
        V.REPLACED: (S.RUNNING, _CALM),
    },
    S.COMPLETED: {
        V.START_ASKED: (S.STARTING, _NEW),
        V.STOP_ASKED: (S.DOWN, _CALM),
        V.CYCLE_ASKED: (S.STARTING, _NEW),
    },
}


def step(state: State, event: Trigger) -> Move:
    """The next state and what the engine must now do. Raises ImpossibleEventError."""
    try:
        return TABLE[state][event]
    except KeyError:
        raise ImpossibleEventError(f"{event.value!r} while {state.value!r}") from None


# The state of a whole service, made from its processes and what is wanted.

_WORST_FIRST: Final = (
    State.FAILED,
    State.BACKOFF,
    State.CYCLING,
    State.STARTING,
)


def service_state(
    *, on: bool, waiting: str, reloading: bool, states: Sequence[State], refused: bool = False
) -> str:
    """One word: stopped waiting starting running reloading stopping backoff failed completed.

    The worst process names the service while it should be up; a service that should be down is
    stopping until the last process has gone. One that a hook has refused to start has failed.
    """
    if waiting and on:
        return "waiting"
    if on and not reloading and states.count(State.RUNNING) == len(states) > 0:
        return "running"  # asked for five hundred services at once: the usual answer first
    if not on:
        gone = all(s in (State.DOWN, State.FAILED, State.COMPLETED) for s in states)
        if states and all(s is State.COMPLETED for s in states):
            return "completed"
        return ("failed" if refused else "stopped") if gone else "stopping"
    if states and all(s is State.COMPLETED for s in states):
        return "completed"
    for state in _WORST_FIRST:
        if state in states:
            return "starting" if state is State.CYCLING and not reloading else state.value
    if reloading:
        return "reloading"
    running = any(s is State.RUNNING for s in states)
    return "running" if running or not states else "stopped"
