"""What a way to reach other machines has to offer: five calls, whatever carries them."""

from collections.abc import AsyncIterator, Sequence
from typing import Any, Protocol

__all__ = ["Cluster"]


class Cluster(Protocol):
    """Machines with a relay on each (`relay.py`): orders go there, reports come back.

    A host that is lost is told as an event {"host", "is": "lost", "why"}, once; it is never
    replaced, and nothing is ever done twice.
    """

    async def hosts(self) -> Sequence[str]:
        """Who is there, by name, in a fixed order. Raises ChapiteauError when nobody is."""
        ...

    async def launch(self, host: str, order: dict[str, Any]) -> None:
        """Give a host's relay an order; the relay starts with the first one."""
        ...

    def events(self) -> AsyncIterator[dict[str, Any]]:
        """Every relay's reports, each with its `host`."""
        ...

    async def stop(self, turn: int) -> None:
        """End that step, the one of the last `go`, on every host, at once."""
        ...

    async def close(self) -> None:
        """End every relay and let go of the machines."""
        ...
