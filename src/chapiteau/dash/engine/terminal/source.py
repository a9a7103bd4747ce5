"""What the terminal needs from wherever the fleet is seen."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, Protocol

from chapiteau.dash.engine.actions import Target

__all__ = ["Source", "Take"]

Take = Callable[[str, Mapping[str, Any]], None]  # a topic and its data, as the page gets them


class Source(Protocol):
    """A fleet that can be watched and steered."""

    where: str  # for the title: a machine, or the hub's address

    async def watch(self, take: Take) -> None:
        """Hand over messages until cancelled; a lost link is found again.

        The topics are fleet, stats, events and actions; `link` says {"up": bool, "why": str}.
        """
        ...

    def logs(self, nodes: Sequence[str], query: Mapping[str, str]) -> AsyncIterator[list[Any]]:
        """Lines of output [time, node, service, process, stream, text], kept ones first."""
        ...

    async def act(self, verb: str, targets: Sequence[Target], options: Mapping[str, Any]) -> str:
        """Begin an action; its results come by the topic `actions`.

        Returns what went wrong, in words, or nothing.
        """
        ...

    async def close(self) -> None:
        """Let go of everything."""
        ...
