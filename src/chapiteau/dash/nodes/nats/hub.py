"""The hub's part at a NATS server: who is there, a line to each, the lease."""

import asyncio
import contextlib
import json
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from random import Random
from typing import Any, Final

import msgspec
from nats.errors import Error as NatsError
from nats.errors import TimeoutError as NatsTimeoutError
from nats.js.errors import NoKeysError

from chapiteau.core.backoff import Backoff
from chapiteau.core.clock import Clock
from chapiteau.core.errors import ChapiteauError
from chapiteau.dash.errors import NodeAwayError, NotAllowedError
from chapiteau.dash.fleet.fleet import Fleet
from chapiteau.dash.fleet.problem import make_problem
from chapiteau.dash.nodes.contract import NodeCommand
from chapiteau.dash.nodes.handshake import Introduction
from chapiteau.dash.nodes.leadership import Leadership
from chapiteau.dash.nodes.link import Link
from chapiteau.dash.nodes.nats.connection import NatsAddress, NatsConnection, connect, uninterrupted
from chapiteau.dash.nodes.nats.line import NatsLine
from chapiteau.dash.nodes.nats.names import subject_token
from chapiteau.dash.nodes.nats.stores import NatsDesiredState, NatsLeases
from chapiteau.dash.nodes.remote import ACCEPT, CommandDeadline, RemoteNode
from chapiteau.run.events import EventMessage
from chapiteau.run.logs.messages import Outcome

__all__ = ["NatsNode", "NatsRuntime", "node_names_at", "remove_node"]


_RESEND: Final = 5.0  # seconds without an answer, after which a command is sent again
_PAUSE: Final = 0.2
_POLL: Final = 1.0  # seconds between two looks whether the connection is still the same


class NatsNode(RemoteNode):
    """Its events come from a stream, commands go into one; the rest over a line of its own."""

    def __init__(
        self, name: str, wire: NatsConnection, fence: Callable[[], int] = lambda: 0
    ) -> None:
        super().__init__(name, fence)
        self._wire = wire

    async def events(self, after: int) -> AsyncIterator[EventMessage]:
        """What the stream has kept, then what comes; also while the node is away."""
        try:
            # Ordered: the client makes the consumer anew when it missed one. Nothing is skipped.
            subscription = await self._wire.js.subscribe(
                self._wire.names.subject("event", self.name),
                stream=self._wire.names.events,
                ordered_consumer=True,
            )
            try:
                before, connection = 0, self._wire.reconnects
                while True:
                    message = await self._next(subscription, connection)
                    event = json.loads(message.data)
                    if event["seq"] < before:
                        after = 0  # the supervisor lost its state: its numbers began again
                    before = event["seq"]
                    if event["seq"] > after:
                        yield event
            finally:
                with contextlib.suppress(NatsError):
                    await subscription.unsubscribe()
        except (NatsError, OSError) as exc:
            raise NodeAwayError(f"{self.name}: no events from NATS ({exc})") from exc

    async def recall(self, command_id: str) -> Outcome | None:
        """A command may still lie in the stream: until it has expired, it may yet be accepted."""
        for _ in range(round(ACCEPT / _RESEND) + 1):
            if (found := await super().recall(command_id)) is not None:
                return found
            await asyncio.sleep(_RESEND)
        return None

    async def _next(self, subscription: Any, connection: int) -> Any:
        while True:
            if self._wire.reconnects != connection:
                raise NodeAwayError(f"{self.name}: the connection to NATS was lost meanwhile")
            try:
                return await uninterrupted(subscription.next_msg(timeout=_POLL))
            except NatsTimeoutError:
                continue

    async def _answers(
        self, command: NodeCommand, deadline: CommandDeadline
    ) -> AsyncGenerator[object, None]:
        """What the node says of it. Without an answer it is sent again, under the same id."""
        inbox = self._wire.names.answer(self.name, secrets.token_hex(12))
        subject = self._wire.names.subject("order", self.name)
        subscription = await self._subscribe(inbox)
        try:
            while True:
                args = {**msgspec.to_builtins(command), "ttl": deadline.left(), "answer": inbox}
                try:
                    await uninterrupted(self._wire.js.publish(subject, json.dumps(args).encode()))
                    deadline.sent()
                    while True:
                        message = await uninterrupted(subscription.next_msg(timeout=_RESEND))
                        answer = json.loads(message.data)
                        if refused := answer.get("refused"):
                            raise NotAllowedError(str(refused["what"]), hint=str(refused["hint"]))
                        yield answer
                except NatsTimeoutError:
                    continue
                except (NatsError, OSError):
                    await asyncio.sleep(_PAUSE)
        finally:
            with contextlib.suppress(NatsError):
                await subscription.unsubscribe()

    async def _subscribe(self, inbox: str) -> Any:
        while True:
            try:
                subscription = await self._wire.nc.subscribe(inbox)
                await self._wire.nc.flush()
            except (NatsError, OSError):
                await asyncio.sleep(_PAUSE)
            else:
                return subscription


_LOOK: Final = 2.0  # seconds between two looks who has joined or was shut out
_AGAIN: Final = 0.5  # seconds between two cancellations of the same tasks
_DIAL: Final = 5.0
_RETRY: Final = Backoff(first=0.5, factor=1.5, cap=5.0, jitter=0.5)


class NatsRuntime:
    """Nodes meet this hub at a NATS server. Any number of hubs may watch; one leads."""

    def __init__(
        self, place: NatsAddress, fleet: Fleet, *, holder: str, clock: Clock, chance: Random
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
        self.states = NatsDesiredState(self._wire)
        self.leases = NatsLeases(self._wire, self._clock)
        self.leadership = Leadership(self.leases, self._holder)
        self._is_open = True
        await self.leadership.open()
        await self._wire.nc.subscribe(self._wire.names.subject("here", "*"), cb=self._called)
        self._tasks.add(asyncio.create_task(self._look(), name="who is there"))

    async def close(self) -> None:
        """Hang up, give the lease back."""
        if not self._is_open:
            return
        await _end([*self._tasks, *(task for _, task in self._nodes.values())])
        await self.leadership.close()
        await self._wire.close()

    def node(self, name: str) -> NatsNode:
        """The way to a node. Raises KeyError."""
        return self._nodes[name][0]

    async def _look(self) -> None:
        while True:
            with contextlib.suppress(ChapiteauError, NatsError, OSError):
                names = await node_names_at(self._wire)
                for name in names - set(self._nodes):
                    self._add(name)
                for name in set(self._nodes) - names:
                    await self._remove(name)
                for name in names:
                    watch = self._fleet.watch(name)
                    generation = (await self.states.get(name)).generation
                    overruled = self.leadership.overruled(name)
                    watch.follow_hub(generation=generation, overruled=overruled)
            await _soon(self._anybody, _LOOK)

    async def _called(self, message: Any) -> None:
        word = message.subject.rpartition(".")[2]
        self._here.setdefault(word, self._anybody).set()

    def _add(self, name: str) -> None:
        node = NatsNode(name, self._wire, lambda: self.leadership.fence)
        self._nodes[name] = (node, asyncio.create_task(self._keep_line(node)))
        self._fleet.add(node)

    async def _remove(self, name: str) -> None:
        node, task = self._nodes.pop(name)
        self._here.pop(subject_token(name), None)
        task.cancel()
        self.leadership.forget(name)
        await node.close()
        await self._fleet.remove(name)

    async def _keep_line(self, node: NatsNode) -> None:
        """Dial, and again when it is over; a node that calls "here I am" is dialled at once."""
        here = self._here[subject_token(node.name)] = asyncio.Event()
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
        line = NatsLine(self._wire, node.name, session, ours="down", theirs="up")
        writer: Any = line
        link = Link(line.reader, writer, {}, name=node.name)
        try:
            await uninterrupted(line.open())
            fence = self.leadership.fence if self.leadership.leads else 0
            told = {"session": session, "hub": self._holder, "fence": fence}
            asked = json.dumps(told).encode()
            subject = self._wire.names.subject("dial", node.name)
            answer = await uninterrupted(self._wire.nc.request(subject, asked, timeout=_DIAL))
            said = msgspec.json.decode(answer.data, type=Introduction)
            try:
                self.leadership.note(node.name, said.fence)
            except NotAllowedError as exc:
                self._fleet.report(make_problem("refused", node.name, why=exc.what, hint=exc.hint))
                raise
            self._fleet.retract(node.name, "refused")
            if said.time:
                self._fleet.watch(node.name).note_clock(said.time, self._clock.wall())
            node.attach(link)
            await link.run()
        finally:
            node.detach(link)
            line.abort()


async def node_names_at(wire: NatsConnection) -> set[str]:
    """Nodes that have joined at this server and were not shut out. Raises what NATS raises."""
    bucket = await wire.bucket("NODES")
    try:
        return {key.replace("_", ".") for key in await bucket.keys()}
    except NoKeysError:
        return set()


async def remove_node(wire: NatsConnection, name: str) -> bool:
    """Drop a node from the list; tells whether it was there. Its credentials stay."""
    known = name in await node_names_at(wire)
    if known:
        await (await wire.bucket("NODES")).purge(subject_token(name))
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
