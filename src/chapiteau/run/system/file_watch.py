"""Which files there are and when they changed; compared, not notified: it works on every mount."""

import fnmatch
import os
from collections.abc import Iterable
from pathlib import Path

from chapiteau.run.config.spec import Watch

__all__ = ["Snapshot", "changed_files", "take_snapshot"]

Snapshot = dict[str, tuple[int, int]]  # path → (mtime in ns, size)
_MOST = 20_000


def take_snapshot(roots: Iterable[Path], rule: Watch) -> Snapshot:
    """A look at every file that the rule is about, the first 20,000."""
    found: Snapshot = {}
    waiting = [str(root) for root in roots]
    while waiting and len(found) < _MOST:
        path = waiting.pop()
        try:
            if os.path.isdir(path):  # noqa: PTH112 — thousands of times a second: strings are cheap
                waiting += _entries(path, rule, found)
            else:
                info = os.stat(path)  # noqa: PTH116
                found[path] = (info.st_mtime_ns, info.st_size)
        except OSError:
            continue  # gone, or not ours to see
    return found


def _entries(folder: str, rule: Watch, found: Snapshot) -> list[str]:
    deeper = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if any(fnmatch.fnmatch(entry.name, pattern) for pattern in rule.exclude):
                continue
            if entry.is_dir(follow_symlinks=False):
                deeper.append(entry.path)
            elif any(fnmatch.fnmatch(entry.name, pattern) for pattern in rule.include):
                info = entry.stat()
                found[entry.path] = (info.st_mtime_ns, info.st_size)
    return deeper


def changed_files(before: Snapshot, after: Snapshot) -> list[str]:
    """Names of the files that came, went or changed."""
    changed = {path for path, facts in after.items() if before.get(path) != facts}
    return sorted(Path(path).name for path in changed | (before.keys() - after.keys()))
