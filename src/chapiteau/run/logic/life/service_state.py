"""The state of a whole service, made from its processes and what is wanted."""

from collections.abc import Sequence
from typing import Final

from chapiteau.run.logic.states import State

__all__ = ["summary"]

_WORST_FIRST: Final = (
    State.FAILED,
    State.BACKOFF,
    State.CYCLING,
    State.STARTING,
)


def summary(
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
