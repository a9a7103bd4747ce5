"""What the stores of keys, budgets and jobs share: memory, a SQLite file, Redis."""

import contextlib
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

from chapiteau.io.sqlite import Connection, enable_wal
from chapiteau.service.errors import DeclarationError

__all__ = ["LockedMap", "RedisConnection", "SqliteTable"]

V = TypeVar("V")

_BUSY: Final = 10.0  # seconds that a connection waits for another one's transaction
_WAIT: Final = 0.5  # seconds for an answer of Redis


class LockedMap(Generic[V]):
    """For the threads of one process; of more than `most` entries the oldest go first."""

    def __init__(self, *, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, V] = OrderedDict()

    def _put(self, key: str, value: V) -> None:
        """Keep an entry as the newest; the caller holds the lock."""
        self._kept[key] = value
        self._kept.move_to_end(key)
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)


class SqliteTable:
    """For all processes of one machine: a table of a SQLite file, one connection per thread."""

    schema: str  # statements that make the table
    synchronous = "FULL"  # OFF for what a power cut may forget

    def __init__(self, path: Path) -> None:
        self._path = path
        self._local = threading.local()
        enable_wal(self._db)
        self._db.executescript(self.schema)

    @property
    def _db(self) -> sqlite3.Connection:
        found: sqlite3.Connection | None = getattr(self._local, "db", None)
        if found is None:
            found = sqlite3.connect(
                self._path,
                timeout=_BUSY,
                isolation_level=None,
                check_same_thread=False,  # but for its end
                factory=Connection,
            )
            found.execute(f"PRAGMA synchronous = {self.synchronous}")
            self._local.db = found
        return found

    def close(self) -> None:
        """Close the connection of this thread."""
        self._db.close()
        del self._local.db

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """Nobody else writes meanwhile; an exception undoes everything."""
        db = self._db
        db.execute("BEGIN IMMEDIATE")
        try:
            yield db
        except BaseException:
            db.execute("ROLLBACK")
            raise
        db.execute("COMMIT")


class RedisConnection:
    """For all machines that ask the same Redis (or Valkey); connects when it is first asked.

    `url` is redis://, rediss:// or unix://. Raises DeclarationError when the client library is not
    installed.
    """

    def __init__(self, url: str, prefix: str) -> None:
        try:
            import redis
        except ImportError:
            raise DeclarationError(
                "this store needs redis, which is not installed",
                hint="pip install 'chapiteau[redis]'",
            ) from None
        try:
            made = redis.Redis.from_url(url, socket_timeout=_WAIT, socket_connect_timeout=_WAIT)
        except ValueError as exc:
            raise DeclarationError(
                f"{url} is no address of Redis: {exc}", hint="write redis://host:6379/0"
            ) from None
        made.set_retry(redis.retry.Retry(redis.backoff.NoBackoff(), 1))
        self._client: Any = made
        self._errors = redis.RedisError
        self._prefix = prefix

    def close(self) -> None:
        """Close the connections."""
        self._client.close()
