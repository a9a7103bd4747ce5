"""Wanted states and leases in the hub's own SQLite file: nothing to install."""

import asyncio
import contextlib
import json
import sqlite3
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final

import msgspec

from chapiteau.core.clock import Clock
from chapiteau.dash.nodes.contract import (
    DesiredServices,
    Lease,
    LeaseHeldError,
    StaleGenerationError,
)
from chapiteau.dash.store import open_database, transaction, version

__all__ = ["SqliteDesiredState", "SqliteLeases"]

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS wanted (
  node TEXT PRIMARY KEY, generation INTEGER NOT NULL, services TEXT NOT NULL, who TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS lease (
  name TEXT PRIMARY KEY, holder TEXT NOT NULL, fence INTEGER NOT NULL, until REAL NOT NULL,
  ttl REAL NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;
"""
_AHEAD: Final = 1_000  # what a hub that takes over leaps: more than the one before may still use
_LOOK: Final = 1.0  # seconds between two looks for what a command line wrote


class SqliteDesiredState:
    """States. The command line writes the same file: one look each second serves all watchers."""

    def __init__(self, path: Path) -> None:
        self._db = open_database(path, _SCHEMA)
        self._news = asyncio.Condition()
        self._watchers = 0
        self._looker: asyncio.Task[None] | None = None

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    async def get(self, node: str) -> DesiredServices:
        """The newest."""
        return self._get(node)

    async def put(self, wanted: DesiredServices, *, expect: int) -> DesiredServices:
        """Replace it."""
        with transaction(self._db):
            found = self._get(wanted.node)
            if found.generation != expect:
                raise StaleGenerationError(found)
            made = msgspec.structs.replace(wanted, generation=self._next())
            self._db.execute(
                "INSERT OR REPLACE INTO wanted VALUES (?, ?, ?, ?)",
                (made.node, made.generation, json.dumps(made.services), made.who),
            )
        async with self._news:
            self._news.notify_all()
        return made

    async def watch(self, node: str, after: int) -> AsyncIterator[DesiredServices]:
        """Newer ones."""
        with self._looking():
            while True:
                async with self._news:
                    # Looked at with the lock held: what is written from now on is told.
                    while (found := self._get(node)).generation <= after:
                        await self._news.wait()
                after = found.generation
                yield found

    @contextlib.contextmanager
    def _looking(self) -> Iterator[None]:
        self._watchers += 1
        if self._looker is None:
            self._looker = asyncio.create_task(self._look(version(self._db)))
        try:
            yield
        finally:
            self._watchers -= 1
            if not self._watchers:
                self._looker.cancel()
                self._looker = None

    async def _look(self, seen: tuple[int, int]) -> None:
        while True:
            await asyncio.sleep(_LOOK)
            with contextlib.suppress(sqlite3.Error):  # a file that is busy now is read next time
                if (now := version(self._db)) != seen:
                    seen = now
                    async with self._news:
                        self._news.notify_all()

    def every(self) -> list[DesiredServices]:
        """Of all nodes, by name."""
        rows = self._db.execute("SELECT node, generation, services, who FROM wanted ORDER BY node")
        return [_wanted(row) for row in rows]

    async def adopt(self, theirs: DesiredServices) -> DesiredServices:
        """A node has a later one than we do: our file was restored from a copy. Theirs counts.

        It gets a new generation, greater than any that this node has seen; returns what is
        wanted now.
        """
        ours = self._get(theirs.node)
        if theirs.generation > ours.generation:
            self._raise_to(theirs.generation)
            with contextlib.suppress(StaleGenerationError):
                return await self.put(theirs, expect=ours.generation)
        return self._get(theirs.node)

    def leap(self) -> None:
        """Leave so many generations to the hub of which our file is a copy: ours are greater."""
        self._raise_to(self._counter() + _AHEAD)

    def _raise_to(self, generation: int) -> None:
        with transaction(self._db):
            if self._counter() < generation:
                self._db.execute(
                    "INSERT OR REPLACE INTO counter VALUES ('generation', ?)", (generation,)
                )

    def _get(self, node: str) -> DesiredServices:
        row = self._db.execute(
            "SELECT node, generation, services, who FROM wanted WHERE node = ?", (node,)
        ).fetchone()
        return _wanted(row) if row else DesiredServices(node=node)

    def _next(self) -> int:
        made = self._counter() + 1
        self._db.execute("INSERT OR REPLACE INTO counter VALUES ('generation', ?)", (made,))
        return made

    def _counter(self) -> int:
        row = self._db.execute("SELECT value FROM counter WHERE name = 'generation'").fetchone()
        return int(row[0]) if row else 0


class SqliteLeases:
    """Leases. All who ask share this machine and its clock."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._db = open_database(path, _SCHEMA)
        self._clock = clock

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    async def take(self, name: str, holder: str, ttl: float) -> Lease:
        """Take it."""
        now = self._clock.wall()
        with transaction(self._db):
            row = self._db.execute(
                "SELECT holder, fence, until, ttl FROM lease WHERE name = ?", (name,)
            ).fetchone()
            # What ends later than it can was written by a clock that has been set back since.
            if row and row[0] not in ("", holder) and now < row[2] <= now + 2 * row[3]:
                raise LeaseHeldError(
                    f"{row[0]} has the lease {name!r}",
                    hint=f"it runs out in {row[2] - now:.0f} s unless that one renews it",
                )
            fence = (row[1] if row else 0) + 1
            self._db.execute(
                "INSERT OR REPLACE INTO lease VALUES (?, ?, ?, ?, ?)",
                (name, holder, fence, now + ttl, ttl),
            )
        return Lease(name=name, holder=holder, fence=fence, ttl=ttl)

    async def keep(self, lease: Lease) -> None:
        """Renew it."""
        kept = self._db.execute(
            "UPDATE lease SET until = ? WHERE name = ? AND fence = ? AND holder = ?",
            (self._clock.wall() + lease.ttl, lease.name, lease.fence, lease.holder),
        )
        if not kept.rowcount:
            raise LeaseHeldError(f"the lease {lease.name!r} went to another")

    async def drop(self, lease: Lease) -> None:
        """Give it back; its fence stays, so that the next one is greater."""
        self._db.execute(
            "UPDATE lease SET holder = '', until = 0 WHERE name = ? AND fence = ? AND holder = ?",
            (lease.name, lease.fence, lease.holder),
        )

    def take_over(self, name: str) -> int:
        """Make the lease free, and the next fence far greater than ours was. Returns it.

        Far, because the hub before may live: each of its starts takes one more. What nodes say
        does not count: one that lies could leave no fence above its own.
        """
        held = self._db.execute("SELECT fence FROM lease WHERE name = ?", (name,)).fetchone()
        fence = (int(held[0]) if held else 0) + _AHEAD
        self._db.execute(
            "INSERT INTO lease VALUES (?, '', ?, 0, 0) ON CONFLICT (name) DO UPDATE"
            " SET fence = excluded.fence, holder = '', until = 0",
            (name, fence),
        )
        return fence


def _wanted(row: tuple[str, int, str, str]) -> DesiredServices:
    return DesiredServices(node=row[0], generation=row[1], services=json.loads(row[2]), who=row[3])
