"""`Idempotency-Key`: a request that is sent again is not done again (IETF draft 07).

The first request with a key takes it; a second one meanwhile is told to wait (409), a later one
gets the first one's answer, and another request under the same key is refused (422).
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec
from pyramid.response import Response

from chapiteau.core.clock import Clock
from chapiteau.service.addons.stores import LockedMap, SqliteTable
from chapiteau.service.pipeline.reply import Reply
from chapiteau.service.protocol.problem import ProblemError

__all__ = [
    "IdempotencyStore",
    "KeyInUseError",
    "KeyReusedError",
    "MemoryStore",
    "SavedResponse",
    "SqliteStore",
    "StoreUnavailableError",
    "run_once",
]

_MOST: Final = 10_000  # keys that a MemoryStore keeps
_HELD: Final = 60.0  # seconds after which a key whose holder never finished is free again


class KeyInUseError(ProblemError):
    """The same request is being done right now (409)."""

    status = 409
    code = "key-in-use"
    title = "The first request with this key is still running"


class KeyReusedError(ProblemError):
    """The key was used for another request (422)."""

    status = 422
    code = "key-reused"
    title = "This key belongs to another request"


class StoreUnavailableError(ProblemError):
    """Nobody can tell whether the key was used (503)."""

    status = 503
    code = "store-away"
    title = "Keys can't be looked up now"


class SavedResponse(msgspec.Struct, array_like=True):
    """What a store keeps for a key: whose it is, since when, and the answer once there is one."""

    fingerprint: str
    since: float
    status: str = ""
    headers: list[tuple[str, str]] = []
    body: bytes = b""


class IdempotencyStore(Protocol):
    """Keeps keys; `take` is atomic over all threads and processes that share the store."""

    def take(self, key: str, mine: SavedResponse, *, older_than: float) -> SavedResponse | None:
        """None when the key is now ours; else what is kept for it.

        An entry without answer that is older than `older_than` was left by a crash: ours too.
        """
        ...

    def keep(self, key: str, done: SavedResponse) -> None:
        """Keep the answer, if the key is still ours: `since` is that of `take`.

        Whoever was away for so long that another has taken the key must not touch it any more.
        """
        ...

    def drop(self, key: str, mine: SavedResponse) -> None:
        """Free the key, if it is still ours: the request failed, and may be tried again."""
        ...


class MemoryStore(LockedMap[SavedResponse]):
    """For one process; the oldest keys go first."""

    def __init__(self) -> None:
        super().__init__(most=_MOST)

    def take(self, key: str, mine: SavedResponse, *, older_than: float) -> SavedResponse | None:
        """See IdempotencyStore."""
        with self._lock:
            found = self._kept.get(key)
            if found is not None and (found.status or found.since > older_than):
                return found
            self._put(key, mine)
            return None

    def keep(self, key: str, done: SavedResponse) -> None:
        """See IdempotencyStore."""
        with self._lock:
            if self._is_held(key, done):
                self._kept[key] = done

    def drop(self, key: str, mine: SavedResponse) -> None:
        """See IdempotencyStore."""
        with self._lock:
            if self._is_held(key, mine):
                del self._kept[key]

    def _is_held(self, key: str, mine: SavedResponse) -> bool:
        found = self._kept.get(key)
        return found is not None and found.since == mine.since


class SqliteStore(SqliteTable):
    """For all processes of one machine: a SQLite file; entries live for `days`."""

    schema = (
        "CREATE TABLE IF NOT EXISTS idempotency"
        " (key TEXT PRIMARY KEY, since REAL NOT NULL, saved BLOB NOT NULL) WITHOUT ROWID"
    )

    def __init__(self, path: Path, *, days: float = 1.0) -> None:
        super().__init__(path)
        self._seconds = days * 86_400

    def take(self, key: str, mine: SavedResponse, *, older_than: float) -> SavedResponse | None:
        """See IdempotencyStore."""
        with self._transaction() as db:
            db.execute("DELETE FROM idempotency WHERE since < ?", (mine.since - self._seconds,))
            row = db.execute("SELECT saved FROM idempotency WHERE key = ?", (key,)).fetchone()
            found = None if row is None else msgspec.msgpack.decode(row[0], type=SavedResponse)
            if found is not None and (found.status or found.since > older_than):
                return found
            saved = (key, mine.since, msgspec.msgpack.encode(mine))
            db.execute("INSERT OR REPLACE INTO idempotency VALUES (?, ?, ?)", saved)
            return None

    def keep(self, key: str, done: SavedResponse) -> None:
        """See IdempotencyStore."""
        self._db.execute(
            "UPDATE idempotency SET saved = ? WHERE key = ? AND since = ?",
            (msgspec.msgpack.encode(done), key, done.since),
        )

    def drop(self, key: str, mine: SavedResponse) -> None:
        """See IdempotencyStore."""
        self._db.execute("DELETE FROM idempotency WHERE key = ? AND since = ?", (key, mine.since))


def run_once(
    store: IdempotencyStore, clock: Clock, key: str, fingerprint: str, run: Callable[[], Any]
) -> Any:
    """Run at most once per key. Raises KeyInUseError, KeyReusedError, and what `run` raises."""
    now = clock.wall()
    mine = SavedResponse(fingerprint, now)
    found = store.take(key, mine, older_than=now - _HELD)
    if found is not None:
        if found.fingerprint != fingerprint:
            raise KeyReusedError("send another Idempotency-Key with another request")
        if not found.status:
            raise KeyInUseError("wait, then send it again", headers={"Retry-After": "1"})
        return Reply(found.status, [*found.headers, ("Idempotency-Replayed", "true")], found.body)
    try:
        made = run()
    except BaseException:
        store.drop(key, mine)
        raise
    whole = _whole(made)
    if whole is not None and whole.status[0] != "5":
        kept = [(n, v) for n, v in whole.headers if n != "X-Request-ID"]
        store.keep(key, SavedResponse(fingerprint, now, whole.status, kept, whole.body))
    else:
        store.drop(key, mine)
    return made


def _whole(made: Any) -> Reply | None:
    """The answer with all its bytes; None for a stream, which nobody can keep."""
    if isinstance(made, Response) and isinstance(made.app_iter, list | tuple):
        return Reply(made.status, list(made.headerlist), b"".join(made.app_iter))
    return made if isinstance(made, Reply) else None
