"""The fleet of one: this machine's supervisor, watched without a hub."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from random import Random
from typing import Any

from chapiteau.core.clock import Clock
from chapiteau.core.errors import ChapiteauError
from chapiteau.dash.engine.actions import Action, Target
from chapiteau.dash.engine.bus import Bus, Viewer
from chapiteau.dash.engine.fleet import Fleet
from chapiteau.dash.engine.node import Node
from chapiteau.dash.engine.terminal.source import Take

__all__ = ["Here"]

_TOPICS = ("fleet", "stats", "events", "actions")


class Here:
    """Watches one node in this process; who may ask its supervisor may act."""

    def __init__(self, node: Node, clock: Clock) -> None:
        self.where = node.name
        self._node = node
        self._clock = clock
        self._bus = Bus()
        self._fleet = Fleet(self._bus, clock=clock, chance=Random(), history=0)  # noqa: S311
        self._count = 0

    async def watch(self, take: Take) -> None:
        """Messages as a page of a hub gets them."""
        viewer = Viewer("terminal")
        self._bus.viewers.add(viewer)
        viewer.topics.update(_TOPICS)
        self._fleet.add(self._node)
        beat = asyncio.create_task(self._fleet.beat())
        try:
            take("link", {"up": True, "why": ""})
            while True:
                await viewer.wake.wait()
                viewer.wake.clear()
                for message in viewer.box.take():
                    take(message.topic, json.loads(message.data))
        finally:
            beat.cancel()
            await self._fleet.close()

    async def logs(
        self, nodes: Sequence[str], query: Mapping[str, str]
    ) -> AsyncIterator[list[Any]]:
        """Lines of this machine."""
        async for line in self._node.logs({**query, "follow": "1"}):
            yield [
                line["time"],
                self._node.name,
                line.get("service", ""),
                line.get("process", 0),
                line.get("stream", ""),
                line.get("text", ""),
            ]

    async def act(self, verb: str, targets: Sequence[Target], options: Mapping[str, Any]) -> str:
        """One target after the other; the supervisor queues them per service anyway."""
        self._count += 1
        action = Action(
            key="",
            number=self._count,
            verb=verb,
            who="terminal",
            targets=tuple(targets),
            options=dict(options),
            began=self._clock.wall(),
        )
        self._bus.latest("actions", str(action.number), action.to_dict())
        for target in targets:
            try:
                result = await self._node.command(verb, target.service, options, "")
            except ChapiteauError as exc:
                result = {"ok": False, "error": exc.what, "hint": exc.hint}
            action.results[target] = result
        action.ended = self._clock.wall()
        self._bus.latest("actions", str(action.number), action.to_dict())
        return ""

    async def close(self) -> None:
        """Let go of the node."""
        await self._node.close()
