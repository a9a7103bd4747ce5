"""What a node keeps: the desired state that it applied, and the commands that it accepted."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from chapiteau.core.clock import Clock
from chapiteau.core.errors import ChapiteauError
from chapiteau.dash.fleet.node import DesiredReport, Node
from chapiteau.dash.fleet.status import NodeStatus
from chapiteau.dash.nodes.contract import (
    DesiredServices,
    NodeCommand,
    check_command,
    drift,
    parse_desired,
    reconcile_steps,
)
from chapiteau.dash.store import open_database
from chapiteau.io.files import write_atomic
from chapiteau.run.logs.messages import Outcome

__all__ = [
    "COMMANDS_FILE",
    "DESIRED_FILE",
    "CommandLog",
    "CommandReceiver",
    "DesiredStateApplier",
    "forget_hub",
]

# Files in which a node keeps what its hub has sent.
DESIRED_FILE: Final = "wanted.json"
COMMANDS_FILE: Final = "commands.sqlite3"
_OPTIONS: Final = {"wait": False}  # the supervisor goes on by itself; drift tells how it went


class _Kept(Struct):
    wanted: DesiredServices
    supervisor: float  # when the supervisor that it was applied to was started


class DesiredStateApplier:
    """The last copy that was applied lies in `wanted.json`, and holds while the hub is away.

    It is applied when it is new, and again after the supervisor itself was started anew. In
    between whoever is on the server has the last word: what differs is reported as drift.
    """

    def __init__(self, node: Node, path: Path) -> None:
        self._node = node
        self._path = path
        self.refused = ""
        self._kept = _Kept(DesiredServices(node=node.name), 0.0)
        try:
            kept = msgspec.json.decode(path.read_bytes(), type=_Kept)
            parse_desired(kept.wanted.services)
            self._kept = kept
        except FileNotFoundError:
            pass
        except (OSError, ValueError, ChapiteauError) as exc:
            self.refused = f"{path}: not readable ({exc}); the hub's next desired state is applied"

    @property
    def applied(self) -> DesiredServices:
        """The desired state that is applied."""
        return self._kept.wanted

    async def apply(self, desired: DesiredServices) -> None:
        """Apply a newer one. Raises NodeAwayError when the supervisor does not answer."""
        if desired.generation < self.applied.generation:
            self.refused = (
                f"the hub's desired state has generation {desired.generation},"
                f" this node has {self.applied.generation}: not applied"
            )
        elif desired.generation > self.applied.generation:
            await self._apply(desired)

    async def reapply(self) -> None:
        """Apply the kept copy to a supervisor that was started since. May raise NodeAwayError."""
        if (
            self.applied.generation
            and (await self._node.status())["started_at"] != self._kept.supervisor
        ):
            await self._apply(self.applied)

    def report(self, status: NodeStatus) -> DesiredReport:
        """For the hub: which generation is applied, and where the services differ from it."""
        return {
            "generation": self.applied.generation,
            "services": self.applied.services,
            "who": self.applied.who,
            "drift": drift(self.applied, status),
            "refused": self.refused,
        }

    async def _apply(self, desired: DesiredServices) -> None:
        status = await self._node.status()
        who = f"{desired.who or 'hub'}, generation {desired.generation}"
        for service, verb, options in reconcile_steps(desired, status):
            if verb != "missing":
                # A refusal is no reason to leave the others; it shows as drift.
                await self._node.command(verb, service, {**_OPTIONS, **options}, who)
        self._kept, self.refused = _Kept(desired, status["started_at"]), ""
        write_atomic(self._path, msgspec.json.encode(self._kept), mode=0o600)


def forget_hub(folder: Path) -> None:
    """Drop the desired state and the commands of one hub: they mean nothing under another."""
    for name in (DESIRED_FILE, COMMANDS_FILE, f"{COMMANDS_FILE}-wal", f"{COMMANDS_FILE}-shm"):
        (folder / name).unlink(missing_ok=True)


# Commands that a node has accepted: each at most once, whatever the network repeats.

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS command (
  id TEXT PRIMARY KEY, taken REAL NOT NULL, outcome TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE TABLE IF NOT EXISTS fence (one INTEGER PRIMARY KEY, seen INTEGER NOT NULL) STRICT;
"""
_KEPT: Final = 7 * 86_400.0  # seconds; far longer than any command may be repeated
_SWEEP: Final = 3600.0  # seconds between two sweeps of what is older


class CommandLog:
    """Remembers command ids on disk before anything is done, and outcomes after."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._db = open_database(path, _SCHEMA)
        self._clock = clock
        self._swept = 0.0
        self._running: dict[str, asyncio.Task[Outcome]] = {}
        row = self._db.execute("SELECT seen FROM fence").fetchone()
        self.fence: int = row[0] if row else 0  # the greatest lease that ever led this node

    def raise_fence(self, fence: int) -> None:
        """From now on whoever acts under a lesser lease is refused."""
        if fence > self.fence:
            self._db.execute("INSERT OR REPLACE INTO fence VALUES (1, ?)", (fence,))
            self.fence = fence

    def knows(self, command_id: str) -> bool:
        """Whether this command was accepted before."""
        return command_id in self._running or self._outcome(command_id) is not None

    def once(self, command_id: str, work: Callable[[], Awaitable[Outcome]]) -> Awaitable[Outcome]:
        """The outcome of the command: done now, still running, or done before.

        Its id is on disk when this returns. A caller that goes away stops nothing: the command
        runs to its end.
        """
        task = self._running.get(command_id)
        if task is None:
            kept = self._outcome(command_id)
            if kept is not None:
                known: asyncio.Future[Outcome] = asyncio.Future()
                known.set_result(msgspec.json.decode(kept, type=Outcome) if kept else _UNKNOWN)
                return known
            self._accept(command_id)
            task = asyncio.create_task(self._run(command_id, work))
            self._running[command_id] = task
            task.add_done_callback(lambda _: self._running.pop(command_id, None))
        return asyncio.shield(task)

    async def recall(self, command_id: str) -> Outcome | None:
        """The outcome of a command, when it has one; None: it was never accepted."""
        if not self.knows(command_id):
            return None
        return await self.once(command_id, _never)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _outcome(self, command_id: str) -> str | None:
        row = self._db.execute("SELECT outcome FROM command WHERE id = ?", (command_id,)).fetchone()
        return str(row[0]) if row else None

    def _accept(self, command_id: str) -> None:
        now = self._clock.wall()
        self._db.execute("INSERT INTO command (id, taken) VALUES (?, ?)", (command_id, now))
        if abs(now - self._swept) > _SWEEP:
            self._swept = now
            self._db.execute("DELETE FROM command WHERE taken < ?", (now - _KEPT,))

    async def _run(self, command_id: str, work: Callable[[], Awaitable[Outcome]]) -> Outcome:
        outcome = await work()
        self._db.execute(
            "UPDATE command SET outcome = ? WHERE id = ?",
            (msgspec.json.encode(outcome).decode(), command_id),
        )
        return outcome


async def _never() -> Outcome:
    raise AssertionError("a known command is not begun")


class CommandReceiver:
    """Accepts commands for one node, whichever way they came; does nothing twice."""

    def __init__(self, node: Node, log: CommandLog) -> None:
        self.node = node
        self.log = log

    def begin(self, command: NodeCommand) -> Awaitable[Outcome]:
        """Accept it: its id is on disk when this returns. Awaiting the result gives the outcome.

        A replayed command gets the first outcome. Whoever waits may go away: what was begun runs
        to its end. Raises NotAllowedError, undone.
        """
        if not self.log.knows(command.id):
            check_command(command, self.log.fence)
            self.log.raise_fence(command.fence)
        return self.log.once(command.id, lambda: self._do(command))

    async def _do(self, command: NodeCommand) -> Outcome:
        try:
            return await self.node.command(
                command.verb, command.service, command.options, command.who
            )
        except ChapiteauError as exc:
            return Outcome.failed(exc)


_UNKNOWN: Final = Outcome(
    ok=False,
    error="the node's agent ended while this ran; whether it was done is not known",
    hint="look at the service before you try again",
    exit_code=1,
)
