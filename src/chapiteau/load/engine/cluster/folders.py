"""A folder for what a test brings along, which does not outlive the test, however that ends.

Its owner holds a lock on it. The lock goes with the owner, also with one that was killed; whoever
begins next finds such folders and takes them away.
"""

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
from pathlib import Path
from typing import Final

from chapiteau.plumbing.clock import SystemClock

__all__ = ["OwnFolder"]

_PREFIX: Final = "chapiteau-relay-"
_AGE: Final = 60.0  # seconds for a folder that is new to get its lock


class OwnFolder:
    """A new folder that only this user may enter; `remove` takes it away."""

    def __init__(self) -> None:
        _sweep(Path(tempfile.gettempdir()))
        self.path = Path(tempfile.mkdtemp(prefix=_PREFIX))
        self._lock = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def remove(self) -> None:
        """Whatever is in it; a load process that was just killed may still have been writing."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


def _sweep(place: Path) -> None:
    """Take folders away whose owners are dead: ours by name and by user, and old enough."""
    for path in place.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):  # gone meanwhile, or held: both are well
            found = path.lstat()
            if (
                not stat.S_ISDIR(found.st_mode)
                or found.st_uid != os.getuid()
                or SystemClock.wall() - found.st_mtime < _AGE
            ):
                continue
            lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(lock)
