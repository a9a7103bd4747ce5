"""Handing a keeper's state to the next one, in a memory file."""

import errno
import json
import os
from typing import Any, Final

from .syscalls import close_all, wait_or_kill

__all__ = ["exec_keeper", "load_state", "try_state"]

TRIAL_TIMEOUT: Final = 10.0  # seconds that another keeper has to read our state
MAX_ERROR: Final = 400  # characters of its error that are shown


def _in_memory(state: dict[str, Any]) -> int:
    memory = os.memfd_create("keeper", 0)
    os.write(memory, json.dumps(state).encode())
    os.lseek(memory, 0, os.SEEK_SET)
    return memory


def try_state(state: dict[str, Any], python: str, folder: str) -> None:
    """Let the keeper in `folder` read this state in a process of its own, without descriptors.

    Raises OSError, with what it said, when it can't: to become it would end us.
    """
    memory = _in_memory({**state, "fds": {}, "link": -1, "owner": -1})
    reading, writing = os.pipe2(os.O_CLOEXEC)
    try:
        argv = [python, "-I", "-S", folder, "try", "0"]
        moves = [(os.POSIX_SPAWN_DUP2, memory, 0), (os.POSIX_SPAWN_DUP2, writing, 2)]
        pid = os.posix_spawn(python, argv, os.environ, file_actions=moves)
    except OSError:
        os.close(reading)
        raise
    finally:
        close_all((memory, writing))
    status = wait_or_kill(pid, TRIAL_TIMEOUT)
    with open(reading, "rb") as said:
        text = said.read().decode(errors="replace").strip().rpartition("\n")[2] if status else ""
    if status:
        why = text[-MAX_ERROR:] or f"status {status}"
        raise OSError(errno.EPROTO, f"the new version can't go on from here: {why}")


def exec_keeper(state: dict[str, Any], python: str, folder: str) -> None:
    """Exec the keeper in `folder` on this state; returns only by raising OSError."""
    memory = _in_memory(state)
    fds = (*state["fds"].values(), state["link"], state["owner"])
    carried = [fd for fd in (*fds, memory) if fd >= 0]
    for fd in carried:
        os.set_inheritable(fd, True)
    try:
        os.execv(python, [python, "-I", "-S", folder, "resume", str(memory)])
    except OSError:
        os.close(memory)
        for fd in carried[:-1]:
            os.set_inheritable(fd, False)
        raise


def load_state(memory: int) -> dict[str, Any]:
    """The state; its descriptors are ours alone from now on."""
    with open(memory, "rb") as stream:
        state: dict[str, Any] = json.loads(stream.read())
    for fd in (*state["fds"].values(), state["link"], state["owner"]):
        if fd >= 0:
            os.set_inheritable(fd, False)
    return state
