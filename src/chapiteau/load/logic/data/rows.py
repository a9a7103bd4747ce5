"""Rows of a data file, and which of them is whose turn."""

import csv
import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from chapiteau.core.errors import UsageError

if TYPE_CHECKING:
    import random

__all__ = [
    "ORDERS",
    "Order",
    "Row",
    "cells_of",
    "comma_of",
    "head_of",
    "json_row",
    "kind_of",
    "parse_rows",
    "row_of",
    "turns",
]

Row = dict[str, Any]
Order = Literal["sequential", "random", "once"]
ORDERS: Final = get_args(Order)


def parse_rows(text: str, name: str) -> list[Row]:
    """The rows of a file, by its name's ending: CSV with a head line, a JSON list, or NDJSON.

    Raises UsageError with the line that is wrong.
    """
    kind = kind_of(name)
    text = text.removeprefix("\ufeff")
    if kind in {"csv", "tsv"}:
        rows = _csv(text, name, comma_of(kind))
    elif kind == "json":
        rows = _json(text, name)
    else:
        rows = list(_lines(text, name))
    if not rows:
        raise UsageError(f"{name}: no rows in it")
    return rows


def kind_of(name: str) -> str:
    """What kind of data a file holds, by its name's ending. Raises UsageError."""
    kind = name.rpartition(".")[2].lower()
    if kind in {"csv", "tsv", "json"}:
        return kind
    if kind in {"ndjson", "jsonl"}:
        return "ndjson"
    raise UsageError(f"{name}: no kind of data", hint="one of .csv .tsv .json .ndjson .jsonl")


def comma_of(kind: str) -> str:
    """What stands between two cells."""
    return "\t" if kind == "tsv" else ","


def _csv(text: str, name: str, comma: str) -> list[Row]:
    """RFC 4180; values stay text."""
    reader = _reader(text, comma)
    cells = _cells(reader, name)
    head = head_of(next(cells, []), name)
    return [row_of(head, found, f"{name}:{reader.line_num}") for found in cells if found]


def _reader(text: str, comma: str) -> Any:
    return csv.reader((line + "\n" for line in text.split("\n")), delimiter=comma, strict=True)


def head_of(cells: list[str], name: str) -> list[str]:
    """The names of the columns. Raises UsageError when one stands there twice."""
    if len(set(cells)) != len(cells):
        raise UsageError(f"{name}:1: a column's name stands there twice")
    return cells


def row_of(head: list[str], cells: list[str], where: str) -> Row:
    """A line of a table. Raises UsageError when it does not fit under the names."""
    if len(cells) != len(head):
        raise UsageError(
            f"{where}: {len(cells)} cells under {len(head)} names",
            hint='a cell with a comma in it is written in "quotes"',
        )
    return dict(zip(head, cells, strict=True))


def cells_of(text: str, comma: str, where: str) -> list[str]:
    """The cells of one line, which may have line breaks in quotes. Raises UsageError."""
    return next(_cells(_reader(text.rstrip("\r\n"), comma), where), [])


def json_row(text: str, where: str) -> Row:
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
            yield json_row(line, f"{name}:{number}")


def _row(value: Any, where: str) -> Row:
    """An object is a row; anything else is one under the name `value`."""
    if isinstance(value, dict):
        return value
    if isinstance(value, (list, type(None))):
        raise UsageError(f"{where}: a row is an object, a text or a number")
    return {"value": value}


def turns(
    count: int, order: Order, worker: int, workers: int, chance: "random.Random", *, unique: bool
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
