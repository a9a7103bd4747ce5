"""The database: one SQLite file in WAL mode, one connection per thread.

WAL lets every reader go on while one writer writes. A connection must not wander between
threads, and opening one costs more than a query: so each thread keeps its own.
"""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["SCHEMA", "Store", "connect"]

SCHEMA = """
CREATE TABLE country (
  code TEXT PRIMARY KEY, name TEXT NOT NULL, continent TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE city (
  id INTEGER PRIMARY KEY, name TEXT NOT NULL, sort_name TEXT NOT NULL,
  country TEXT NOT NULL REFERENCES country, population INTEGER NOT NULL,
  latitude REAL NOT NULL, longitude REAL NOT NULL, timezone TEXT NOT NULL
);
CREATE INDEX city_by_population ON city (population, id);
CREATE INDEX city_by_name ON city (sort_name, id);
CREATE INDEX city_by_country ON city (country, population, id);

-- Words of all names of a city, in every script, found by their beginnings.
CREATE VIRTUAL TABLE city_words USING fts5 (
  names, content='', prefix='2 3', tokenize="unicode61 remove_diacritics 2"
);
-- Boxes of one point each: which cities lie within a rectangle?
CREATE VIRTUAL TABLE city_place USING rtree (id, south, north, west, east);

CREATE TABLE note (
  id INTEGER PRIMARY KEY AUTOINCREMENT, city_id INTEGER NOT NULL REFERENCES city,
  author TEXT NOT NULL, text TEXT NOT NULL, stars INTEGER, version INTEGER NOT NULL DEFAULT 1,
  created TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  changed TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
);
CREATE INDEX note_by_city ON note (city_id, id);
"""


def connect(path: Path) -> sqlite3.Connection:
    """A connection that waits for its turn to write instead of failing at once."""
    made = sqlite3.connect(
        path,
        timeout=10.0,
        isolation_level=None,  # transactions begin where we say so
        cached_statements=256,
        check_same_thread=False,  # each thread has its own; only close() comes from another
    )
    made.row_factory = sqlite3.Row
    made.execute("PRAGMA foreign_keys = ON")
    made.execute("PRAGMA synchronous = NORMAL")
    return made


class Store:
    """Hands out the calling thread's connection."""

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise FileNotFoundError(f"{path} is not there: run `python -m atlas.fill {path}` first")
        self._path = path
        self._local = threading.local()
        self._opened: list[sqlite3.Connection] = []

    @property
    def db(self) -> sqlite3.Connection:
        """This thread's connection; each statement is a transaction of its own."""
        found: sqlite3.Connection | None = getattr(self._local, "db", None)
        if found is None:
            found = self._local.db = connect(self._path)
            self._opened.append(found)
        return found

    def close(self) -> None:
        """Close every thread's connection; for tests, when no thread asks any more."""
        for db in self._opened:
            db.close()

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction that may look first and then write: nobody else writes in between."""
        db = self.db
        db.execute("BEGIN IMMEDIATE")
        try:
            yield db
        except BaseException:
            db.execute("ROLLBACK")
            raise
        db.execute("COMMIT")

    def ping(self) -> bool:
        """Whether the database answers."""
        return self.db.execute("SELECT 1 FROM city LIMIT 1").fetchone() is not None
