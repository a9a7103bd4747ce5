"""The hub's part at a NATS server: who is there, a line to each, the lease."""

import asyncio
import contextlib
import json
import secrets
from collections.abc import Sequence
from random import Random
from typing import Any, Final

from nats.errors import Error as NatsError
from nats.js.errors import NoKeysError

from chapiteau.core.backoff import Backoff
from chapiteau.core.clock import Clock
from chapiteau.core.errors import ChapiteauError
from chapiteau.dash.engine.cluster.link import Answers, Link
from chapiteau.dash.engine.cluster.term import Term
from chapiteau.dash.engine.fleet import Fleet
from chapiteau.dash.engine.nats.courier import NatsNode
from chapiteau.dash.engine.nats.keeping import NatsLeases, NatsStates
from chapiteau.dash.engine.nats.line import Line
from chapiteau.dash.engine.nats.server import NatsPlace, Wire, connect, whole
from chapiteau.dash.logic.nodes.natsrules import token

__all__ = ["NatsCenter", "names_at", "shut_out"]

_LOOK: Final = 2.0  # seconds between two looks who has joined or was shut out
_AGAIN: Final = 0.5  # seconds between two cancellations of the same tasks
_DIAL: Final = 5.0
_RETRY: Final = Backoff(first=0.5, factor=1.5, cap=5.0, jitter=0.5)


class NatsCenter:
    """The same as Center, with a server in between. Any number of hubs may look; one leads."""

    def __init__(
        self, place: NatsPlace, fleet: Fleet, *, holder: str, clock: Clock, chance: Random
    ) -> None:
        self._place = place
        self._fleet = fleet
        self._holder = holder
        self._clock = clock
        self._chance = chance
        self._tasks: set[asyncio.Task[Any]] = set()
        self._is_open = False
        self._nodes: dict[str, tuple[NatsNode, asyncio.Task[None]]] = {}
        self._here: dict[str, asyncio.Event] = {}  # word of a subject → that node calls
        self._anybody = asyncio.Event()
        self.where = place.url.rpartition("@")[2]

    async def open(self) -> None:
        """Connect, make the streams, take the lease or wait for it. Raises when refused."""
        self._wire = await connect(self._place, keeps=True, name=self._holder)
        self.states = NatsStates(self._wire)
        self.leases = NatsLeases(self._wire, self._clock)
        self.term = Term(self.leases, self._holder)
        self._is_open = True
        await self.term.open()
        await self._wire.nc.subscribe(self._wire.names.subject("here", "*"), cb=self._called)
        self._tasks.add(asyncio.create_task(self._look(), name="who is there"))

    async def close(self) -> None:
        """Hang up, give the lease back."""
        if not self._is_open:
            return
        await _end([*self._tasks, *(task for _, task in self._nodes.values())])
        await self.term.close()
        await self._wire.close()

    def node(self, name: str) -> NatsNode:
        """The way to a node. Raises KeyError."""
        return self._nodes[name][0]

    async def _look(self) -> None:
        while True:
            with contextlib.suppress(ChapiteauError, NatsError, OSError):
                names = await names_at(self._wire)
                for name in names - set(self._nodes):
                    self._add(name)
                for name in set(self._nodes) - names:
                    await self._remove(name)
                for name in names:
                    watch = self._fleet.watch(name)
                    watch.overruled = self.term.why
                    watch.generation = (await self.states.get(name)).generation
            await _soon(self._anybody, _LOOK)

    async def _called(self, message: Any) -> None:
        word = message.subject.rpartition(".")[2]
        self._here.setdefault(word, self._anybody).set()

    def _add(self, name: str) -> None:
        node = NatsNode(name, self._wire, lambda: self.term.fence)
        self._nodes[name] = (node, asyncio.create_task(self._keep_line(node)))
        self._fleet.add(node)

    async def _remove(self, name: str) -> None:
        node, task = self._nodes.pop(name)
        self._here.pop(token(name), None)
        task.cancel()
        await node.close()
        await self._fleet.remove(name)

    async def _keep_line(self, node: NatsNode) -> None:
        """Dial, and again when it is over; a node that calls "here I am" is dialled at once."""
        here = self._here[token(node.name)] = asyncio.Event()
        attempt = 0
        while True:
            here.clear()
            began = self._clock.now()
            with contextlib.suppress(ChapiteauError, NatsError, OSError, ValueError):
                await self._hold(node)
            attempt = 1 if self._clock.now() - began > 10 else attempt + 1
            await _soon(here, _RETRY.delay(attempt, self._chance))

    async def _hold(self, node: NatsNode) -> None:
        session = secrets.token_hex(12)
        line = Line(self._wire, node.name, session, ours="down", theirs="up")
        writer: Any = line
        link = Link(line.reader, writer, Answers(), name=node.name)
        try:
            await whole(line.open())
            fence = self.term.fence if self.term.leads else 0
            told = {"session": session, "hub": self._holder, "fence": fence}
            asked = json.dumps(told).encode()
            subject = self._wire.names.subject("dial", node.name)
            answer = await whole(self._wire.nc.request(subject, asked, timeout=_DIAL))
            self.term.note(int(json.loads(answer.data).get("fence", 0)))
            node.attach(link)
            await link.run()
        finally:
            node.detach(link)
            line.abort()


async def names_at(wire: Wire) -> set[str]:
    """Nodes that have joined at this server and were not shut out. Raises what NATS raises."""
    bucket = await wire.bucket("NODES")
    try:
        return {key.replace("_", ".") for key in await bucket.keys()}
    except NoKeysError:
        return set()


async def shut_out(wire: Wire, name: str) -> bool:
    """Drop a node from the list; tells whether it was there. Its credentials stay."""
    known = name in await names_at(wire)
    if known:
        await (await wire.bucket("NODES")).purge(token(name))
    return known


async def _end(tasks: Sequence[asyncio.Task[Any]]) -> None:
    """End them, however often it takes: nats-py may swallow a cancellation."""
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=_AGAIN)
    await asyncio.gather(*tasks, return_exceptions=True)


async def _soon(event: asyncio.Event, most: float) -> None:
    """When it is set, or after `most` seconds."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(most):
            await event.wait()
    event.clear()
