"""Rows from a file for a scenario, one at a time."""

import random
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from chapiteau.core.errors import NotFoundError, UsageError
from chapiteau.core.problems import did_you_mean
from chapiteau.load.engine.session import Session
from chapiteau.load.errors import DataUsedUpError
from chapiteau.load.scenario.data_files import (
    ORDERS,
    LargeFile,
    Order,
    Row,
    data_format,
    parse_rows,
    row_indexes,
)

__all__ = ["Feeder", "feeder"]

_LARGE: Final = 32 << 20  # bytes of a file that is not held in memory


class Feeder:
    """Gives a scenario one row after the other; made by `feeder`."""

    def __init__(self, rows: Sequence[Row], order: Order, *, unique: bool, name: str) -> None:
        self.rows = rows
        self._order = order
        self._unique = unique
        self._name = name
        self._turns: Iterator[int] | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def next(self, session: Session) -> Row:
        """The next row for this session; of a file used `once`, the last one ends the load.

        A row is the same object each time it comes: copy it before changing it.
        """
        if self._order == "random" and not self._unique:
            return self.rows[session.random.randrange(len(self.rows))]
        if self._turns is None:
            chance = random.Random(f"{session.seed}/{self._name}")  # noqa: S311
            self._turns = row_indexes(
                len(self.rows), self._order, session.worker, session.workers, chance,
                unique=self._unique,
            )  # fmt: skip
        index = next(self._turns, None)
        if index is not None:
            return self.rows[index]
        if self._order == "once":
            raise DataUsedUpError(f"all {len(self.rows)} rows of {self._name} are used up")
        raise UsageError(
            f"{self._name}: {len(self.rows)} rows are too few for {session.workers} load processes",
            hint="each needs rows of its own: give more rows, or fewer --processes",
        )

    def mine(self, session: Session) -> Row:
        """The row of this virtual user: always the same one, and nobody else's.

        Raises UsageError when there are more users than rows.
        """
        number = (session.user - 1) * session.workers + session.worker
        if number >= len(self.rows):
            raise UsageError(
                f"{self._name}: {len(self.rows)} rows are too few: user {number + 1} has none",
                hint="give more rows, or fewer --users (in an open model: --most-users)",
            )
        return self.rows[number]


def feeder(path: str | Path, order: Order = "sequential", *, unique: bool = False) -> Feeder:
    """Rows of a CSV, TSV, JSON or NDJSON file; a relative path starts at the scenario's file.

    `order` is `sequential` (again from the start after the last), `random`, or `once` (each row
    one time in the whole run, which ends when they are used up). With `unique`, no two load
    processes take the same row. Raises NotFoundError, UsageError.
    """
    if order not in ORDERS:
        raise UsageError(f"order {order!r}", hint=did_you_mean(order, ORDERS))
    caller = sys._getframe(1).f_globals.get("__file__", "")  # noqa: SLF001 — whose file it is
    whole = Path(caller).parent / path if caller else Path(path)
    rows: Sequence[Row]
    try:
        large = whole.stat().st_size > _LARGE and data_format(str(path)) != "json"
        rows = (
            LargeFile(whole, str(path))
            if large
            else parse_rows(whole.read_text(encoding="utf-8"), str(path))
        )
    except FileNotFoundError:
        raise NotFoundError(f"{whole}: no such file of data") from None
    except (OSError, UnicodeDecodeError) as exc:
        raise UsageError(f"{whole}: {exc}") from None
    return Feeder(rows, order, unique=unique, name=str(path))
