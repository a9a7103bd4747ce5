"""The hub's turn: the lease under which it acts, and whether nodes have seen a later one."""

import asyncio
from typing import Final

from chapiteau.dash.errors import NotAllowedError
from chapiteau.dash.nodes.contract import Lease, LeaseHeldError, LeaseStore

__all__ = ["LEASE_NAME", "Leadership"]

LEASE_NAME: Final = "hub"
_TTL: Final = 12.0  # seconds after which another hub may take over
_GREATEST: Final = 1_000_000_000  # no lease gets there: one more each second for 30 years
_LOOK: Final = 1.0  # seconds between two looks of a hub that waits for its turn


class Leadership:
    """Holds the lease, renews it, and takes it again when it was lost and is free.

    Its fence goes with every command, and nodes refuse a lesser one than they have seen. So a
    hub that was frozen for an hour, or restored from an old copy, can look but not act.
    What one node says of a later hub concerns that node alone: it never moves the hub's turn.
    """

    def __init__(self, leases: LeaseStore, holder: str, *, ttl: float = _TTL) -> None:
        self._leases = leases
        self._holder = holder
        self._ttl = ttl
        self._lease: Lease | None = None
        self._task: asyncio.Task[None] | None = None
        self._seen: dict[str, int] = {}  # node → the greatest fence that it has told of
        self.why = ""  # why this hub is not the leader

    @property
    def fence(self) -> int:
        """Of our lease; 0 while we have none."""
        return self._lease.fence if self._lease else 0

    @property
    def leads(self) -> bool:
        """Whether it is this hub's turn."""
        return self._lease is not None

    async def open(self) -> None:
        """Take the lease, or wait for it in the background when another hub has it."""
        await self._turn()
        self._task = asyncio.create_task(self._hold(), name="the hub's lease")

    async def close(self) -> None:
        """Give it back."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._lease is not None:
            await self._leases.drop(self._lease)
            self._lease = None

    def note(self, node: str, fence: object) -> None:
        """A node tells the greatest fence it knows. Raises NotAllowedError for what can't be."""
        if type(fence) is not int or not 0 <= fence <= max(_GREATEST, 2 * self.fence):
            raise NotAllowedError(
                f"{node} says that it has obeyed lease {str(fence)[:40]}, which no hub ever had",
                hint=f"on the hub: chapiteau hub revoke {node}; then let it join anew",
            )
        self._seen[node] = fence

    def forget(self, node: str) -> None:
        """What this node has told counts no more."""
        self._seen.pop(node, None)

    def overruled(self, node: str) -> str:
        """Why this node does not do what this hub says; empty when it does."""
        seen = self._seen.get(node, 0)
        if self._lease is None or seen <= self.fence:
            return self.why
        return f"the node has obeyed a later hub (lease {seen}, ours is {self.fence})"

    async def _hold(self) -> None:
        while True:
            # Who waits looks often: it counts from when it saw the last renewal.
            await asyncio.sleep(self._ttl / 3 if self._lease else min(_LOOK, self._ttl / 3))
            try:
                await self._turn()
            # Whatever ails the keeper of leases, it comes back: a loop that ended here would leave
            # every node without a hub, for as long as this process lives.
            except Exception as exc:  # noqa: BLE001
                self.why = f"it can't be said which hub leads: {exc}"

    async def _turn(self) -> None:
        try:
            if self._lease is None:
                self._lease = await self._leases.take(LEASE_NAME, self._holder, self._ttl)
            else:
                await self._leases.keep(self._lease)
            self.why = ""
        except LeaseHeldError as exc:
            # Lost: somebody may have made it free for us (take-over), so the next turn tries.
            self._lease = None
            self.why = exc.what
