"""A node's side of wanted states: applies the newest, keeps its copy, refuses an older one."""

import json
from pathlib import Path
from typing import Any, Final

from chapiteau.core.errors import ChapiteauError
from chapiteau.dash.fleet.node import Node
from chapiteau.dash.nodes.contract import DesiredServices, drift, reconcile_steps
from chapiteau.io.files import write_atomic

__all__ = ["COMMANDS_FILE", "DESIRED_FILE", "DesiredStateApplier", "forget_hub"]

_PATIENCE: Final = {"wait": False}  # the supervisor goes on by itself; drift tells how it went


class DesiredStateApplier:
    """The last copy that was applied lies in `wanted.json`, and holds while the hub is away.

    It is applied when it is new, and again after the supervisor itself was started anew. In
    between whoever is on the server has the last word: what differs is told as drift.
    """

    def __init__(self, node: Node, path: Path) -> None:
        self._node = node
        self._path = path
        self._supervisor = 0.0  # when the supervisor that has it was started
        self.refused = ""
        self.applied = DesiredServices(node=node.name)
        try:
            kept = json.loads(path.read_text())
            self.applied = DesiredServices.from_dict(kept["wanted"])
            self._supervisor = float(kept["supervisor"])
        except FileNotFoundError:
            pass
        except (OSError, ValueError, KeyError, TypeError, ChapiteauError) as exc:
            self.refused = f"{path}: not readable ({exc}); the hub's next word is taken"

    async def take(self, wanted: DesiredServices) -> None:
        """Apply what the hub wants. Raises NodeAwayError when the supervisor does not answer."""
        if wanted.generation < self.applied.generation:
            self.refused = (
                f"the hub wants generation {wanted.generation},"
                f" this node has {self.applied.generation}: not followed"
            )
            return
        if wanted.generation > self.applied.generation:
            await self._apply(wanted)

    async def again(self) -> None:
        """Apply the kept copy to a supervisor that was started since. May raise NodeAwayError."""
        if not self.applied.generation:
            return
        if (await self._node.status())["started_at"] != self._supervisor:
            await self._apply(self.applied)

    def report(self, status: dict[str, Any]) -> dict[str, Any]:
        """For the hub: which generation is applied, and where the services differ from it."""
        return {
            "generation": self.applied.generation,
            "services": self.applied.services,
            "who": self.applied.who,
            "drift": drift(self.applied, status),
            "refused": self.refused,
        }

    async def _apply(self, wanted: DesiredServices) -> None:
        status = await self._node.status()
        who = f"{wanted.who or 'hub'}, generation {wanted.generation}"
        for service, verb, options in reconcile_steps(wanted, status):
            if verb != "missing":
                # A refusal is no reason to leave the others; it shows as drift.
                await self._node.command(verb, service, {**_PATIENCE, **options}, who)
        self.applied, self._supervisor, self.refused = wanted, status["started_at"], ""
        kept = {"wanted": wanted.to_dict(), "supervisor": self._supervisor}
        write_atomic(self._path, json.dumps(kept).encode(), mode=0o600)


# Files in which a node keeps what hubs have said.

DESIRED_FILE: Final = "wanted.json"
COMMANDS_FILE: Final = "commands.sqlite3"


def forget_hub(folder: Path) -> None:
    """What one hub has wanted and ordered means nothing under another one."""
    for name in (DESIRED_FILE, COMMANDS_FILE, f"{COMMANDS_FILE}-wal", f"{COMMANDS_FILE}-shm"):
        (folder / name).unlink(missing_ok=True)
