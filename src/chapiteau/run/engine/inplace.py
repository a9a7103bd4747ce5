"""Become the keeper in this very process: for systemd, containers and other supervisors above.

Before that, this process forks the first brain: it has read the configuration already, and need
not start another interpreter to read it again. Later brains are started by the keeper.
"""

import fcntl
import gc
import os
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from chapiteau.plumbing.finding import find_config
from chapiteau.run.engine.config import load_config
from chapiteau.run.engine.keeper.calls import channel, protect
from chapiteau.run.engine.launch import LOCK_FD, keeper_words, prepare_run_dir
from chapiteau.run.logic.spec import Spec

__all__ = ["daemon"]

_HIGH: Final = 200  # the keeper's own descriptors live above (keeper/calls.py)
_SUBREAPER, _NO_NEW_PRIVS = 36, 38  # prctl(2)


def daemon(names: Sequence[str], config: str | None) -> int:
    """Read the configuration and become its keeper, with our pid, output and NOTIFY_SOCKET.

    Returns only in the process that becomes the brain, with its exit code. Raises what
    `load_config` does, and AlreadyRunningError.
    """
    gc.disable()  # until the brain runs: nothing of what is imported and read is garbage
    found = load_config(find_config(config))
    path, spec, run_dir = found.path.absolute(), found.spec, found.run_dir
    lock = prepare_run_dir(run_dir)
    (run_dir / "failure.json").unlink(missing_ok=True)
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    words = keeper_words(path, spec, run_dir, 0, names)
    gentle = words[5] == "no-new-privs"
    if gentle:  # before the first child: they inherit it
        _prctl(_NO_NEW_PRIVS)
    os.chdir("/")  # or both would hold whatever folder we were started in
    ours, theirs = channel()
    sys.stdout.flush()
    brain = os.fork()
    if brain == 0:
        return _be_brain(theirs, [str(path), str(run_dir), *names], run_dir, spec)
    try:
        _prctl(_SUBREAPER)
        link = fcntl.fcntl(ours, fcntl.F_DUPFD, _HIGH)
        if lock == LOCK_FD:
            os.set_inheritable(lock, True)
        else:
            os.dup2(lock, LOCK_FD)
        os.execv(words[0], [*words[:4], "with", str(brain), str(link), *words[6:]])  # noqa: S606
    except BaseException:
        os.kill(brain, signal.SIGKILL)
        os.waitpid(brain, 0)
        raise


def _be_brain(channel: socket.socket, argv: list[str], run_dir: Path, spec: Spec) -> int:
    """What the keeper does for every later brain: a session, descriptors, the environment."""
    os.setsid()
    log = os.open(run_dir / "supervisor.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
    null = os.open(os.devnull, os.O_RDONLY)
    fd = fcntl.fcntl(channel, fcntl.F_DUPFD, _HIGH)
    for source, target in ((null, 0), (log, 1), (log, 2), (fd, 3)):
        os.dup2(source, target, inheritable=target < 3)
    channel.detach()
    os.closerange(4, _HIGH + 56)  # the lock above all: it must end with the keeper
    protect("self")
    os.environ |= {"CHAPITEAU_KEEPER_FD": "3", "CHAPITEAU_BRAIN_START": "0"}
    if not sys.flags.safe_path:
        del sys.path[0]  # the folder of the script: later brains run with -P
    from chapiteau.run.engine.brain.__main__ import main

    return main(argv, spec)


def _prctl(what: int) -> None:
    import ctypes

    ctypes.CDLL(None).prctl(what, 1, 0, 0, 0)
