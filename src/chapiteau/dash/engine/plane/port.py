"""The four verbs between hub and nodes. Two backends, one suite of tests for both.

events     a node's happenings, in order, from any number on (`Courier.events`)
command    at most one effect per id; taken on first, then done or failed (`Courier.send`)
state      what is wanted of a node, with a generation that only grows (`States`)
lease      whose turn it is, with a fence that only grows (`Leases`)
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from chapiteau.core.errors import RefusedError
from chapiteau.dash.logic.nodes.plane import Lease, Order, Wanted

__all__ = ["Courier", "HeldError", "Leases", "OvertakenError", "Plane", "States"]


class OvertakenError(RefusedError):
    """Somebody changed it meanwhile; `found` is what stands there now."""

    def __init__(self, found: Wanted) -> None:
        super().__init__(
            f"what is wanted of {found.node} was changed by {found.who or 'somebody'} meanwhile"
            f" (generation {found.generation})",
            hint="look at it again, then repeat",
        )
        self.found = found


class HeldError(RefusedError):
    """The lease is somebody else's."""


class Courier(Protocol):
    """Events and commands of one node."""

    name: str

    def events(self, after: int) -> AsyncIterator[dict[str, Any]]:
        """Events with a greater number, each once and in order, then new ones for ever.

        Raises NodeAwayError when the node can't be asked now.
        """
        ...

    async def send(self, order: Order, accepted: Callable[[], None]) -> dict[str, Any]:
        """The outcome. `accepted` is called once, when the node has taken it on.

        The same id again gives the first outcome and does nothing. Raises NodeAwayError when
        it expired undone or its end is not known, ChapiteauError when the node refuses it.
        """
        ...


class States(Protocol):
    """What is wanted of each node."""

    async def get(self, node: str) -> Wanted:
        """The newest; generation 0 when there never was one."""
        ...

    async def put(self, wanted: Wanted, *, expect: int) -> Wanted:
        """Replace generation `expect`; returns it with its new generation. Raises OvertakenError.

        It is on disk when this returns.
        """
        ...

    def watch(self, node: str, after: int) -> AsyncIterator[Wanted]:
        """Every newer one from now on, the present one first; steps in between may be left out."""
        ...


class Leases(Protocol):
    """Who may act."""

    async def take(self, name: str, holder: str, ttl: float) -> Lease:
        """Take a lease that is free or has run out, or one's own. Raises HeldError."""
        ...

    async def keep(self, lease: Lease) -> None:
        """Renew it. Raises HeldError when it was lost: whoever holds it must stop acting."""
        ...

    async def drop(self, lease: Lease) -> None:
        """Give it back; nothing happens when it was lost before."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Plane:
    """All of it, of one backend."""

    states: States
    leases: Leases
    courier: Callable[[str], Courier]  # the way to one node; asking starts nothing
