"""Rows of a data file, and which of them is whose turn."""

import csv
import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from chapiteau.core.errors import UsageError

if TYPE_CHECKING:
    import random

__all__ = ["ORDERS", "Order", "Row", "parse_rows", "turns"]

Row = dict[str, Any]
Order = Literal["sequential", "random", "once"]
ORDERS: Final = get_args(Order)


def parse_rows(text: str, name: str) -> list[Row]:
    """The rows of a file, by its name's ending: CSV with a head line, a JSON list, or NDJSON.

    Raises UsageError with the line that is wrong.
    """
    kind = name.rpartition(".")[2].lower()
    if kind in {"csv", "tsv"}:
        rows = _csv(text, name, "\t" if kind == "tsv" else ",")
    elif kind == "json":
        rows = _json(text, name)
    elif kind in {"ndjson", "jsonl"}:
        rows = list(_lines(text, name))
    else:
        raise UsageError(f"{name}: no kind of data", hint="one of .csv .tsv .json .ndjson .jsonl")
    if not rows:
        raise UsageError(f"{name}: no rows in it")
    return rows


def _csv(text: str, name: str, comma: str) -> list[Row]:
    """RFC 4180, with a byte order mark or without; values stay text."""
    lines = (line + "\n" for line in text.removeprefix("\ufeff").split("\n"))
    reader = csv.reader(lines, delimiter=comma)
    head = next(reader, [])
    if len(set(head)) != len(head):
        raise UsageError(f"{name}:1: a column's name stands there twice")
    rows = []
    for cells in _cells(reader, name):
        if not cells:
            continue
        if len(cells) != len(head):
            raise UsageError(
                f"{name}:{reader.line_num}: {len(cells)} cells under {len(head)} names",
                hint='a cell with a comma in it is written in "quotes"',
            )
        rows.append(dict(zip(head, cells, strict=True)))
    return rows


def _cells(reader: Any, name: str) -> Iterator[list[str]]:
    try:
        yield from reader
    except csv.Error as exc:
        raise UsageError(f"{name}:{reader.line_num}: {exc}") from None


def _json(text: str, name: str) -> list[Row]:
    try:
        value = json.loads(text)
    except ValueError as exc:
        raise UsageError(f"{name}: no JSON: {exc}") from None
    if not isinstance(value, list):
        raise UsageError(f"{name}: not a list of rows", hint="NDJSON is named .ndjson or .jsonl")
    return [_row(item, f"{name}: item {number}") for number, item in enumerate(value)]


def _lines(text: str, name: str) -> Iterator[Row]:
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                value = json.loads(line)
            except ValueError as exc:
                raise UsageError(f"{name}:{number}: no JSON: {exc}") from None
            yield _row(value, f"{name}:{number}")


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
