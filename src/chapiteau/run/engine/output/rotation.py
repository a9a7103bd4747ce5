"""When a log file is full or old, and how it makes room: FILE → FILE.1 → FILE.2 …"""

import contextlib
import gzip
import os
import shutil
import threading
from pathlib import Path

from chapiteau.run.logic.spec import Logs

__all__ = ["Rotation"]

_POSTPONE = 10.0


class Rotation:
    """The rule of [log] for one file."""

    def __init__(self, rule: Logs) -> None:
        self._rule = rule
        self._since = 0.0
        self._not_before = 0.0

    def due(self, size: int, wall: float) -> bool:
        """Whether the file should be turned now."""
        self._since = self._since or wall
        if wall < self._not_before:
            return False
        old = self._rule.max_age and wall - self._since >= self._rule.max_age
        return bool(size >= self._rule.max_size or (old and size))

    def postpone(self, wall: float) -> None:
        """It failed: try again in ten seconds."""
        self._not_before = wall + _POSTPONE

    def turn(self, path: Path, handle: int, cut: int, begun: bytes) -> None:
        """Make `path` a new file that starts with `begun`, and the old one FILE.1, cut at `cut`.

        The new file is complete before the old one is touched: whenever we die, every byte stands
        somewhere. Raises OSError; then nothing has changed.
        """
        draft = path.with_name(path.name + ".new")
        with draft.open("wb") as stream:
            stream.write(begun)
        try:
            self._shift(path)
            if begun:
                os.ftruncate(handle, cut)
            path.rename(_numbered(path, 1))
            draft.rename(path)
        except OSError:
            with contextlib.suppress(OSError):
                draft.unlink()
            raise
        self._since = 0.0
        self._tidy(path)

    def _shift(self, path: Path) -> None:
        for number in range(self._rule.keep, 0, -1):
            for suffix in ("", ".gz"):
                old = path.with_name(f"{path.name}.{number}{suffix}")
                if old.exists():
                    old.rename(path.with_name(f"{path.name}.{number + 1}{suffix}"))

    def _tidy(self, path: Path) -> None:
        kept = self._rule.keep
        total = 0
        for number in range(1, kept + 2):
            for suffix in ("", ".gz"):
                old = path.with_name(f"{path.name}.{number}{suffix}")
                if not old.exists():
                    continue
                total += old.stat().st_size
                if number > kept or (self._rule.max_total and total > self._rule.max_total):
                    old.unlink()
        first = _numbered(path, 1)
        if self._rule.compress == "gzip" and first.exists():
            # zlib lets go of the interpreter: the loop keeps moving output meanwhile.
            threading.Thread(target=_compress, args=(first,), daemon=True).start()


def _numbered(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}")


def _compress(path: Path) -> None:
    """FILE.1 → FILE.1.gz; the plain file goes only when the other is whole."""
    draft = path.with_name(path.name + ".gz.tmp")
    with contextlib.suppress(OSError):
        with path.open("rb") as source, gzip.open(draft, "wb", compresslevel=6) as target:
            shutil.copyfileobj(source, target, 1 << 20)
        draft.rename(path.with_name(path.name + ".gz"))
        path.unlink()
