"""How often a stream's file was turned, and when the bytes of the older ones came.

Kept in a small file beside them, so that a new brain knows it too. Turn 3 is the file that came
after three turns; it keeps this number while its name goes from FILE to FILE.1, FILE.2.gz …
"""

import contextlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from chapiteau.plumbing.files import write_atomic

__all__ = ["Mark", "Past", "thinned"]

Mark = tuple[int, float]  # offset in the file, wall time

_MARKS: Final = 500  # kept of one older file
_TURNS: Final = 100  # of which marks are kept


class Past:
    """Of one stream. Read when first asked for: most streams are never turned."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._turned = -1
        self._marks: dict[int, list[Mark]] = {}

    @property
    def _file(self) -> Path:
        return self._path.with_name(f".{self._path.name}.past")

    @property
    def turned(self) -> int:
        """How often the file was turned so far."""
        self.learn()
        return self._turned

    def learn(self) -> None:
        """Read what is known, once: before the next turn at the latest."""
        if self._turned < 0:
            self._load()

    def marks(self, turn: int) -> Sequence[Mark]:
        """When the bytes of an older file came; empty when that is not known."""
        return self._marks.get(turn, ()) if self.turned >= 0 else ()

    def add(self, marks: Sequence[Mark]) -> None:
        """The file has just been turned; `learn` came before that. A full disk is no matter."""
        self._marks[self._turned] = thinned(list(marks), _MARKS)
        self._turned += 1
        for turn in [turn for turn in self._marks if turn < self._turned - _TURNS]:
            del self._marks[turn]
        with contextlib.suppress(OSError):
            facts = {"turned": self._turned, "inode": self._inode(), "marks": self._marks}
            write_atomic(self._file, json.dumps(facts).encode(), mode=0o640)

    def _load(self) -> None:
        self._turned = 0
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
            facts: dict[str, Any] = json.loads(self._file.read_bytes())
            marks = {
                int(turn): [(int(offset), float(time)) for offset, time in pairs]
                for turn, pairs in facts["marks"].items()
            }
            # Turned, and killed before it could be written down?
            missed = self._path.exists() and self._inode() != facts["inode"]
            self._turned, self._marks = int(facts["turned"]) + missed, marks

    def _inode(self) -> int:
        return self._path.stat().st_ino


def thinned(marks: list[Mark], most: int) -> list[Mark]:
    """At most so many, the later half finer: recent times are asked for most."""
    while len(marks) > most:
        half = (len(marks) + 1) // 2
        marks = marks[:half:2] + marks[half:] if len(marks) < 2 * most else marks[::2]
    return marks
