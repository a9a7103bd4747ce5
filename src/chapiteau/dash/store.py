"""What the hub must not forget: sessions, accounts, the audit trail. One SQLite file, mode 0600."""

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypedDict

from chapiteau.core.errors import ChapiteauError
from chapiteau.io.sqlite import Connection, enable_wal

__all__ = [
    "AuditEntry",
    "StorageError",
    "Store",
    "StoredAction",
    "StoredSession",
    "open_database",
    "transaction",
    "version",
    "writing",
]

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS session (
  id_hash TEXT PRIMARY KEY, name TEXT NOT NULL, role INTEGER NOT NULL,
  made REAL NOT NULL, used REAL NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS account (
  name TEXT PRIMARY KEY, role INTEGER NOT NULL, password TEXT NOT NULL, made REAL NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS audit (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, time REAL NOT NULL, who TEXT NOT NULL,
  verb TEXT NOT NULL, target TEXT NOT NULL, result TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS action (
  number INTEGER PRIMARY KEY AUTOINCREMENT, who TEXT NOT NULL, key TEXT NOT NULL,
  audit INTEGER NOT NULL, ended INTEGER NOT NULL DEFAULT 0, record TEXT NOT NULL, UNIQUE (who, key)
) STRICT;
CREATE TABLE IF NOT EXISTS mute (
  key TEXT PRIMARY KEY, until REAL NOT NULL, who TEXT NOT NULL
) STRICT;
"""


_RESERVE: Final = 4096  # bytes, for 128 sessions that ended while the disk was full
_HASH: Final = 32  # bytes of one


def open_database(path: Path, schema: str) -> sqlite3.Connection:
    """Open the hub's file, made with mode 0600 where it is missing; every write is durable.

    Several processes may have it open: the running hub, and commands that change accounts.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # Made by us with narrow rights before SQLite sees it: its -wal and -shm copy the mode.
    # Only when it is missing: closing a descriptor of a file drops all of the process's POSIX
    # locks on it, also those of another SQLite connection, and another process would then
    # throw away the write-ahead log that this one still needs.
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
    try:
        database = sqlite3.connect(path, isolation_level=None, timeout=5, factory=Connection)
        enable_wal(database)
        database.execute("PRAGMA synchronous=FULL")
        database.executescript(schema)
    except sqlite3.DatabaseError as exc:
        broken = exc.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
        cure = "move it away; the dashboard makes a new one"
        room = "see that its disk has room, and that this user may write there"
        raise ChapiteauError(f"{path}: not usable ({exc})", hint=cure if broken else room) from exc
    return database


@contextlib.contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[None]:
    """BEGIN IMMEDIATE … COMMIT, or ROLLBACK: another process may write the same file."""
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        if database.in_transaction:  # a full disk has rolled it back already
            database.execute("ROLLBACK")
        raise
    database.execute("COMMIT")


def version(database: sqlite3.Connection) -> tuple[int, int]:
    """Differs when anybody, we or another process, has written to the file since; costs 2 µs.

    https://www.sqlite.org/pragma.html#pragma_data_version tells of all other connections.
    """
    others: int = database.execute("PRAGMA data_version").fetchone()[0]
    return others, database.total_changes


class StorageError(ChapiteauError):
    """The hub can't write its file: mostly a full disk."""


@contextlib.contextmanager
def writing() -> Iterator[None]:
    """A disk that takes nothing is an error for people."""
    try:
        yield
    except (OSError, sqlite3.OperationalError) as exc:
        raise StorageError(
            f"the hub can't store what it is about to do: {exc}",
            hint="free some disk space where the hub runs",
        ) from exc


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSession:
    """A session as kept: its id only as a hash."""

    name: str
    role: int
    made: float
    used: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAction:
    """An action as kept; `record` is its author's."""

    number: int
    account: str
    key: str
    is_ended: bool
    record: str


def _hashes(reserve: bytes) -> list[str]:
    parts = (reserve[at : at + _HASH] for at in range(0, len(reserve), _HASH))
    return [part.hex() if any(part) else "" for part in parts]


class AuditEntry(TypedDict):
    """Who did what, and what came of it."""

    seq: int
    time: float
    who: str
    verb: str
    target: str
    result: str


_OPEN: Final = "begun; its result is not known yet"
_LOST: Final = "begun; the hub ended before it knew the result"


class Store:
    """The hub's file. Every write is on disk when the call returns."""

    def __init__(self, path: Path) -> None:
        self._db = open_database(path, _SCHEMA)
        self._ended = path.with_suffix(".ended")
        with contextlib.suppress(OSError):
            file = os.open(self._ended, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
            with contextlib.closing(os.fdopen(file, "r+b", buffering=0)) as reserve:
                reserve.write(bytes(_RESERVE - len(reserve.read())))

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    # ── sessions ──

    def keep_session(self, id_hash: str, session: StoredSession) -> None:
        """Write one session."""
        self._db.execute(
            "INSERT OR REPLACE INTO session VALUES (?, ?, ?, ?, ?)",
            (id_hash, session.name, session.role, session.made, session.used),
        )

    def touch_session(self, id_hash: str, used: float) -> bool:
        """Note that it was used; False when it is gone."""
        cursor = self._db.execute("UPDATE session SET used = ? WHERE id_hash = ?", (used, id_hash))
        return cursor.rowcount > 0

    def has_session(self, id_hash: str) -> bool:
        """Whether nobody has ended it, here or in another process."""
        return bool(
            self._db.execute("SELECT 1 FROM session WHERE id_hash = ?", (id_hash,)).fetchone()
        )

    def sessions(self) -> dict[str, StoredSession]:
        """Every session by the hash of its id."""
        ended = self._take_ended()
        rows = self._db.execute("SELECT id_hash, name, role, made, used FROM session")
        return {
            row[0]: StoredSession(name=row[1], role=row[2], made=row[3], used=row[4])
            for row in rows
            if row[0] not in ended
        }

    def drop_session(self, id_hash: str) -> None:
        """Forget one session, on a full disk too: who logs out must not come back after a restart.

        Raises ChapiteauError when not even the reserve can be written.
        """
        try:
            self._db.execute("DELETE FROM session WHERE id_hash = ?", (id_hash,))
        except sqlite3.OperationalError as exc:
            try:
                self._note_ended(id_hash)
            except (OSError, ValueError):
                raise ChapiteauError(
                    f"logged out until the hub starts anew: it can't be stored ({exc})",
                    hint="free some disk space where the hub runs, then log in and out again",
                ) from exc

    def _note_ended(self, id_hash: str) -> None:
        """In place, in room that was made while there was some."""
        with self._ended.open("r+b", buffering=0) as reserve:
            ended = _hashes(reserve.read())
            reserve.seek(ended.index("") * _HASH)
            reserve.write(bytes.fromhex(id_hash))
            os.fsync(reserve)

    def _take_ended(self) -> set[str]:
        """Those of the reserve; they are dropped, and it is empty again, once there is room."""
        ended: set[str] = set()
        with (
            contextlib.suppress(OSError, sqlite3.OperationalError),
            self._ended.open("r+b", buffering=0) as reserve,
        ):
            ended.update(filter(None, _hashes(reserve.read())))
            if ended:
                rows = [(id_hash,) for id_hash in ended]
                self._db.executemany("DELETE FROM session WHERE id_hash = ?", rows)
                reserve.seek(0)
                reserve.write(bytes(_RESERVE))
                os.fsync(reserve)
        return ended

    # ── accounts ──

    def keep_account(self, name: str, role: int, password: str, made: float) -> None:
        """Add or change an account and end its sessions; `password` is already hashed.

        A session carries the role of its login: none may go on with rights of before.
        """
        with transaction(self._db):
            self._db.execute("DELETE FROM session WHERE name = ?", (name,))
            self._db.execute(
                "INSERT OR REPLACE INTO account VALUES (?, ?, ?, ?)", (name, role, password, made)
            )

    def rehash_password(self, name: str, before: str, after: str) -> None:
        """The same password under another hash, unless the account was changed meanwhile."""
        self._db.execute(
            "UPDATE account SET password = ? WHERE name = ? AND password = ?",
            (after, name, before),
        )

    def account(self, name: str) -> tuple[int, str] | None:
        """Role and hashed password."""
        row = self._db.execute(
            "SELECT role, password FROM account WHERE name = ?", (name,)
        ).fetchone()
        return (row[0], row[1]) if row else None

    def accounts(self) -> list[tuple[str, int]]:
        """Names and roles."""
        return [(r[0], r[1]) for r in self._db.execute("SELECT name, role FROM account ORDER BY 1")]

    def drop_account(self, name: str) -> bool:
        """Remove an account and its sessions; tells whether it was there."""
        with transaction(self._db):
            self._db.execute("DELETE FROM session WHERE name = ?", (name,))
            found = self._db.execute("DELETE FROM account WHERE name = ?", (name,))
        return found.rowcount > 0

    # ── actions: what was accepted, before the first command leaves ──

    def add_action(self, *, account: str, key: str, record: str, time: float, **line: str) -> int:
        """Keep a new one and its line (verb, target) of the audit trail. Returns its number.

        Raises StorageError; then nothing may be done.
        """
        with writing(), transaction(self._db):
            audit = self._audit(who=account, time=time, result="", **line)
            made = self._db.execute(
                "INSERT INTO action (who, key, audit, record) VALUES (?, ?, ?, ?)",
                (account, key, audit, record),
            )
            assert made.lastrowid is not None  # noqa: S101 — of an INSERT it never is
            return made.lastrowid

    def keep_action(self, number: int, record: str) -> None:
        """Keep how far it has come. Raises StorageError."""
        with writing():
            self._db.execute("UPDATE action SET record = ? WHERE number = ?", (record, number))

    def end_action(self, number: int, record: str, result: str, keep: int) -> None:
        """Keep how it ended, here and in its line; forget all but the last. Raises StorageError."""
        with writing(), transaction(self._db):
            self._db.execute(
                "UPDATE audit SET result = ? WHERE seq ="
                " (SELECT audit FROM action WHERE number = ?)",
                (result, number),
            )
            self._db.execute(
                "UPDATE action SET record = ?, ended = 1 WHERE number = ?", (record, number)
            )
            self._db.execute("DELETE FROM action WHERE ended AND number <= ?", (number - keep,))

    def actions(self) -> list[StoredAction]:
        """All that are kept, oldest first."""
        rows = self._db.execute("SELECT number, who, key, ended, record FROM action ORDER BY 1")
        return [
            StoredAction(number=r[0], account=r[1], key=r[2], is_ended=bool(r[3]), record=r[4])
            for r in rows
        ]

    # ── audit ──

    def mutes(self) -> dict[str, tuple[float, str]]:
        """Muted problems by key: until when, and by whom."""
        rows = self._db.execute("SELECT key, until, who FROM mute")
        return {key: (until, who) for key, until, who in rows}

    def mute(self, key: str, until: float, who: str, now: float) -> None:
        """Mute a problem, or with a moment that is over let it be heard; old ones are forgotten."""
        self._db.execute("DELETE FROM mute WHERE key = ? OR until < ?", (key, now))
        if until > now:
            self._db.execute("INSERT INTO mute VALUES (?, ?, ?)", (key, until, who))

    def audit(self, *, who: str, verb: str, target: str, result: str, time: float) -> int:
        """Append one line to the audit trail; without a result it is open. Returns its number.

        Raises StorageError.
        """
        with writing():
            return self._audit(who=who, verb=verb, target=target, result=result, time=time)

    def conclude(self, seq: int, result: str) -> None:
        """What came of it. Raises StorageError."""
        with writing():
            self._db.execute("UPDATE audit SET result = ? WHERE seq = ?", (result, seq))

    def conclude_lost(self) -> None:
        """When a hub starts: lines that the one before left open, but those of actions."""
        with contextlib.suppress(sqlite3.OperationalError):  # a full disk: at the next start
            self._db.execute(
                "UPDATE audit SET result = ? WHERE result = ''"
                " AND seq NOT IN (SELECT audit FROM action WHERE NOT ended)",
                (_LOST,),
            )

    def _audit(self, *, who: str, verb: str, target: str, result: str, time: float) -> int:
        made = self._db.execute(
            "INSERT INTO audit (time, who, verb, target, result) VALUES (?, ?, ?, ?, ?)",
            (time, who, verb, target, result),
        )
        return made.lastrowid or 0

    def audit_trail(self, before: int = 0, most: int = 200) -> Iterator[AuditEntry]:
        """Newest first; `before` is the sequence number of the last one already known."""
        rows = self._db.execute(
            "SELECT seq, time, who, verb, target, result FROM audit"
            " WHERE ? = 0 OR seq < ? ORDER BY seq DESC LIMIT ?",
            (before, before, most),
        )
        for row in rows:
            seq, time, who, verb, target, result = row
            yield {
                "seq": seq,
                "time": time,
                "who": who,
                "verb": verb,
                "target": target,
                "result": result or _OPEN,
            }
