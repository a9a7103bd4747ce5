"""Processes of an earlier supervisor that died with its brain: they are ended before a new start.

Nobody holds their pipes any more, and a second copy beside them would be worse than a restart.
"""

import asyncio
import contextlib
import fcntl
import json
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chapiteau.io.files import write_atomic
from chapiteau.run.errors import AlreadyRunningError
from chapiteau.run.keeper.syscalls import start_time
from chapiteau.run.system.cgroups import Cgroups
from chapiteau.run.system.process_tree import foreign_helpers, processes_with_key

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chapiteau.run.supervisor.supervisor import Supervisor

__all__ = ["ProcessRegistry", "kill_helpers", "kill_orphans", "refuse_second", "restore_lock"]


# The lock on the run directory, after somebody has deleted the directory under a supervisor.


def restore_lock(supervisor: "Supervisor") -> None:
    """Make the lock again when nobody holds the file that stands there now, or none stands.

    The keeper's own lock is on a file that has no name any more: it would keep nobody out.
    """
    with contextlib.suppress(OSError):
        path = supervisor.run_dir / "lock"
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "r+b", buffering=0):
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)  # as long as all is well: an OSError
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"{supervisor.keeper_pid}\n".encode(), 0)
            supervisor.link.keep("lock", fd)


def refuse_second(run_dir: Path, left: "Iterable[int]", keeper_pid: int) -> None:
    """Raise AlreadyRunningError when one of these processes has a keeper that lives, of the same
    directory, although its lock let us in."""
    lock = str(run_dir.resolve() / "lock")
    for parent in {_parent(pid) for pid in left} - {0, keeper_pid}:
        if {lock, f"{lock} (deleted)"} & _files_of(parent):
            raise AlreadyRunningError(
                f"a supervisor runs here already (pid {parent}), though its folder was deleted",
                hint="it makes it again within seconds; then `chapiteau status` shows it",
            )


def _parent(pid: int) -> int:
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
        return int(stat.rpartition(b")")[2].split()[1])
    except (OSError, IndexError, ValueError):
        return 0


def _files_of(pid: int) -> set[str]:
    found = set()
    with contextlib.suppress(OSError):
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                found.add(str(entry.readlink()))
    return found


_CALM = 0.2  # seconds: many starts at once are written once
_PATIENCE = 50  # times 0.1 s that killed processes have to go


class ProcessRegistry:
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
                listed = [pid for pid, start in facts["processes"] if start_time(pid) == start]
                return [*listed, *processes_with_key("CHAPITEAU_SUPERVISOR", self._name)]
        return []

    def clear(self) -> None:
        """Nobody runs."""
        if self._timer is not None:
            self._timer.cancel()
        with contextlib.suppress(OSError):
            self._path.unlink()


async def kill_orphans(supervisor: "Supervisor", roll: ProcessRegistry) -> int:
    """Kill what an earlier supervisor left, and wait until it has gone; how many those were.

    Raises AlreadyRunningError when it is no earlier one.
    """
    root = supervisor.cgroups.root
    groups = [path for path in root.rglob("*") if path.is_dir()] if root is not None else []
    left = {pid for group in groups for pid in Cgroups.pids(group)} | set(roll.read())
    if not left:
        return 0
    refuse_second(supervisor.run_dir, left, supervisor.keeper_pid)
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


def kill_helpers(keeper_pid: int) -> int:
    """Kill hooks and probes of a brain that died over them: nobody waits for their answer any
    more, and what they stood before begins anew. How many processes those were."""
    left = foreign_helpers(keeper_pid, os.getpid())
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
