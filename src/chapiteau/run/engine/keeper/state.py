"""A keeper's state, handed by one to the next in a file of memory."""

import json
import os
from collections.abc import Iterable
from typing import Any

__all__ = ["hand_on", "taken_over"]


def hand_on(state: dict[str, Any], fds: Iterable[int], python: str, folder: str) -> None:
    """Exec the keeper in `folder` on this state; returns only by raising OSError."""
    memory = os.memfd_create("keeper", 0)
    os.write(memory, json.dumps(state).encode())
    os.lseek(memory, 0, os.SEEK_SET)
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


def taken_over(memory: int) -> dict[str, Any]:
    """The state; its descriptors are ours alone from now on."""
    with open(memory, "rb") as stream:
        state: dict[str, Any] = json.loads(stream.read())
    for fd in (*state["fds"].values(), state["link"], state["owner"]):
        if fd >= 0:
            os.set_inheritable(fd, False)
    return state
