"""Rows of a data file that is too large to be held in memory by each load process."""

from __future__ import annotations

import mmap
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Any, overload

from chapiteau.core.errors import UsageError
from chapiteau.load.logic.data.rows import (
    Row,
    cells_of,
    comma_of,
    head_of,
    json_row,
    kind_of,
    row_of,
)

__all__ = ["LargeFile"]

_MARK = b"\xef\xbb\xbf"  # byte order mark


class LargeFile(Sequence[Row]):
    """A CSV, TSV or NDJSON file of which only the places are kept where rows begin: 8 bytes a row.

    The file is looked over once; a row is read when its turn comes, and what is wrong with it is
    found then. Processes share the pages that the kernel keeps of it.
    """

    def __init__(self, path: Path, name: str) -> None:
        """Raises UsageError, OSError."""
        self._name = name
        kind = kind_of(name)
        self._comma = "" if kind == "ndjson" else comma_of(kind)
        self._begins = self._looked_over(path)
        with path.open("rb") as file:
            self._data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._head: list[str] = []
        self._first = 0
        if self._comma and self._begins:
            self._head = head_of(cells_of(self._text(0), self._comma, f"{name}:1"), name)
            self._first = 1
        if not len(self):
            raise UsageError(f"{name}: no rows in it")

    def __len__(self) -> int:
        return len(self._begins) - self._first

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Row]: ...
    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        number = range(len(self))[index]
        where = f"{self._name}: row {number + 1}"
        text = self._text(number + self._first)
        if not self._comma:
            return json_row(text, where)
        return row_of(self._head, cells_of(text, self._comma, where), where)

    def _text(self, line: int) -> str:
        end = self._begins[line + 1] if line + 1 < len(self._begins) else len(self._data)
        try:
            return self._data[self._begins[line] : end].decode().replace("\r\n", "\n")
        except UnicodeDecodeError as exc:
            raise UsageError(f"{self._name}: row {line + 1 - self._first}: {exc}") from None

    def _looked_over(self, path: Path) -> array[int]:
        """Where each row begins. A line break within quotes is none: quotes before it are odd."""
        begins = array("Q")
        at = begin = 0
        within = False
        with path.open("rb") as file:
            for line in file:
                if not within:
                    begin = at + (len(_MARK) if at == 0 and line.startswith(_MARK) else 0)
                at += len(line)
                if self._comma and line.count(b'"') % 2:
                    within = not within
                if not within and line.strip():
                    begins.append(begin)
        if within:
            number = len(begins) + 1
            raise UsageError(f"{self._name}: the quote that row {number - 1} opens never ends")
        return begins
