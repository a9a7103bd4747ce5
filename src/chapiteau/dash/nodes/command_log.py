"""Commands that a node has taken on: each at most once, whatever the network repeats."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from chapiteau.core.clock import Clock
from chapiteau.core.errors import ChapiteauError
from chapiteau.dash.fleet.node import Node
from chapiteau.dash.nodes.contract import NodeCommand, check_command
from chapiteau.dash.store import open_database

__all__ = ["CommandLog", "CommandReceiver"]

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS command (
  id TEXT PRIMARY KEY, taken REAL NOT NULL, outcome TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE TABLE IF NOT EXISTS fence (one INTEGER PRIMARY KEY, seen INTEGER NOT NULL) STRICT;
"""
_KEPT: Final = 7 * 86_400.0  # seconds; far longer than any command may be repeated
_SWEEP: Final = 3600.0  # seconds between two looks for what is older
_LOST: Final = {
    "ok": False,
    "error": "the node's agent ended while this ran; whether it was done is not known",
    "hint": "look at the service before you try again",
    "exit_code": 1,
    "data": {},
}


class CommandLog:
    """Remembers command ids on disk before anything is done, and outcomes after."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._db = open_database(path, _SCHEMA)
        self._clock = clock
        self._swept = 0.0
        self._running: dict[str, asyncio.Task[dict[str, Any]]] = {}
        row = self._db.execute("SELECT seen FROM fence").fetchone()
        self.fence: int = row[0] if row else 0  # the greatest lease that ever steered this node

    def raise_fence(self, fence: int) -> None:
        """From now on whoever acts under a lesser lease is refused."""
        if fence > self.fence:
            self._db.execute("INSERT OR REPLACE INTO fence VALUES (1, ?)", (fence,))
            self.fence = fence

    def knows(self, command_id: str) -> bool:
        """Whether this command was taken on before."""
        return command_id in self._running or self._outcome(command_id) is not None

    def once(
        self, command_id: str, work: Callable[[], Awaitable[dict[str, Any]]]
    ) -> Awaitable[dict[str, Any]]:
        """The outcome of the command: done now, running still, or done before.

        Its id is on disk when this returns. A caller that goes away stops nothing: the command
        runs to its end.
        """
        task = self._running.get(command_id)
        if task is None:
            outcome = self._outcome(command_id)
            if outcome is not None:
                known: asyncio.Future[dict[str, Any]] = asyncio.Future()
                known.set_result({**_outcome(outcome), "replayed": True})
                return known
            self._take(command_id)
            task = asyncio.create_task(self._run(command_id, work))
            self._running[command_id] = task
            task.add_done_callback(lambda _: self._running.pop(command_id, None))
        return asyncio.shield(task)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _outcome(self, command_id: str) -> str | None:
        row = self._db.execute("SELECT outcome FROM command WHERE id = ?", (command_id,)).fetchone()
        return str(row[0]) if row else None

    def _take(self, command_id: str) -> None:
        now = self._clock.wall()
        self._db.execute("INSERT INTO command (id, taken) VALUES (?, ?)", (command_id, now))
        if abs(now - self._swept) > _SWEEP:
            self._swept = now
            self._db.execute("DELETE FROM command WHERE taken < ?", (now - _KEPT,))

    async def _run(
        self, command_id: str, work: Callable[[], Awaitable[dict[str, Any]]]
    ) -> dict[str, Any]:
        outcome = await work()
        self._db.execute(
            "UPDATE command SET outcome = ? WHERE id = ?", (json.dumps(outcome), command_id)
        )
        return outcome


def _outcome(kept: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(kept) if kept else _LOST
    return found


# A node's side of commands: what it takes on, and that it does nothing twice.


class CommandReceiver:
    """Takes orders for one node, whichever way they came."""

    def __init__(self, node: Node, ledger: CommandLog) -> None:
        self.node = node
        self.ledger = ledger

    def begin(self, order: NodeCommand) -> Awaitable[dict[str, Any]]:
        """Take it on: its id is on disk when this returns. Await what it gives for the outcome.

        A replayed order gets the first outcome. Whoever waits may go away: what was begun runs to
        its end. Raises NotAllowedError, undone.
        """
        if not self.ledger.knows(order.id):
            check_command(order, self.ledger.fence)
            self.ledger.raise_fence(order.fence)
        return self.ledger.once(order.id, lambda: self._do(order))

    async def _do(self, order: NodeCommand) -> dict[str, Any]:
        try:
            return await self.node.command(order.verb, order.service, order.options, order.who)
        except ChapiteauError as exc:
            return {
                "ok": False,
                "error": exc.what,
                "hint": exc.hint,
                "exit_code": exc.exit_code,
                "data": {},
            }
