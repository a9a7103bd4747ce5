"""A node far away, as the hub sees it: the same questions, asked over its link."""

import asyncio
import contextlib
import dataclasses
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Final

from chapiteau.dash.errors import NodeAwayError
from chapiteau.dash.fleet.node import ServiceRequest, ServiceResponse
from chapiteau.dash.nodes.contract import NodeCommand
from chapiteau.dash.nodes.link import Link

__all__ = ["CommandDeadline", "RemoteNode"]


# How long a command may wait: first to be taken on, then to be done.

_COMMAND: Final = 600.0  # seconds in which a taken command may run


class CommandDeadline:
    """Of one command to one node; `ttl` in seconds."""

    def __init__(self, name: str, ttl: float) -> None:
        self._name = name
        self._loop = asyncio.get_running_loop()
        self._taken = False
        self._sent = False
        self.deadline = self._loop.time() + ttl

    def left(self) -> float:
        """Seconds until it expires."""
        return max(0.0, self.deadline - self._loop.time())

    def sent(self) -> None:
        """It is on its way: from now on only an answer tells whether it was done."""
        self._sent = True

    def accepted(self) -> bool:
        """The node has taken it on; true the first time. Then it has longer."""
        if self._taken:
            return False
        self._taken = True
        self.deadline = self._loop.time() + _COMMAND
        return True

    def over(self) -> NodeAwayError:
        """What to tell when time is up."""
        if self._taken:
            return NodeAwayError(
                f"{self._name} took the command on and has not told its end",
                hint="look at its events before you try again",
            )
        if self._sent:
            return NodeAwayError(
                f"{self._name} does not answer: the command has expired, undone unless it is the"
                " answer that was lost",
                hint="look at its events before you try again",
            )
        return NodeAwayError(f"{self._name} is not connected: the command expired, undone")


_SOON: Final = 10.0  # seconds for an answer
_FETCH: Final = 20.0
_ACCEPT: Final = 30.0  # seconds in which a command must be taken on, else it expires
_CONFIG: Final = 600.0  # seconds in which a file may be applied


class RemoteNode:
    """Exists from the day a node has joined; has a link while the node is connected."""

    def __init__(self, name: str, fence: Callable[[], int] = lambda: 0) -> None:
        self.name = name
        self._fence = fence  # of the lease under which this hub acts
        self._link: Link | None = None
        self._linked = asyncio.Event()

    def __repr__(self) -> str:
        return f"<RemoteNode {self.name} {'linked' if self._link else 'away'}>"

    def attach(self, link: Link) -> None:
        """The node has called; of two connections with one name the newer one counts."""
        if self._link is not None:
            self._link.close()
        self._link = link
        self._linked.set()

    def detach(self, link: Link) -> None:
        """This connection is over."""
        if self._link is link:
            self._link = None
            self._linked.clear()

    @property
    def is_linked(self) -> bool:
        """Whether it is connected now."""
        return self._link is not None

    async def linked(self) -> None:
        """Wait until the node is connected."""
        await self._linked.wait()

    async def status(self) -> dict[str, Any]:
        """The state now."""
        found: dict[str, Any] = await self._up().call("status", {}, within=_SOON)
        return found

    async def events(self, after: int) -> AsyncIterator[dict[str, Any]]:
        """Kept events, then new ones; a break is taken up again with the last number seen."""
        async with contextlib.aclosing(self._up().stream("events", {"after": after})) as items:
            async for item in items:
                yield item

    async def logs(self, query: Mapping[str, str]) -> AsyncIterator[dict[str, Any]]:
        """Lines of output; searching is done on the node."""
        async with contextlib.aclosing(self._up().stream("logs", dict(query))) as items:
            async for item in items:
                yield item

    async def health(self) -> dict[str, Any]:
        """What it says of itself."""
        found: dict[str, Any] = await self._up().call("health", {}, within=_SOON)
        return found

    async def stats(self, after: int = -1) -> AsyncIterator[dict[str, Any]]:
        """One message per second; those that it kept while it was away come first."""
        async with contextlib.aclosing(self._up().stream("stats", {"after": after})) as items:
            async for item in items:
                yield item

    async def pour_stats(self, after: int, sink: Callable[[dict[str, Any]], None]) -> None:
        """The same, without a task for each message."""
        await self._up().pour("stats", {"after": after}, sink)

    async def command(
        self, verb: str, service: str, options: Mapping[str, Any], who: str
    ) -> dict[str, Any]:
        """Do it at most once."""
        order = NodeCommand(
            id=secrets.token_hex(12),
            verb=verb,
            service=service,
            options=dict(options),
            who=who,
            ttl=_ACCEPT,
            fence=self._fence(),
        )
        return await self.send(order, lambda: None)

    async def send(self, order: NodeCommand, accepted: Callable[[], None]) -> dict[str, Any]:
        """The outcome. When the link breaks, it is asked for again under the same id."""
        patience = CommandDeadline(self.name, order.ttl)
        while True:
            try:
                async with asyncio.timeout_at(patience.deadline) as timer:
                    await self._linked.wait()
                    args = {**order.to_dict(), "ttl": patience.left()}
                    async with contextlib.aclosing(self._up().stream("command", args)) as answers:
                        patience.sent()
                        async for answer in answers:
                            if "outcome" in answer:
                                found: dict[str, Any] = answer["outcome"]
                                return found
                            if patience.accepted():
                                accepted()
                            timer.reschedule(patience.deadline)
            except TimeoutError:
                raise patience.over() from None
            except NodeAwayError:
                await asyncio.sleep(0.2)

    async def config(self, *, dry_run: bool, who: str) -> dict[str, Any]:
        """Plan or apply the node's own file."""
        found: dict[str, Any] = await self._up().call(
            "config", {"dry_run": dry_run, "who": who}, within=_CONFIG
        )
        return found

    async def fetch(self, request: ServiceRequest) -> ServiceResponse:
        """Send a request to a service on the node."""
        args = dataclasses.asdict(request)
        raw = await self._up().call("fetch", args, within=_FETCH)
        return ServiceResponse(**{**raw, "headers": tuple((k, v) for k, v in raw["headers"])})

    async def holders(self, socket: str) -> dict[str, Any]:
        """Who has a listening socket open."""
        found: dict[str, Any] = await self._up().call("holders", {"socket": socket}, within=_SOON)
        return found

    async def close(self) -> None:
        """Hang up."""
        if self._link is not None:
            self._link.close()

    def _up(self) -> Link:
        if self._link is None:
            raise NodeAwayError(
                f"{self.name} is not connected",
                hint="on the server: chapiteau node status, and chapiteau up",
            )
        return self._link
