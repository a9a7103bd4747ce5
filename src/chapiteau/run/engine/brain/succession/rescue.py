"""The keeper was killed: make another from what the brain holds, and leave.

The brain has every socket and the reading end of every pipe, and knows every process. It writes
the state that a keeper hands itself at an upgrade, starts a keeper on it, and ends; the new keeper
starts a brain as ever. It is not the parent of the processes that run, so it watches them by pidfd
(docs/explanation/keeper-and-brain.md tells what that costs: on kernels before 6.15 an exit code is
"unknown"). No second copy of anything is started.
"""

import contextlib
import fcntl
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chapiteau.run.engine.link import KEEPER_FOLDER

if TYPE_CHECKING:
    from chapiteau.run.engine.brain.supervisor import Supervisor

__all__ = ["rescue"]


def rescue(supervisor: "Supervisor") -> None:
    """Start the successor; True descriptors are handed on by number. Then this process ends."""
    run_dir = supervisor.run_dir
    lock = _open_lock(run_dir / "lock")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os._exit(1)  # somebody has started another supervisor: it is theirs now
    state = {
        "brain_argv": [sys.executable, "-P", "-m", "chapiteau.run.engine.brain", *sys.argv[1:]],
        "run_dir": str(run_dir),
        "fds": _descriptors(supervisor, lock),
        "notes": supervisor.link.notes,
        "base": dict(supervisor.around.inherited),
        "children": _children(supervisor),
        "limit": supervisor.around.limit,
        "brain_pid": 0,
        "brain_starts": supervisor.brain_restarts + 1,
        "owner": -1,
        "asked_at": 0.0,
        "link": -1,
        "outgoing": [],
        "reply": None,
    }
    memory = os.memfd_create("keeper", 0)
    os.write(memory, json.dumps(state).encode())
    os.lseek(memory, 0, os.SEEK_SET)
    for fd in (*state["fds"].values(), memory):  # type: ignore[attr-defined]
        os.set_inheritable(fd, True)
    flag = "no-new-privs" if supervisor.around.keeper_no_new_privs else "-"
    words = [sys.executable, "-I", "-S", str(KEEPER_FOLDER), "start", flag, "resume", str(memory)]
    keeper = os.posix_spawn(words[0], words, os.environ, setsid=True)
    with contextlib.suppress(OSError):
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{keeper}\n".encode(), 0)
    supervisor.ground.say("supervisor.keeper_died", f"another keeper is made, pid {keeper}")
    os._exit(0)


def _open_lock(path: Path) -> int:
    """The lock's file; on a file system that became read-only it can still be locked."""
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError:
        return os.open(path, os.O_RDONLY)


def _descriptors(supervisor: "Supervisor", lock: int) -> dict[str, int]:
    found = {"lock": lock, "null": os.open(os.devnull, os.O_RDONLY)}
    for name, bound in supervisor.bound.items():
        found[f"socket/{name}"] = bound.fileno()
    for key, stream, pipe in supervisor.output.held():
        found[f"pipe/{key}/{stream}"] = pipe
    for key, (instance, _) in supervisor.ground.by_key.items():
        if instance.entry is not None and instance.entry.fd >= 0:  # a terminal is its output too
            way = "out" if instance.on_terminal else "in"
            found[f"pipe/{key}/{way}"] = instance.entry.fd
    found |= dict(supervisor.store.held())
    if supervisor.notify_fd >= 0:
        found["notify"] = supervisor.notify_fd
    return found


def _children(supervisor: "Supervisor") -> dict[str, dict[str, Any]]:
    """Every process as the keeper would know it, marked as not its own child."""
    return {
        key: {
            "pid": instance.pid,
            "start": instance.start,
            "exit": None,
            "foster": True,
            "cgroup": str(instance.cgroup or ""),
            "memo": {
                "service": instance.service,
                "number": instance.number,
                "generation": instance.generation,
                "cgroup": str(instance.cgroup or ""),
                "wall": instance.began_wall,
                "ready": instance.ready,
                "tty": instance.on_terminal,
            },
        }
        for key, (instance, _) in supervisor.ground.by_key.items()
        if instance.end is None
    }
