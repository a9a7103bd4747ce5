"""Stores of rate limits, and the gate that asks them."""

from typing import Any, Final, Protocol

from chapiteau.core.clock import Clock
from chapiteau.service.addons.stores import LockedMap, SqliteTable
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


class MemoryRates(LockedMap[float]):
    """For one process; the budgets that nobody has used for longest go first."""

    def __init__(self, *, most: int = _MOST) -> None:
        super().__init__(most=most)

    def spend(self, key: str, limit: RateLimit, now: float) -> RateDecision:
        """See RateStore."""
        with self._lock:
            whole_at, decision = spend(limit, self._kept.get(key), now)
            self._put(key, whole_at)
            return decision


class SqliteRates(SqliteTable):
    """For all processes of one machine: a SQLite file."""

    schema = (
        "CREATE TABLE IF NOT EXISTS rates"
        " (key TEXT PRIMARY KEY, whole_at REAL NOT NULL) WITHOUT ROWID;"
        "CREATE INDEX IF NOT EXISTS rates_whole ON rates (whole_at)"
    )
    synchronous = "OFF"  # a budget that a power cut forgets is no loss: don't wait for the disk

    def spend(self, key: str, limit: RateLimit, now: float) -> RateDecision:
        """See RateStore."""
        with self._transaction() as db:
            # A budget that is whole again says nothing: it need not be kept.
            db.execute("DELETE FROM rates WHERE whole_at < ?", (now,))
            row = db.execute("SELECT whole_at FROM rates WHERE key = ?", (key,)).fetchone()
            whole_at, decision = spend(limit, row and row[0], now)
            db.execute("INSERT OR REPLACE INTO rates VALUES (?, ?)", (key, whole_at))
        return decision


class RateGate:
    """Lets requests of an application through, or not."""

    def __init__(self, clock: Clock) -> None:
        self._store: RateStore = MemoryRates()
        self._clock = clock

    def use(self, store: RateStore) -> None:
        """Keep budgets there from now on."""
        self._store = store

    def enter(self, limit: RateLimit, operation: str, request: Any) -> list[tuple[str, str]]:
        """The headers of the answer. Raises TooManyRequestsError.

        An answer that is an error gets them by the environ, as it gets those of CORS.
        """
        environ = request.environ
        who = environ.get("REMOTE_ADDR", "") if limit.by is None else limit.by(request)
        key = f"{limit.name or operation} {who}"
        decision = self._store.spend(key, limit, self._clock.wall())
        headers = rate_headers(limit, decision)
        environ[CORS_KEY] = [*environ.get(CORS_KEY, ()), *headers]
        if not decision.allowed:
            raise TooManyRequestsError(f"{limit.requests} in {limit.seconds:g} s are allowed")
        return headers
