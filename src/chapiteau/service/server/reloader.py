"""Start the server again when its code changes, by hupper.

The parent holds the listening sockets and a child serves on them: while one child ends and the next
one starts, connections wait in the kernel's queue, and none is refused.
"""

import glob
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import hupper
from hupper.polling import PollingFileMonitor, get_mtime

__all__ = ["keep_serving", "watch_folder"]

_INTERVAL: Final = 0.3  # seconds between two looks at the files
_DEPTHS: Final = ("chapiteau.toml", "*.py", "*/*.py", "*/*/*.py")  # deeper is seldom a project's
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
    """Compares files with what they were before the first child read them.

    The child names its files once it serves them, and by then one may have been saved again.
    """

    def __init__(self, callback: Callable[[str], None], **options: Any) -> None:
        super().__init__(callback, **options)
        found = (file for depth in _DEPTHS for file in Path.cwd().glob(depth))
        self._before = {str(file): get_mtime(file) for file in found}

    def add_path(self, path: str) -> None:
        """See IFileMonitor."""
        with self.lock:
            self.paths.add(path)
            if path not in self.mtimes:
                self.mtimes[path] = self._before.get(path, get_mtime(path))
