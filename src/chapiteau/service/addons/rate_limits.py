"""Stores of rate limits, and the gate that asks them."""

import sqlite3
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any, Final, Protocol

from chapiteau.core.clock import Clock
from chapiteau.io.sqlite import enable_wal
from chapiteau.service.pipeline.reply import CORS_KEY
from chapiteau.service.protocol.problem import ProblemError
from chapiteau.service.protocol.rate_limit import RateDecision, RateLimit, rate_headers, spend

__all__ = ["MemoryRates", "RateGate", "RateStore", "SqliteRates", "TooManyRequestsError"]

_MOST: Final = 100_000  # budgets that a MemoryRates keeps


class TooManyRequestsError(ProblemError):
    """The client has asked too often (429, RFC 6585)."""

    status = 429
    code = "too-many-requests"
    title = "Too many requests"


class RateStore(Protocol):
    """Keeps budgets; `spend` is atomic over all threads and processes that share the store."""

    def spend(self, key: str, limit: RateLimit, now: float) -> RateDecision:
        """Take one request from the budget of `key`; `now` in seconds of the wall clock."""
        ...


class MemoryRates:
    """For one process; the budgets that nobody has used for longest go first."""

    def __init__(self, *, most: int = _MOST) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._whole_at: OrderedDict[str, float] = OrderedDict()

    def spend(self, key: str, limit: RateLimit, now: float) -> RateDecision:
        """See RateStore."""
        with self._lock:
            self._whole_at[key], verdict = spend(limit, self._whole_at.get(key), now)
            self._whole_at.move_to_end(key)
            while len(self._whole_at) > self._most:
                self._whole_at.popitem(last=False)
            return verdict


class SqliteRates:
    """For all processes of one machine: a SQLite file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._local = threading.local()
        db = self._db()
        enable_wal(db)
        db.execute(
            "CREATE TABLE IF NOT EXISTS rates"
            " (key TEXT PRIMARY KEY, whole_at REAL NOT NULL) WITHOUT ROWID"
        )
        db.execute("CREATE INDEX IF NOT EXISTS rates_whole ON rates (whole_at)")

    def _db(self) -> sqlite3.Connection:
        found: sqlite3.Connection | None = getattr(self._local, "db", None)
        if found is None:
            found = sqlite3.connect(self._path, timeout=10.0, isolation_level=None)
            # A budget that a power cut forgets is no loss: don't wait for the disk.
            found.execute("PRAGMA synchronous = OFF")
            self._local.db = found
        return found

    def spend(self, key: str, limit: RateLimit, now: float) -> RateDecision:
        """See RateStore."""
        db = self._db()
        db.execute("BEGIN IMMEDIATE")
        try:
            # A budget that is whole again says nothing: it need not be kept.
            db.execute("DELETE FROM rates WHERE whole_at < ?", (now,))
            row = db.execute("SELECT whole_at FROM rates WHERE key = ?", (key,)).fetchone()
            whole_at, verdict = spend(limit, row and row[0], now)
            db.execute("INSERT OR REPLACE INTO rates VALUES (?, ?)", (key, whole_at))
        except BaseException:
            db.execute("ROLLBACK")
            raise
        db.execute("COMMIT")
        return verdict


class RateGate:
    """Lets requests of an application through, or not."""

    def __init__(self, clock: Clock) -> None:
        self.store: RateStore = MemoryRates()
        self._clock = clock

    def enter(self, limit: RateLimit, operation: str, request: Any) -> list[tuple[str, str]]:
        """The headers of the answer. Raises TooManyRequestsError.

        An answer that is an error gets them by the environ, as it gets those of CORS.
        """
        environ = request.environ
        who = environ.get("REMOTE_ADDR", "") if limit.by is None else limit.by(request)
        key = f"{limit.name or operation} {who}"
        verdict = self.store.spend(key, limit, self._clock.wall())
        headers = rate_headers(limit, verdict)
        environ[CORS_KEY] = [*environ.get(CORS_KEY, ()), *headers]
        if not verdict.allowed:
            raise TooManyRequestsError(f"{limit.requests} in {limit.seconds:g} s are allowed")
        return headers
