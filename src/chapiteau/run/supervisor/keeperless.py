"""Without a keeper: its deeds, done by the brain in the one process that there is.

For a laptop and for tests: nothing outlives this process on purpose, and what docs/how-to/embed.md
lists is given up. cgroups are not used: to go into one would take all our threads along.
"""

import asyncio
import contextlib
import ctypes
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from chapiteau.run.config.spec import Spec
from chapiteau.run.errors import KeeperGoneError
from chapiteau.run.keeper.children import Children
from chapiteau.run.keeper.frames import Hello
from chapiteau.run.keeper.group_grace import POLL_INTERVAL
from chapiteau.run.keeper.syscalls import no_new_privs, own_children, pidfd_of, sd_notify
from chapiteau.run.process.keeper_link import KeeperLink, Message
from chapiteau.run.supervisor.__main__ import run_brain
from chapiteau.run.supervisor.launch import prepare_run_dir

__all__ = ["run_without_keeper"]

_SUBREAPER: Final = 36  # prctl(2)
_SWEEP: Final = 2.0  # seconds between two looks for orphans that have ended


async def run_without_keeper(
    config: Path, spec: Spec, run_dir: Path, only: Sequence[str] = ()
) -> int:
    """Be the supervisor in this loop until everything is over; its exit code.

    Raises AlreadyRunningError, or why it can't begin.
    """
    lock = prepare_run_dir(run_dir)
    try:
        (run_dir / "failure.json").unlink(missing_ok=True)
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        return await run_brain(
            _InProcessKeeper(), config.absolute(), run_dir, tuple(only), spec, first=True
        )
    finally:
        os.close(lock)


class _InProcessKeeper(KeeperLink):
    """Looks like the channel to a keeper, and does at once what a keeper would."""

    in_process = True

    def __init__(self) -> None:
        self._prepare()
        self._fds: dict[str, int] = {}
        self._known = Children(self._fds)
        self._base: dict[str, str] = {}
        self._ended: set[int] = set()  # orphans that had ended at the last look
        self._sweeper: asyncio.TimerHandle | None = None

    async def hello(self) -> Hello:
        """A keeper that was just born."""
        ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)
        self._known.starter.raise_own_limit()
        self._sweep()
        return {
            "pid": os.getpid(),
            "brain_starts": 1,
            "notes": {},
            "fds": [],
            "nofile": self._known.starter.limit[0],
            "asked": False,
            "no_new_privs": no_new_privs(),
        }

    async def ask(
        self, op: str, carried: tuple[int, ...] = (), **rest: Any
    ) -> tuple[Message, list[int]]:
        """Do it; the answer."""
        if op == "upgrade":
            raise KeeperGoneError("without a keeper there is nothing to renew")
        if op == "spawn":
            return self._spawn(rest)
        if op == "fetch":
            found = self._fds.get(rest["name"])
            return {}, [] if found is None else [os.dup(found)]
        self._do(op, rest, list(carried))
        return {}, []

    async def wait_until_idle(self, patience: float) -> None:
        """All is done at once."""

    def tell(self, op: str, **rest: Any) -> None:
        """Do it."""
        self._do(op, rest, [])

    def keep(self, name: str, fd: int) -> None:
        """Hold a copy."""
        self._do("store", {"name": name}, [fd])

    def close(self) -> None:
        """Nothing is held any more; what should have ended and has not is killed."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        self._known.kill_all()
        for name in list(self._fds):
            self._drop(name)

    def _spawn(self, message: Message) -> tuple[Message, list[int]]:
        answer = self._known.spawn(message, self._base)
        if "pid" not in answer:
            return answer, []
        pidfd = pidfd_of(answer["pid"])
        self._loop.add_reader(pidfd, self._reap, answer["pid"], pidfd)
        key = message["key"]
        return answer, [os.dup(self._fds[f"pipe/{key}/{name}"]) for name in answer["pipes"]]

    def _reap(self, pid: int, pidfd: int) -> None:
        self._loop.remove_reader(pidfd)
        os.close(pidfd)
        key, end = self._known.reap_one(pid)
        if key:
            self._report({"op": "exited", "key": key, "exit": end})
        else:
            self._poll_groups()

    def _poll_groups(self) -> None:
        """Groups whose first has ended, until the others have gone too."""
        for key, end in self._known.groups.ended():
            self._report({"op": "exited", "key": key, "exit": end})
        if self._known.groups:
            self._loop.call_later(POLL_INTERVAL, self._poll_groups)

    def _do(self, op: str, message: Message, fds: list[int]) -> None:
        match op:
            case "store":
                self._drop(message["name"])
                self._fds[message["name"]] = os.dup(fds[0])
            case "drop":
                self._drop(message["name"])
            case "signal":
                self._known.signal(message)
            case "ack":
                for name in self._known.forget(message["key"]):
                    self._drop(name)
            case "memo":
                self._known.update_memo(message)
            case "base":
                self._base.update(message["env"])
            case "notify":
                sd_notify(message["text"])

    def _drop(self, name: str) -> None:
        if name in self._fds:
            os.close(self._fds.pop(name))

    def _sweep(self) -> None:
        """Orphans that came to us: those that had ended at the last look too are nobody else's."""
        ended = {pid for pid in own_children() if self._has_ended(pid)}
        for pid in ended & self._ended:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        self._ended = ended
        self._sweeper = self._loop.call_later(_SWEEP, self._sweep)

    def _has_ended(self, pid: int) -> bool:
        if self._known.is_known(pid):
            return False
        flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
        with contextlib.suppress(ChildProcessError):
            return os.waitid(os.P_PID, pid, flags) is not None
        return False
