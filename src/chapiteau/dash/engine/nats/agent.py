"""A node at a NATS server: answers any hub that dials it, obeys the one that leads."""

import asyncio
import contextlib
import json
from pathlib import Path
from random import Random
from typing import Any, Final

from nats.errors import Error as NatsError

from chapiteau.core.backoff import Backoff
from chapiteau.core.clock import Clock
from chapiteau.core.errors import ChapiteauError
from chapiteau.dash.engine.cluster.link import Link
from chapiteau.dash.engine.cluster.membership import NatsMembership
from chapiteau.dash.engine.cluster.reception import Reception
from chapiteau.dash.engine.nats.desk import Desk
from chapiteau.dash.engine.nats.keeping import NatsStates
from chapiteau.dash.engine.nats.line import Line
from chapiteau.dash.engine.nats.server import NatsPlace, Wire, connect
from chapiteau.dash.engine.plane.intake import Intake

__all__ = ["NatsAgent"]

_RETRY: Final = Backoff(first=0.3, factor=1.8, cap=15.0, jitter=0.5)
_HERE: Final = 10.0  # seconds between two calls "here I am", beside the one at the start
_MOST_LINES: Final = 8  # hubs at once


class NatsAgent:
    """Keeps the connection to the server, and a line to each hub."""

    def __init__(
        self,
        membership: NatsMembership,
        reception: Reception,
        intake: Intake,
        *,
        clock: Clock,
        chance: Random,
    ) -> None:
        self._name = membership.name
        self._place = NatsPlace(
            url=membership.url,
            prefix=membership.prefix,
            creds=Path(membership.creds) if membership.creds else None,
            ca=Path(membership.ca) if membership.ca else None,
            cert=Path(membership.cert) if membership.cert else None,
            key=Path(membership.key) if membership.key else None,
        )
        self._reception = reception
        self._intake = intake
        self._clock = clock
        self._chance = chance
        self._lines: set[asyncio.Task[None]] = set()
        self.connected = asyncio.Event()
        self.trouble = ""

    async def run(self) -> None:
        """Until cancelled; a server that is away is dialled again."""
        attempt = 0
        try:
            while True:
                attempt += 1
                try:
                    await self._serve_once()
                except* (ChapiteauError, NatsError, OSError) as group:
                    self.trouble = str(group.exceptions[0])
                self.connected.clear()
                await asyncio.sleep(_RETRY.delay(attempt, self._chance))
        finally:
            await self._reception.close()

    async def _serve_once(self) -> None:
        wire = await connect(self._place, keeps=False, name=self._name, node=self._name)
        desk = Desk(self._name, wire, self._intake, clock=self._clock, chance=self._chance)
        try:
            await desk.enrol()
            async with asyncio.TaskGroup() as group:
                group.create_task(desk.run())
                group.create_task(self._follow(wire))
                group.create_task(self._listen(wire))
        finally:
            for task in self._lines:
                task.cancel()
            await wire.close()

    async def _follow(self, wire: Wire) -> None:
        states, attempt = NatsStates(wire), 0
        while True:
            attempt += 1
            with contextlib.suppress(ChapiteauError):
                await self._reception.follow(_raw(states, self._name, self._reception.generation))
            await asyncio.sleep(_RETRY.delay(attempt, self._chance))

    async def _listen(self, wire: Wire) -> None:
        async def dialled(message: Any) -> None:
            if len(self._lines) < _MOST_LINES:
                task = asyncio.create_task(self._serve(wire, message))
                self._lines.add(task)
                task.add_done_callback(self._lines.discard)

        await wire.nc.subscribe(wire.names.subject("dial", self._name), cb=dialled)
        self.trouble = ""
        self.connected.set()
        while True:
            with contextlib.suppress(NatsError, OSError):
                await wire.publish(wire.names.subject("here", self._name), b"")
            await asyncio.sleep(_HERE)

    async def _serve(self, wire: Wire, message: Any) -> None:
        with contextlib.suppress(NatsError, OSError, ValueError, KeyError):
            asked = json.loads(message.data)
            line = Line(wire, self._name, str(asked["session"]), ours="up", theirs="down")
            writer: Any = line
            link = Link(line.reader, writer, self._reception.answers(), name="hub")
            await line.open()
            await message.respond(json.dumps(self._reception.introduction()).encode())
            self._reception.obey(int(asked.get("fence", 0)))
            try:
                await link.run()
            finally:
                line.abort()


async def _raw(states: NatsStates, name: str, after: int) -> Any:
    async with contextlib.aclosing(states.watch(name, after)) as found:  # type: ignore[type-var]
        async for wanted in found:
            yield wanted.to_dict()
