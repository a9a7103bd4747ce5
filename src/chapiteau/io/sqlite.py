"""SQLite files that several processes open at once."""

import contextlib
import sqlite3
from typing import Final

from chapiteau.io.clock import SystemClock

__all__ = ["Connection", "enable_wal"]

_PATIENCE: Final = 10.0  # seconds
_PAUSE: Final = 0.005


class Connection(sqlite3.Connection):
    """Closed with its owner or its thread: Python 3.13 warns of one that is only forgotten."""

    def __del__(self) -> None:
        with contextlib.suppress(sqlite3.ProgrammingError):  # another thread collects it
            self.close()


def enable_wal(database: sqlite3.Connection, patience: float = _PATIENCE) -> None:
    """Let readers go on while one writes (https://www.sqlite.org/wal.html).

    SQLite does not wait for whoever does the same at this moment, as the first processes of a
    service do: its time limit does not hold for this one statement. Raises sqlite3.OperationalError
    when the file is locked for longer, or what else SQLite says.
    """
    clock = SystemClock()
    until = clock.now() + patience
    while True:
        try:
            database.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as exc:
            if exc.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or clock.now() >= until:
                raise
            clock.sleep(_PAUSE)
        else:
            return
