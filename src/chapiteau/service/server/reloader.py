"""Start the server again when its code changes, by hupper.

The parent holds the listening sockets and a child serves on them: while one child ends and the next
one starts, connections wait in the kernel's queue, and none is refused.
"""

import glob
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import hupper
from hupper.polling import PollingFileMonitor, get_mtime

__all__ = ["keep_serving", "watch_folder"]

_INTERVAL: Final = 0.3  # seconds between two looks at the files
_SHUTDOWN: Final = 6.0  # seconds after which a child that does not end is killed


def keep_serving(target: str, handles: Sequence[int], options: Mapping[str, Any]) -> None:
    """Run the function `target` in a child, again after each change, until TERM or INT.

    It gets `handles`, the descriptors of the listening sockets, and `options`. Ends this process
    with the exit code of the last child.
    """
    for handle in handles:
        os.set_inheritable(handle, True)
    hupper.start_reloader(
        target,
        reload_interval=_INTERVAL,
        shutdown_interval=_SHUTDOWN,
        monitor_factory=_Monitor,
        worker_kwargs={**options, "handles": list(handles)},
    )


def watch_folder(folder: Path) -> None:
    """Watch chapiteau.toml and every Python file beside those that are imported.

    hupper finds imported modules by itself, but not the one whose import has failed.
    """
    files = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
    places = {Path(file).parent for file in files if file and "site-packages" not in file}
    own = {folder, *(place for place in places if place.is_relative_to(folder))}
    patterns = [f"{glob.escape(str(place))}/*.py" for place in sorted(own)]
    hupper.get_reloader().watch_files([str(folder / "chapiteau.toml"), *patterns])


class _Monitor(PollingFileMonitor):  # type: ignore[misc]
    """Compares files with what they were when it was told of them, not at its next look."""

    def add_path(self, path: str) -> None:
        """See IFileMonitor."""
        with self.lock:
            self.paths.add(path)
            self.mtimes.setdefault(path, get_mtime(path))
