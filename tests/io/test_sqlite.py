"""Several processes open a new SQLite file at once, and none is turned away."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING

import pytest

from chapiteau.io.clock import SystemClock
from chapiteau.io.sqlite import enable_wal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextlib.contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(path, timeout=0.05, isolation_level=None)) as made:
        yield made


def test_whoever_comes_while_it_is_locked_waits(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite3"
    with opened(path) as first, opened(path) as second:
        first.execute("CREATE TABLE a (b)")
        first.execute("BEGIN EXCLUSIVE")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            enable_wal(second, patience=0.0)
        first.execute("COMMIT")
        enable_wal(second, patience=0.0)
        assert second.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_it_looks_again_until_the_lock_has_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "store.sqlite3"
    with opened(path) as first, opened(path) as second:
        first.execute("CREATE TABLE a (b)")
        first.execute("BEGIN EXCLUSIVE")
        monkeypatch.setattr(SystemClock, "sleep", lambda *_: first.execute("COMMIT"))
        enable_wal(second)
        assert second.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_what_is_no_database_is_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite3"
    path.write_bytes(b"no database" * 100)
    with opened(path) as database, pytest.raises(sqlite3.DatabaseError, match="not a database"):
        enable_wal(database)
