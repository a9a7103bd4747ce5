"""Become the keeper in this very process: for systemd, containers and other supervisors above.

Before that, this process forks the first brain, which imports what it needs while we read the
configuration for it: it need not start another interpreter, nor read it again. Later brains are
started by the keeper.
"""

import fcntl
import gc
import marshal
import os
import signal
import socket
import sys
from collections.abc import Sequence
from typing import Any, Final

from chapiteau.io.locate_config import find_config
from chapiteau.run.config.load import Config, known_spec, load_config
from chapiteau.run.keeper.syscalls import HANDLED_SIGNALS, channel_pair, protect
from chapiteau.run.supervisor.launch import LOCK_FD, keeper_argv, prepare_run_dir

__all__ = ["daemon"]

_HIGH: Final = 200  # the keeper's own descriptors live above (run/keeper/syscalls.py)
_SUBREAPER, _NO_NEW_PRIVS = 36, 38  # prctl(2)


def daemon(names: Sequence[str], config: str | None) -> int:
    """Read the configuration and become its keeper, with our pid, output and NOTIFY_SOCKET.

    Returns only in the process that becomes the brain, with its exit code. Raises what
    `load_config` does, and AlreadyRunningError.
    """
    gc.disable()  # until the brain runs: nothing of what is imported and read is garbage
    ours, theirs = channel_pair()
    order = os.memfd_create("order")
    given, give = os.pipe()  # one byte when the order is written; its end when there is none
    sys.stdout.flush()
    brain = os.fork()
    if brain == 0:
        os.close(give)
        ours.close()
        return _be_brain(theirs, order, given, names)
    try:
        found = load_config(find_config(config))
        words, lock = _take_place(found, names)
        if gentle := words[5] == "no-new-privs":  # no service may gain rights, and so nobody
            _prctl(_NO_NEW_PRIVS)
        # What comes from now on waits for the keeper: a TERM would leave a brain without one.
        signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED_SIGNALS)
        os.write(order, _order(found, gentle))
        os.write(give, b"!")
        _prctl(_SUBREAPER)
        link = fcntl.fcntl(ours, fcntl.F_DUPFD, _HIGH)
        if lock == LOCK_FD:
            os.set_inheritable(lock, True)
        else:
            os.dup2(lock, LOCK_FD)
        os.execv(words[0], [*words[:4], "with", str(brain), str(link), *words[6:]])  # noqa: S606
    except BaseException:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED_SIGNALS)
        os.kill(brain, signal.SIGKILL)
        os.waitpid(brain, 0)
        raise


def _take_place(found: Config, names: Sequence[str]) -> tuple[list[str], int]:
    """The keeper's words, and the lock of a run folder that nobody uses."""
    lock = prepare_run_dir(found.run_dir)
    (found.run_dir / "failure.json").unlink(missing_ok=True)
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    words = keeper_argv(found.path.absolute(), found.spec, found.run_dir, 0, names)
    os.chdir("/")  # or we would hold whatever folder we were started in
    return words, lock


def _order(found: Config, gentle: bool) -> bytes:
    """What the brain is to do: the configuration as written, where that can be handed over."""
    place = (str(found.path.absolute()), str(found.run_dir), found.path.parent.name, gentle)
    try:
        return marshal.dumps((*place, dict(found.raw)))
    except ValueError:  # a date, say, in a plugin's settings
        return marshal.dumps((*place, None))


def _be_brain(link: socket.socket, order: int, given: int, names: Sequence[str]) -> int:
    """What the keeper does for every later brain: a session, descriptors, the environment."""
    os.setsid()
    protect("self")
    if not sys.flags.safe_path:
        del sys.path[0]  # the folder of the script: later brains run with -P
    from chapiteau.run.supervisor.__main__ import main

    if "LISTEN_PID" in os.environ:
        from chapiteau.run.supervisor.sockets import set_aside_inherited

        set_aside_inherited(os.getppid())
    if not os.read(given, 1):
        os._exit(0)  # there is nothing to be the brain of; who forked us has said why
    path, run_dir, name, gentle, raw = _read(order)
    if gentle:
        _prctl(_NO_NEW_PRIVS)
    os.chdir("/")
    log = os.open(f"{run_dir}/supervisor.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
    null = os.open(os.devnull, os.O_RDONLY)
    fd = fcntl.fcntl(link, fcntl.F_DUPFD, _HIGH)
    for source, target in ((null, 0), (log, 1), (log, 2), (fd, 3)):
        os.dup2(source, target, inheritable=target < 3)
    link.detach()
    os.closerange(4, _HIGH + 56)
    os.environ |= {"CHAPITEAU_KEEPER_FD": "3", "CHAPITEAU_BRAIN_START": "0"}
    return main([path, run_dir, *names], known_spec(raw, name=name) if raw is not None else None)


def _read(order: int) -> Any:
    with open(order, "rb") as stream:
        stream.seek(0)
        return marshal.loads(stream.read())  # noqa: S302 — our own parent's


def _prctl(what: int) -> None:
    import ctypes

    ctypes.CDLL(None).prctl(what, 1, 0, 0, 0)
