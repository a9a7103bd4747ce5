"""A new supervisor around the same services: the keeper by exec, the brain by a successor."""

import asyncio
import contextlib
import fcntl
import json
import os
import resource
import signal
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final, NoReturn

from chapiteau.core.errors import ChapiteauError
from chapiteau.io.clock import SystemClock
from chapiteau.run.keeper.syscalls import HANDLED_SIGNALS, ended_for_ever, pidfd_of, start_time
from chapiteau.run.logs.messages import Outcome
from chapiteau.run.process.environment import inheritable
from chapiteau.run.process.keeper_link import KEEPER_FOLDER
from chapiteau.run.process.process import Process
from chapiteau.run.process.spawn import deadlines_of, memo_of
from chapiteau.run.supervisor.context import Context
from chapiteau.run.supervisor.process_registry import UNKNOWN
from chapiteau.run.system.cgroups import Cgroups
from chapiteau.run.system.process_tree import children_of, processes_with_key

__all__ = ["recover_keeper", "recover_unknown_keeper", "reexec"]

_ANSWER_TIME: Final = 0.2  # seconds for the answer to reach who asked
_TRIAL: Final = 60.0  # seconds for the installed brain to say that it can begin


async def reexec(context: Context, actor: str) -> Outcome:
    """Renew the keeper, then leave: it starts the installed brain, which finds everything alive.

    Both are tried first: when they could not go on from here nothing changes.
    """
    if why := await _why_not(context.origin.argv):
        hint = "the supervisor that runs goes on; mend what is installed, or take the one before"
        error = f"the installed version can't take over: {why}"
        return Outcome(ok=False, error=error, hint=hint, exit_code=1)
    try:
        keeper = await context.link.upgrade()
    except ChapiteauError as exc:
        return Outcome(ok=False, error=exc.what, hint=exc.hint, exit_code=1)
    context.host.emit("supervisor.upgraded", f"keeper {keeper} renewed", who=actor)
    # No farewell to the keeper: to it this is a brain that ended, and it starts the next one.
    asyncio.get_running_loop().call_later(_ANSWER_TIME, os._exit, 0)
    return Outcome(
        ok=True, text="the supervisor is renewed; services go on", data={"keeper": keeper}
    )


async def _why_not(argv: tuple[str, ...]) -> str:
    """Let the installed brain read what it would begin with; why it can't, else ""."""
    trial = ["-P", "-m", "chapiteau.run.supervisor", "--try", *argv]
    pipe = asyncio.subprocess.PIPE
    child = await asyncio.create_subprocess_exec(
        sys.executable, *trial, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe
    )
    try:
        async with asyncio.timeout(_TRIAL):
            _, said = await child.communicate()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        await child.wait()
        return f"it said nothing for {_TRIAL:g} s"
    if not child.returncode:
        return ""
    lines = said.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else f"it ended with {child.returncode}"


# The keeper was killed: make another from what the brain holds, and leave.
#
# The brain has every socket and the reading end of every pipe, and knows every process. It writes
# the state that a keeper hands itself at an upgrade, starts a keeper on it, and ends; the new
# keeper starts a brain as ever. It is not the parent of the processes that run, so it watches them
# by pidfd (docs/explanation/keeper-and-brain.md tells what that costs: on kernels before 6.15 an
# exit code is "unknown"). No second copy of anything is started: a process that the keeper started
# without living to tell of it is ended first, and a brain that has not heard yet what runs ends it
# all.

_PATIENCE: Final = 2.0  # seconds that a dying keeper has to let go of the lock, or a process to go
_STEP: Final = 0.005
_USUAL_FILES: Final = 1024


def recover_keeper(context: Context, *, attached: bool = True) -> NoReturn:
    """Start a successor of the keeper, then end this process. `attached`: we had heard of every
    process that it has."""
    origin, host, clock = context.origin, context.host, SystemClock()
    lock = _take_lock(context.config.run_dir, clock)
    _end_pending([one for one in host.processes.values() if not one.pid], clock)
    owner = _owner(*origin.owner)
    unknown = {} if attached else {UNKNOWN: True}
    state = {
        "fds": _descriptors(context),
        "notes": {**context.link.notes, **unknown},
        "base": dict(context.spawning.inherited),
        "children": _children(context),
        "limit": origin.limit,
        "brain_starts": origin.restarts + 1,
        "owner": owner,
        "owner_pid": origin.owner[0] if owner >= 0 else 0,
    }
    flag = "no-new-privs" if context.spawning.no_new_privs else "-"
    keeper = _make_keeper(context.config.run_dir, origin.argv, lock, flag, state)
    host.emit("supervisor.keeper_died", f"another keeper is made, pid {keeper}")
    os._exit(0)


def recover_unknown_keeper(run_dir: Path, argv: tuple[str, ...]) -> NoReturn:
    """As `recover_keeper`, when it died before it answered us at all."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    state = {
        "fds": {},
        "notes": {UNKNOWN: True},
        "base": inheritable(os.environ),
        "children": {},
        "limit": (min(_USUAL_FILES, hard), hard),
        "brain_starts": 1,
        "owner": -1,
        "owner_pid": 0,
    }
    _make_keeper(run_dir, argv, _take_lock(run_dir, SystemClock()), "-", state)
    os._exit(0)


def _make_keeper(
    run_dir: Path, argv: tuple[str, ...], lock: int, flag: str, state: dict[str, Any]
) -> int:
    """Start a keeper on this state; its pid. Descriptors are handed on by number."""
    clock = SystemClock()
    _end_own_children()
    state["fds"] |= {"lock": lock, "null": os.open(os.devnull, os.O_RDONLY)}
    state |= {
        "brain_argv": [sys.executable, "-P", "-m", "chapiteau.run.supervisor", *argv],
        "run_dir": str(run_dir),
        "brain_pid": 0,
        "asked_at": 0.0,
        "link": -1,
        "queued": [],
        "reply": None,
    }
    memory = os.memfd_create("keeper", 0)
    os.write(memory, json.dumps(state).encode())
    os.lseek(memory, 0, os.SEEK_SET)
    for fd in (*state["fds"].values(), state["owner"], memory):
        if fd >= 0:
            os.set_inheritable(fd, True)
    words = [sys.executable, "-I", "-S", str(KEEPER_FOLDER), "start", flag, "resume", str(memory)]
    made: list[int] = []
    while not _within(_PATIENCE, clock, lambda: _spawn_keeper(words, made)):
        print("cannot make another keeper; trying again", file=sys.stderr)  # noqa: T201 — its log
    [keeper] = made
    with contextlib.suppress(OSError):
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{keeper}\n".encode(), 0)
    return keeper


def _take_lock(run_dir: Path, clock: SystemClock) -> int:
    """The lock of the run directory, once the keeper has died; else this process ends."""
    lock = _open_lock(run_dir / "lock")
    if not _within(_PATIENCE, clock, lambda: _locked(lock)):
        os._exit(1)  # somebody has started another supervisor: it is theirs now
    return lock


def _owner(pid: int, start: int) -> int:
    """A descriptor of the process with which everything ends; -1: there is none.

    When it has gone meanwhile, one that says so at once.
    """
    if not pid:
        return -1
    found = pidfd_of(pid)
    if found >= 0 and start_time(pid) == start:
        return found
    return ended_for_ever()


def _within(seconds: float, clock: SystemClock, fact: Callable[[], bool]) -> bool:
    """Wait for a fact; False when it did not come true in time."""
    deadline = clock.now() + seconds
    while not fact():
        if clock.now() >= deadline:
            return False
        clock.sleep(_STEP)
    return True


def _locked(lock: int) -> bool:
    """The lock lasts until the keeper has died, which may be a little later than its words end."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _spawn_keeper(words: list[str], made: list[int]) -> bool:
    with contextlib.suppress(OSError):  # no process, no memory: there may be soon
        # What it is told before it can hear waits for it: a TERM would end it, and nobody else
        # would then know of the processes.
        made.append(
            os.posix_spawn(words[0], words, os.environ, setsid=True, setsigmask=HANDLED_SIGNALS)
        )
    return bool(made)


def _end_pending(pending: Iterable[Process], clock: SystemClock) -> None:
    """Processes that the keeper was asked for and may have started, without living to say so.

    What is to become a program holds our channel open until it is one, as the keeper did: now
    that the channel has ended, whoever was started is in its cgroup, or has its key to show.
    """
    for process in pending:
        key, group = process.key, process.cgroup

        def gone(key: str = key, group: Path | None = group) -> bool:
            left = Cgroups.pids(group) if group else processes_with_key("CHAPITEAU_KEY", key)
            if group is not None:
                Cgroups.kill(group)
            for pid in left:
                _kill(pid)
            return not left

        if not _within(_PATIENCE, clock, gone):
            print(f"{key}, just started, can't be ended", file=sys.stderr)  # noqa: T201 — its log
        if group is not None:
            Cgroups.remove(group)


def _end_own_children() -> None:
    """Hooks and probes: what they stood before begins anew with the next brain."""
    waiting = children_of(os.getpid())
    while waiting:
        pid = waiting.pop()
        waiting += children_of(pid)
        _kill(pid)


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)


def _open_lock(path: Path) -> int:
    """The lock's file; on a file system that became read-only it can still be locked."""
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError:
        return os.open(path, os.O_RDONLY)


def _descriptors(context: Context) -> dict[str, int]:
    found = {f"pipe/{key}/{stream}": pipe for key, stream, pipe in context.output.held()}
    for process in context.host.processes.values():
        if process.stdin is not None and process.stdin.fd >= 0:  # a terminal is its output too
            way = "out" if process.on_terminal else "in"
            found[f"pipe/{process.key}/{way}"] = process.stdin.fd
    held = {**dict(context.sockets.held()), **dict(context.store.held())}
    return {**found, **held, "notify": context.notify.fileno()}


def _children(context: Context) -> dict[str, dict[str, Any]]:
    """Every process as the keeper would know it, marked as not its own child."""
    host = context.host
    return {
        process.key: {
            "pid": process.pid,
            "start": process.start,
            "exit": None,
            "adopted": True,
            "cgroup": str(process.cgroup or ""),
            "memo": {**memo_of(process), **deadlines_of(process, host.clock)},
        }
        for process in host.processes.values()
        if process.pid and process.alive
    }
