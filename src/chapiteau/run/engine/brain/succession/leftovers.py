"""Processes of an earlier supervisor that died with its brain: they are ended before a new start.

Nobody holds their pipes any more, and a second copy beside them would be worse than a restart.
"""

import asyncio
import contextlib
import json
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chapiteau.plumbing.files import write_atomic
from chapiteau.run.engine.brain.succession.lock import refuse_beside
from chapiteau.run.engine.keeper.calls import start_of
from chapiteau.run.engine.machine.cgroups import Cgroups
from chapiteau.run.engine.machine.strays import bearers_of, helpers_of_others

if TYPE_CHECKING:
    from chapiteau.run.engine.brain.supervisor import Supervisor

__all__ = ["Roll", "end_helpers", "end_leftovers"]

_CALM = 0.2  # seconds: many starts at once are written once
_PATIENCE = 50  # times 0.1 s that killed processes have to go


class Roll:
    """Keeps the list of who runs on disk: pid and start time name a process for ever, in a boot.

    While there is a list, processes of ours may run that are not on it yet: these are known by
    the supervisor's name in their environment.
    """

    UNKNOWN = "unknown"  # a note to the next brain: there may be processes that it is not told of

    def __init__(self, path: Path, name: str) -> None:
        self._path, self._name = path, name
        self._timer: asyncio.TimerHandle | None = None

    def changed(self, supervisor: "Supervisor") -> None:
        """Write soon."""
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(_CALM, self._write, supervisor)

    def _write(self, supervisor: "Supervisor") -> None:
        self._timer = None
        entries = supervisor.ground.by_key.values()
        self._put([[one.pid, one.start] for one, _ in entries if one.alive])

    def begin(self) -> None:
        """From now on there is a list."""
        self._put([])

    def _put(self, alive: list[list[int]]) -> None:
        data = json.dumps({"boot": _boot_id(), "processes": alive}).encode()
        with contextlib.suppress(OSError):
            write_atomic(self._path, data, mode=0o600, lasting=False)

    def read(self) -> list[int]:
        """Pids of those on the list that are still the same processes, and of those not yet on."""
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            facts: dict[str, Any] = json.loads(self._path.read_text())
            if facts["boot"] == _boot_id():
                listed = [pid for pid, start in facts["processes"] if start_of(pid) == start]
                return [*listed, *bearers_of("CHAPITEAU_SUPERVISOR", self._name)]
        return []

    def clear(self) -> None:
        """Nobody runs."""
        if self._timer is not None:
            self._timer.cancel()
        with contextlib.suppress(OSError):
            self._path.unlink()


async def end_leftovers(supervisor: "Supervisor", roll: Roll) -> int:
    """Kill what an earlier supervisor left, and wait until it has gone; how many those were.

    Raises AlreadyRunningError when it is no earlier one.
    """
    root = supervisor.cgroups.root
    groups = [path for path in root.rglob("*") if path.is_dir()] if root is not None else []
    left = {pid for group in groups for pid in Cgroups.pids(group)} | set(roll.read())
    if not left:
        return 0
    refuse_beside(supervisor.run_dir, left, supervisor.keeper_pid)
    for group in groups:
        Cgroups.kill(group)
    for pid in left:
        for send in (os.kill, os.killpg):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                send(pid, signal.SIGKILL)
    for _ in range(_PATIENCE):
        if not any(_alive(pid) for pid in left):
            break
        await asyncio.sleep(0.1)
    for group in reversed(groups):
        Cgroups.remove(group)
    return len(left)


def end_helpers(keeper_pid: int) -> int:
    """Kill hooks and probes of a brain that died over them: nobody waits for their answer any
    more, and what they stood before begins anew. How many processes those were."""
    left = helpers_of_others(keeper_pid, os.getpid())
    for pid in left:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
    return len(left)


def _alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False
    return stat.rpartition(b")")[2].split()[0] not in (b"Z", b"X")


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
