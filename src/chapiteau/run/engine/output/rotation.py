"""When a log file is full or old, and how it makes room: FILE → FILE.1 → FILE.2 …"""

import contextlib
import os
import threading
from pathlib import Path

from chapiteau.run.engine.output.packing import (
    SUFFIXES,
    names,
    numbered,
    numbered_files,
    pack,
)
from chapiteau.run.logic.spec import Logs

__all__ = ["Rotation"]

_POSTPONE = 10.0
_LEAST = 1 << 16


class Rotation:
    """The rule of [log] for one file."""

    def __init__(self, rule: Logs) -> None:
        self._rule = rule
        self._most = min(rule.max_size, rule.max_total // 2 or rule.max_size)
        self._past = rule.max_total - self._most  # bytes of turned files, where there is a cap
        self._since = 0.0
        self._not_before = 0.0
        self._packer: threading.Thread | None = None

    def due(self, size: int, wall: float) -> bool:
        """Whether the file should be turned now."""
        self._since = min(self._since or wall, wall)  # a clock that was set back starts it anew
        if wall < self._not_before <= wall + _POSTPONE:
            return False
        old = self._rule.max_age and wall - self._since >= self._rule.max_age
        return bool(size >= self._most or (old and size))

    def postpone(self, wall: float) -> None:
        """It failed: try again in ten seconds."""
        self._not_before = wall + _POSTPONE

    def turn(self, path: Path, handle: int, cut: int, begun: bytes) -> None:
        """Make `path` a new file that starts with `begun`, and the old one FILE.1, cut at `cut`.

        The new file is in its place before the old one is cut: whenever we die, every byte stands
        in one of them. Raises OSError; then `path` is what it was.
        """
        draft = path.with_name(path.name + ".new")
        try:
            with draft.open("wb") as stream:
                stream.write(begun)
            self._shift(path)
            path.rename(numbered(path, 1))
            try:
                draft.rename(path)
            except OSError:
                numbered(path, 1).rename(path)
                raise
        except OSError:
            with contextlib.suppress(OSError):
                draft.unlink()
            raise
        if begun:
            with contextlib.suppress(OSError):  # then the begun line stands in both
                os.ftruncate(handle, cut)
        self._since = 0.0
        self._tidy(path)

    def room(self, size: int) -> int:
        """Bytes that the file should still take before it is turned; never fewer than 64 KiB."""
        return max(_LEAST, self._most - size)

    def _shift(self, path: Path) -> None:
        with names:
            for number in range(self._rule.keep, 0, -1):
                for suffix in SUFFIXES:
                    old = path.with_name(f"{path.name}.{number}{suffix}")
                    if old.exists():
                        old.rename(path.with_name(f"{path.name}.{number + 1}{suffix}"))

    def _tidy(self, path: Path) -> None:
        total = 0
        with names:
            for number, old in numbered_files(path, self._rule.keep + 1):
                total += old.stat().st_size
                over = self._rule.max_total and total > self._past
                if number > self._rule.keep or over:
                    old.unlink()
        packs = self._rule.compress != "none"
        if packs and (self._packer is None or not self._packer.is_alive()):
            # The compressors let go of the interpreter: the loop keeps moving output meanwhile.
            words = (path, self._rule.keep, self._rule.compress)
            self._packer = threading.Thread(target=pack, args=words, daemon=True)
            self._packer.start()
