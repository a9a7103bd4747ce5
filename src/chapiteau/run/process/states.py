"""The life of one process number of a service, as a table.

Everything that changes a replica's state stands here; it has a state even while no process runs
under it. `Replica.live` does what a state calls for and never sets one.
docs/reference/process-states.md is made from this table.
"""

from collections.abc import Sequence
from enum import Enum
from typing import Final

from chapiteau.run.errors import ImpossibleEventError

__all__ = ["TABLE", "State", "Trigger", "service_state", "step"]


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
    """What can happen to it. People can ask for start, stop and restart in any state."""

    START_ASKED = "start asked"
    STOP_ASKED = "stop asked"
    CYCLE_ASKED = "restart asked"
    READY = "became ready"
    START_TIMEOUT = "not ready in time"
    UNHEALTHY = "found unhealthy"
    BACKOFF_OVER = "waited long enough"
    REPLACED = "another process, already ready, has taken the number"
    # its end, or a start that failed, as judged by run/process/exits.py:
    DIED_RETRY = "ended, try again"
    DIED_FOR_GOOD = "ended, give up"
    DIED_DONE = "ended with success, nothing more to do"
    # what the brain before this one has left:
    FOUND_STARTING = "found alive, not ready yet"
    FOUND_READY = "found alive and ready"
    WAS_COMPLETED = "had done its work"
    WAS_BACKOFF = "had waited for its next try"
    WAS_FAILED = "had given up"
    DIED_UNJUDGED = "ended while nobody may restart it"


S, T = State, Trigger

_ENDED: Final = {T.DIED_FOR_GOOD: S.FAILED, T.DIED_DONE: S.COMPLETED, T.DIED_RETRY: S.BACKOFF,
                 T.DIED_UNJUDGED: S.DOWN}  # fmt: skip
_STARTED_AGAIN: Final = {T.START_ASKED: S.STARTING, T.CYCLE_ASKED: S.STARTING}
_RESTS: Final = {**_STARTED_AGAIN, T.STOP_ASKED: S.DOWN,
                 T.FOUND_STARTING: S.STARTING, T.FOUND_READY: S.RUNNING}  # fmt: skip

TABLE: Final[dict[State, dict[Trigger, State]]] = {
    S.DOWN: {
        **_RESTS,
        T.WAS_COMPLETED: S.COMPLETED,
        T.WAS_BACKOFF: S.BACKOFF,
        T.WAS_FAILED: S.FAILED,
    },
    S.STARTING: {
        T.START_ASKED: S.STARTING,
        T.STOP_ASKED: S.STOPPING,
        T.CYCLE_ASKED: S.CYCLING,
        T.READY: S.RUNNING,
        T.REPLACED: S.RUNNING,
        T.START_TIMEOUT: S.CYCLING,
        T.UNHEALTHY: S.CYCLING,
        **_ENDED,
    },
    S.RUNNING: {
        T.START_ASKED: S.RUNNING,
        T.STOP_ASKED: S.STOPPING,
        T.CYCLE_ASKED: S.CYCLING,
        T.REPLACED: S.RUNNING,
        T.UNHEALTHY: S.CYCLING,
        **_ENDED,
    },
    S.STOPPING: {
        T.START_ASKED: S.CYCLING,
        T.STOP_ASKED: S.STOPPING,
        T.CYCLE_ASKED: S.CYCLING,
        **dict.fromkeys(_ENDED, S.DOWN),
    },
    S.CYCLING: {
        T.START_ASKED: S.CYCLING,
        T.STOP_ASKED: S.STOPPING,
        T.CYCLE_ASKED: S.CYCLING,
        T.REPLACED: S.RUNNING,
        **_ENDED,
        T.DIED_DONE: S.STARTING,
    },
    S.BACKOFF: {**_RESTS, T.BACKOFF_OVER: S.STARTING, T.REPLACED: S.RUNNING},
    S.FAILED: {**_RESTS, T.BACKOFF_OVER: S.STARTING, T.REPLACED: S.RUNNING},
    S.COMPLETED: {**_RESTS, T.REPLACED: S.RUNNING},
}


def step(state: State, trigger: Trigger) -> State:
    """The next state. Raises ImpossibleEventError."""
    try:
        return TABLE[state][trigger]
    except KeyError:
        raise ImpossibleEventError(f"{trigger.value!r} while {state.value!r}") from None


_WORST_FIRST: Final = (State.FAILED, State.BACKOFF, State.CYCLING, State.STARTING)


def service_state(
    *, on: bool, waiting: str, reloading: bool, states: Sequence[State], refused: bool = False,
    starting: bool = False,
) -> str:  # fmt: skip
    """One word: stopped waiting starting running reloading stopping backoff failed completed.

    The worst process names the service while it should be up; a service that should be down is
    stopping until its last process has ended. One whose start a hook has refused has failed; while
    a hook before the start runs (`starting`), it is starting.
    """
    if waiting and on:
        return "waiting"
    if on and not reloading and states.count(State.RUNNING) == len(states) > 0:
        return "running"  # asked for five hundred services at once: the usual answer first
    if states and all(s is State.COMPLETED for s in states):
        return "completed"
    if not on:
        gone = all(s in (State.DOWN, State.FAILED, State.COMPLETED) for s in states)
        return ("failed" if refused else "stopped") if gone else "stopping"
    for state in _WORST_FIRST:
        if state in states:
            return "starting" if state is State.CYCLING and not reloading else state.value
    if reloading:
        return "reloading"
    if any(s is State.RUNNING for s in states) or not states:
        return "running"
    return "starting" if starting else "stopped"
