"""A node's side of desired states: applies the newest, keeps its copy, refuses an older one."""

from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from chapiteau.core.errors import ChapiteauError
from chapiteau.dash.fleet.node import Node
from chapiteau.dash.nodes.contract import DesiredServices, drift, parse_desired, reconcile_steps
from chapiteau.io.files import write_atomic

__all__ = ["COMMANDS_FILE", "DESIRED_FILE", "DesiredStateApplier", "forget_hub"]

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

    def report(self, status: dict[str, Any]) -> dict[str, Any]:
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
