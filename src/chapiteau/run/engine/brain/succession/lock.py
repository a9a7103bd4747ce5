"""The lock on the run directory, after somebody has deleted the directory under a supervisor."""

import contextlib
import fcntl
import os
from pathlib import Path
from typing import TYPE_CHECKING

from chapiteau.run.errors import AlreadyRunningError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chapiteau.run.engine.brain.supervisor import Supervisor

__all__ = ["keep_lock", "refuse_beside"]


def keep_lock(supervisor: "Supervisor") -> None:
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


def refuse_beside(run_dir: Path, left: "Iterable[int]", keeper_pid: int) -> None:
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
