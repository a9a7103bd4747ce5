"""What a node answers, whichever way the hub's questions come."""

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, Final

from chapiteau.core.clock import Clock
from chapiteau.dash.errors import BadRequestError, NodeAwayError
from chapiteau.dash.fleet.node import ServiceRequest
from chapiteau.dash.nodes.command_log import CommandReceiver
from chapiteau.dash.nodes.contract import DesiredServices, NodeCommand
from chapiteau.dash.nodes.desired_state import DesiredStateApplier
from chapiteau.dash.nodes.link import Args, Handlers
from chapiteau.dash.nodes.stats_backlog import StatsReplay

__all__ = ["NodeRequestHandler"]

_AGAIN: Final = 5.0  # seconds until a supervisor that did not answer is asked again


class NodeRequestHandler:
    """One for the agent's whole life: its parts outlive every connection."""

    def __init__(
        self,
        intake: CommandReceiver,
        follower: DesiredStateApplier,
        replay: StatsReplay,
        clock: Clock,
    ) -> None:
        self._intake = intake
        self._follower = follower
        self._replay = replay
        self._clock = clock

    @property
    def _node(self) -> Any:
        return self._intake.node  # asked each time: tests put something in between

    def introduction(self) -> dict[str, Any]:
        """What a hub must know before it may act: whose copy is newer, whose clock is wrong."""
        return {
            "time": self._clock.wall(),
            "fence": self._intake.ledger.fence,
            "generation": self.generation,
        }

    def obey(self, fence: int) -> None:
        """The hub that leads now acts under this lease: whoever has a lesser one is refused."""
        self._intake.ledger.raise_fence(fence)

    def answers(self) -> Handlers:
        """The table of what may be asked."""
        node = self._node
        return Handlers(
            calls={
                "status": lambda _: node.status(),
                "health": self._health,
                "config": self._config,
                "fetch": self._fetch,
                "holders": lambda args: node.holders(str(args["socket"])),
            },
            streams={
                "events": lambda args: node.events(int(args["after"])),
                "logs": lambda args: node.logs({k: str(v) for k, v in args.items()}),
                "stats": lambda args: self._replay.stats(int(args.get("after", -1))),
                "command": self._command,
            },
        )

    async def follow(self, wanted: AsyncGenerator[Any, None]) -> None:
        """Follow what a hub wants, until cancelled or its word ends."""
        with contextlib.suppress(NodeAwayError):
            await self._follower.again()
        async with contextlib.aclosing(wanted) as items:
            async for raw in items:
                with contextlib.suppress(KeyError, TypeError, ValueError, BadRequestError):
                    await self._take(DesiredServices.from_dict(raw))

    async def _take(self, wanted: DesiredServices) -> None:
        while True:
            try:
                return await self._follower.take(wanted)
            except NodeAwayError:
                await asyncio.sleep(_AGAIN)

    @property
    def generation(self) -> int:
        """Of what is applied."""
        return self._follower.applied.generation

    async def close(self) -> None:
        """Measure no more."""
        await self._replay.close()

    async def _health(self, _: Args) -> dict[str, Any]:
        facts = await self._node.health()
        status = await self._node.status()
        return {
            **facts,
            "fence": self._intake.ledger.fence,
            "dropped": self._replay.dropped,
            "wanted": self._follower.report(status),
        }

    async def _config(self, args: Args) -> Any:
        return await self._node.config(dry_run=bool(args["dry_run"]), who=str(args["who"]))

    async def _fetch(self, args: Args) -> Any:
        return dataclasses.asdict(await self._node.fetch(ServiceRequest(**args)))

    async def _command(self, args: Args) -> AsyncIterator[Any]:
        outcome = self._intake.begin(NodeCommand.from_dict(args))
        yield {"accepted": True}
        yield {"outcome": await outcome}
