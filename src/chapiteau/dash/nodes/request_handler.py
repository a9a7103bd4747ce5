"""What a node answers, whichever way the hub's calls come."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, Final

import msgspec

from chapiteau.core.clock import Clock
from chapiteau.dash.errors import BadRequestError, NodeAwayError
from chapiteau.dash.fleet.node import Node, NodeHealth, ServiceRequest
from chapiteau.dash.nodes.contract import CommandAnswer, DesiredServices, NodeCommand
from chapiteau.dash.nodes.handshake import Introduction
from chapiteau.dash.nodes.link import Args, Handlers
from chapiteau.dash.nodes.node_state import CommandReceiver, DesiredStateApplier
from chapiteau.dash.nodes.stats_backlog import StatsReplay

__all__ = ["NodeRequestHandler"]

_RETRY: Final = 5.0  # seconds until a supervisor that did not answer is called again


class NodeRequestHandler:
    """One for the agent's whole life: its parts outlive every connection."""

    def __init__(
        self,
        commands: CommandReceiver,
        desired: DesiredStateApplier,
        replay: StatsReplay,
        clock: Clock,
    ) -> None:
        self.commands = commands
        self.desired = desired
        self._replay = replay
        self._clock = clock

    @property
    def _node(self) -> Node:
        return self.commands.node  # read each time: tests put something in between

    def introduction(self) -> Introduction:
        """What a hub must know before it may act."""
        return Introduction(
            time=self._clock.wall(), fence=self.commands.log.fence, generation=self.generation
        )

    def raise_fence(self, fence: int) -> None:
        """The hub that leads now acts under this lease: whoever has a lesser one is refused."""
        self.commands.log.raise_fence(fence)

    def handlers(self) -> Handlers:
        """The calls that a hub may make."""
        return {
            "status": lambda _: self._node.status(),
            "health": self._health,
            "read": lambda args: self._node.read(str(args["path"])),
            "config": lambda args: self._node.config(
                dry_run=bool(args["dry_run"]), who=str(args["who"])
            ),
            "fetch": lambda args: self._node.fetch(msgspec.convert(args, ServiceRequest)),
            "events": lambda args: self._node.events(int(args["after"])),
            "logs": lambda args: self._node.logs({k: str(v) for k, v in args.items()}),
            "stats": lambda args: self._replay.stats(int(args.get("after", -1))),
            "command": self._command,
            "recall": lambda args: self.commands.log.recall(str(args["id"])),
        }

    async def follow(self, states: AsyncGenerator[Any, None]) -> None:
        """Apply the desired states that a hub sends, until cancelled or the stream ends."""
        with contextlib.suppress(NodeAwayError):
            await self.desired.reapply()
        async with contextlib.aclosing(states) as items:
            async for raw in items:
                with contextlib.suppress(msgspec.ValidationError, BadRequestError):
                    await self._apply(DesiredServices.from_json(raw))

    async def _apply(self, desired: DesiredServices) -> None:
        while True:
            try:
                return await self.desired.apply(desired)
            except NodeAwayError:
                await asyncio.sleep(_RETRY)

    @property
    def generation(self) -> int:
        """Of the desired state that is applied."""
        return self.desired.applied.generation

    async def close(self) -> None:
        """Stop measuring."""
        await self._replay.close()

    async def _health(self, _: Args) -> NodeHealth:
        health = await self._node.health()
        return {
            **health,
            "fence": self.commands.log.fence,
            "dropped": self._replay.dropped,
            "wanted": self.desired.report(await self._node.status()),
        }

    async def _command(self, args: Args) -> AsyncIterator[CommandAnswer]:
        outcome = self.commands.begin(msgspec.convert(args, NodeCommand))
        yield {"accepted": True}
        yield {"outcome": await outcome}
