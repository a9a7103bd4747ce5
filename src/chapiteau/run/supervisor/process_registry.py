"""Processes of an earlier supervisor that died with its brain: they are killed before a new start.

Nobody holds their pipes any more, and a second copy beside them would be worse than a restart.
"""

import asyncio
import contextlib
import fcntl
import json
import os
import signal
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

from chapiteau.io.files import write_atomic
from chapiteau.run.errors import AlreadyRunningError
from chapiteau.run.keeper.syscalls import start_time
from chapiteau.run.process.keeper_link import KeeperLink
from chapiteau.run.process.process import Process
from chapiteau.run.system.cgroups import Cgroups
from chapiteau.run.system.process_tree import foreign_helpers, parent_of, processes_with_key

__all__ = ["UNKNOWN", "ProcessRegistry", "kill_helpers", "kill_orphans", "restore_lock"]

UNKNOWN: Final = "unknown"  # a note to the next brain: there may be processes not told of
_SETTLE: Final = 0.2  # seconds: many starts at once are written once
_PATIENCE: Final = 50  # times 0.1 s that killed processes have to end


class ProcessRegistry:
    """Keeps the list of who runs on disk: pid and start time name a process for ever, in a boot.

    While there is a list, processes of ours may run that are not on it yet: these are known by
    the supervisor's name in their environment.
    """

    def __init__(self, path: Path, name: str, processes: Callable[[], Iterable[Process]]) -> None:
        self._path, self._name, self._processes = path, name, processes
        self._timer: asyncio.TimerHandle | None = None

    def changed(self) -> None:
        """Write soon."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_SETTLE, self._write)

    def _write(self) -> None:
        self._timer = None
        self._put([[one.pid, one.start] for one in self._processes() if one.alive and one.pid])

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


async def kill_orphans(
    registry: ProcessRegistry, cgroups: Cgroups, run_dir: Path, keeper_pid: int
) -> int:
    """Kill what an earlier supervisor left, and wait until it has ended; how many those were.

    Raises AlreadyRunningError when it is no earlier one.
    """
    root = cgroups.root
    groups = [path for path in root.rglob("*") if path.is_dir()] if root is not None else []
    left = {pid for group in groups for pid in Cgroups.pids(group)} | set(registry.read())
    if not left:
        return 0
    _refuse_second(run_dir, left, keeper_pid)
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


def restore_lock(run_dir: Path, link: KeeperLink, keeper_pid: int) -> None:
    """Make the run directory's lock again when nobody holds the file that stands there now.

    After somebody has deleted the directory the keeper's own lock is on a file without a name: it
    would keep nobody out.
    """
    with contextlib.suppress(OSError):
        path = run_dir / "lock"
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "r+b", buffering=0):
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)  # as long as all is well: an OSError
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"{keeper_pid}\n".encode(), 0)
            link.keep("lock", fd)


def _refuse_second(run_dir: Path, left: Iterable[int], keeper_pid: int) -> None:
    """Raise AlreadyRunningError when one of these processes has a keeper that lives, of the same
    directory, although its lock let us in."""
    lock = str(run_dir.resolve() / "lock")
    for parent in {parent_of(pid) for pid in left} - {0, keeper_pid}:
        if {lock, f"{lock} (deleted)"} & _files_of(parent):
            raise AlreadyRunningError(
                f"a supervisor runs here already (pid {parent}), though its folder was deleted",
                hint="it makes it again within seconds; then `chapiteau status` shows it",
            )


def _files_of(pid: int) -> set[str]:
    found = set()
    with contextlib.suppress(OSError):
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                found.add(str(entry.readlink()))
    return found


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
