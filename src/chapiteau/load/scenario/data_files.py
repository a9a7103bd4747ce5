"""Rows of a data file, and which of them is whose turn."""

from __future__ import annotations

import csv
import json
import mmap
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, get_args, overload

from chapiteau.core.errors import UsageError

if TYPE_CHECKING:
    import random

__all__ = [
    "ORDERS",
    "LargeFile",
    "Order",
    "Row",
    "check_header",
    "data_format",
    "delimiter",
    "make_row",
    "parse_json_row",
    "parse_rows",
    "row_indexes",
    "split_cells",
]

Row = dict[str, Any]
Order = Literal["sequential", "random", "once"]
ORDERS: Final = get_args(Order)


def parse_rows(text: str, name: str) -> list[Row]:
    """The rows of a file, by its name's ending: CSV with a head line, a JSON list, or NDJSON.

    Raises UsageError with the line that is wrong.
    """
    kind = data_format(name)
    text = text.removeprefix("\ufeff")
    if kind in {"csv", "tsv"}:
        rows = _csv(text, name, delimiter(kind))
    elif kind == "json":
        rows = _json(text, name)
    else:
        rows = list(_lines(text, name))
    if not rows:
        raise UsageError(f"{name}: no rows in it")
    return rows


def data_format(name: str) -> str:
    """What kind of data a file holds, by its name's ending. Raises UsageError."""
    kind = name.rpartition(".")[2].lower()
    if kind in {"csv", "tsv", "json"}:
        return kind
    if kind in {"ndjson", "jsonl"}:
        return "ndjson"
    raise UsageError(f"{name}: no kind of data", hint="one of .csv .tsv .json .ndjson .jsonl")


def delimiter(kind: str) -> str:
    """What stands between two cells."""
    return "\t" if kind == "tsv" else ","


def _csv(text: str, name: str, comma: str) -> list[Row]:
    """RFC 4180; values stay text."""
    reader = _reader(text, comma)
    cells = _cells(reader, name)
    head = check_header(next(cells, []), name)
    return [make_row(head, found, f"{name}:{reader.line_num}") for found in cells if found]


def _reader(text: str, comma: str) -> Any:
    return csv.reader((line + "\n" for line in text.split("\n")), delimiter=comma, strict=True)


def check_header(cells: list[str], name: str) -> list[str]:
    """The names of the columns. Raises UsageError when one stands there twice."""
    if len(set(cells)) != len(cells):
        raise UsageError(f"{name}:1: a column's name stands there twice")
    return cells


def make_row(head: list[str], cells: list[str], where: str) -> Row:
    """A line of a table. Raises UsageError when it does not fit under the names."""
    if len(cells) != len(head):
        raise UsageError(
            f"{where}: {len(cells)} cells under {len(head)} names",
            hint='a cell with a comma in it is written in "quotes"',
        )
    return dict(zip(head, cells, strict=True))


def split_cells(text: str, comma: str, where: str) -> list[str]:
    """The cells of one line, which may have line breaks in quotes. Raises UsageError."""
    return next(_cells(_reader(text.rstrip("\r\n"), comma), where), [])


def parse_json_row(text: str, where: str) -> Row:
    """A row of NDJSON. Raises UsageError."""
    try:
        value = json.loads(text)
    except ValueError as exc:
        raise UsageError(f"{where}: no JSON: {exc}") from None
    return _row(value, where)


def _cells(reader: Any, name: str) -> Iterator[list[str]]:
    try:
        yield from reader
    except csv.Error as exc:
        raise UsageError(
            f"{name}:{reader.line_num}: {exc}", hint='a quote within quotes is written "" twice'
        ) from None


def _json(text: str, name: str) -> list[Row]:
    try:
        value = json.loads(text)
    except ValueError as exc:
        raise UsageError(f"{name}: no JSON: {exc}") from None
    if not isinstance(value, list):
        raise UsageError(f"{name}: not a list of rows", hint="NDJSON is named .ndjson or .jsonl")
    return [_row(item, f"{name}: item {number}") for number, item in enumerate(value)]


def _lines(text: str, name: str) -> Iterator[Row]:
    # Not splitlines: JSON may have U+2028 and the like within its strings.
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield parse_json_row(line, f"{name}:{number}")


def _row(value: Any, where: str) -> Row:
    """An object is a row; anything else is one under the name `value`."""
    if isinstance(value, dict):
        return value
    if isinstance(value, (list, type(None))):
        raise UsageError(f"{where}: a row is an object, a text or a number")
    return {"value": value}


def row_indexes(
    count: int, order: Order, worker: int, workers: int, chance: random.Random, *, unique: bool
) -> Iterator[int]:
    """Indexes of rows in the order in which one of several processes takes them.

    `once` ends when this process's rows are used up; with `unique` (`once` always is) no two
    processes take the same row. Without, all begin at different places of the same list.
    """
    mine: Sequence[int] = range(count)
    if unique or order == "once":
        mine = range(worker, count, workers)
    if not mine:
        return
    if order == "once":
        yield from mine
    elif order == "random":
        while True:
            yield mine[chance.randrange(len(mine))]
    else:
        at = 0 if unique else count * worker // workers
        while True:
            yield mine[at % len(mine)]
            at += 1


# Rows of a data file that is too large to be held in memory by each load process.

_MARK = b"\xef\xbb\xbf"  # byte order mark


class LargeFile(Sequence[Row]):
    """A CSV, TSV or NDJSON file of which only the places are kept where rows begin: 8 bytes a row.

    The file is looked over once; a row is read when its turn comes, and what is wrong with it is
    found then. Processes share the pages that the kernel keeps of it.
    """

    def __init__(self, path: Path, name: str) -> None:
        """Raises UsageError, OSError."""
        self._name = name
        kind = data_format(name)
        self._comma = "" if kind == "ndjson" else delimiter(kind)
        self._begins = self._looked_over(path)
        with path.open("rb") as file:
            self._data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._head: list[str] = []
        self._first = 0
        if self._comma and self._begins:
            self._head = check_header(split_cells(self._text(0), self._comma, f"{name}:1"), name)
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
            return parse_json_row(text, where)
        return make_row(self._head, split_cells(text, self._comma, where), where)

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
