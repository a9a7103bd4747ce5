"""A node at a NATS server: answers any hub that dials it, follows the leader."""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Mapping
from pathlib import Path
from random import Random
from typing import Any, Final

import msgspec
from nats.errors import Error as NatsError
from nats.errors import TimeoutError as NatsTimeoutError
from nats.js.errors import NotFoundError as MissingError

from chapiteau.core.backoff import Backoff
from chapiteau.core.clock import Clock
from chapiteau.core.errors import ChapiteauError
from chapiteau.dash.nodes.contract import NodeCommand
from chapiteau.dash.nodes.link import Link
from chapiteau.dash.nodes.membership import NatsMembership
from chapiteau.dash.nodes.nats.connection import NatsAddress, NatsConnection, connect, uninterrupted
from chapiteau.dash.nodes.nats.line import NatsLine
from chapiteau.dash.nodes.nats.names import subject_token
from chapiteau.dash.nodes.nats.stores import NatsDesiredState
from chapiteau.dash.nodes.node_state import CommandReceiver
from chapiteau.dash.nodes.request_handler import NodeRequestHandler
from chapiteau.run.logs.messages import Outcome

__all__ = ["NatsAgent", "NatsNodeStreams"]


_STREAM_RETRY: Final = Backoff(first=0.2, factor=1.8, cap=5.0, jitter=0.5)
_LAST: Final = "Nats-Expected-Last-Subject-Sequence"
_FETCH: Final = 20  # commands taken from the stream at once
_WAIT: Final = 3.0  # seconds of one request for commands; a lost one must not hold up the next


class NatsNodeStreams:
    """Its events into one stream, its commands out of another, for ever."""

    def __init__(
        self,
        name: str,
        wire: NatsConnection,
        commands: CommandReceiver,
        *,
        clock: Clock,
        chance: Random,
    ) -> None:
        self._name = name
        self._wire = wire
        self._commands = commands
        self._clock = clock
        self._chance = chance
        self._offset = 0.0  # seconds by which the NATS server's clock is ahead of ours
        self._answering: set[asyncio.Task[None]] = set()

    async def enrol(self) -> None:
        """Write our name where hubs look, and compare clocks. Raises what NATS raises.

        A command's age is what the server's clock says, whatever ours does.
        """
        bucket = await self._wire.bucket("NODES")
        name = subject_token(self._name)
        sent = self._clock.wall()
        revision = await uninterrupted(bucket.put(name, json.dumps({"name": self._name}).encode()))
        middle = (sent + self._clock.wall()) / 2
        stream = f"KV_{self._wire.names.bucket('NODES')}"
        kept = await uninterrupted(self._wire.js.get_msg(stream, revision))
        self._offset = kept.time.timestamp() - middle

    async def run(self) -> None:
        """Until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._keep(self._publish_events))
                group.create_task(self._keep(self._take_commands))
        finally:
            for task in self._answering:
                task.cancel()

    async def _keep(self, work: Any) -> None:
        attempt = 0
        while True:
            began = self._clock.now()
            with contextlib.suppress(NatsError, OSError, ChapiteauError):
                await work()
            attempt = 1 if self._clock.now() - began > 10 else attempt + 1
            await asyncio.sleep(_STREAM_RETRY.delay(attempt, self._chance))

    # ── events ──

    async def _publish_events(self) -> None:
        """After the last one that the stream has; the server refuses one that comes twice."""
        node, subject = self._commands.node, self._wire.names.subject("event", self._name)
        seq, place = await self._last(subject)
        if (await node.status()).get("last_event", seq) < seq:
            seq = 0  # a supervisor that lost its state: its numbers began again
        async with contextlib.aclosing(node.events(seq)) as events:  # type: ignore[type-var]
            async for event in events:
                body = json.dumps(event).encode()
                sent = self._wire.js.publish(subject, body, headers={_LAST: str(place)})
                ack = await uninterrupted(sent)
                place = ack.seq

    async def _last(self, subject: str) -> tuple[int, int]:
        try:
            last = await self._wire.js.get_last_msg(self._wire.names.events, subject)
        except MissingError:
            return 0, 0
        return int(json.loads(last.data)["seq"]), int(last.seq)

    # ── commands ──

    async def _take_commands(self) -> None:
        subscription = await self._wire.js.pull_subscribe(
            self._wire.names.subject("order", self._name),
            durable=f"node-{subject_token(self._name)}",
            stream=self._wire.names.orders,
        )
        while True:
            try:
                messages = await uninterrupted(subscription.fetch(_FETCH, timeout=_WAIT))
            except NatsTimeoutError:
                continue
            for message in messages:
                await self._take(message)

    async def _take(self, message: Any) -> None:
        try:
            raw = json.loads(message.data)
            age = self._clock.wall() + self._offset - message.metadata.timestamp.timestamp()
            command = msgspec.convert({**raw, "ttl": raw["ttl"] - max(0.0, age)}, NodeCommand)
            inbox = str(raw["answer"])
        except (ValueError, KeyError, TypeError):
            await message.term()  # nobody can do this
            return
        try:
            outcome = self._commands.begin(command)
        except ChapiteauError as exc:
            await message.ack()
            await self._answer(inbox, {"refused": {"what": exc.what, "hint": exc.hint}})
            return
        await message.ack()
        await self._answer(inbox, {"accepted": True})
        task = asyncio.create_task(self._finish(inbox, outcome))
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _finish(self, inbox: str, outcome: Awaitable[Outcome]) -> None:
        found = await outcome
        with contextlib.suppress(NatsError, OSError):
            await self._answer(inbox, {"outcome": found})

    async def _answer(self, inbox: str, answer: Mapping[str, object]) -> None:
        await self._wire.publish(inbox, msgspec.json.encode(answer))


_RETRY: Final = Backoff(first=0.3, factor=1.8, cap=15.0, jitter=0.5)
_HERE: Final = 10.0  # seconds between two calls "here I am", beside the one at the start
_MOST_LINES: Final = 8  # hubs at once


class NatsAgent:
    """Keeps the connection to the server, and a line to each hub."""

    def __init__(
        self,
        membership: NatsMembership,
        handler: NodeRequestHandler,
        *,
        clock: Clock,
        chance: Random,
    ) -> None:
        self._name = membership.name
        self._place = NatsAddress(
            url=membership.url,
            prefix=membership.prefix,
            creds=Path(membership.creds) if membership.creds else None,
            ca=Path(membership.ca) if membership.ca else None,
            cert=Path(membership.cert) if membership.cert else None,
            key=Path(membership.key) if membership.key else None,
        )
        self._handler = handler
        self._clock = clock
        self._chance = chance
        self._lines: set[asyncio.Task[None]] = set()
        self.connected = asyncio.Event()
        self.problem = ""

    async def run(self) -> None:
        """Until cancelled; a server that is away is dialled again."""
        attempt = 0
        try:
            while True:
                attempt += 1
                try:
                    await self._serve_once()
                except* (ChapiteauError, NatsError, OSError) as group:
                    self.problem = str(group.exceptions[0])
                self.connected.clear()
                await asyncio.sleep(_RETRY.delay(attempt, self._chance))
        finally:
            await self._handler.close()

    async def _serve_once(self) -> None:
        wire = await connect(self._place, keeps=False, name=self._name, node=self._name)
        streams = NatsNodeStreams(
            self._name, wire, self._handler.commands, clock=self._clock, chance=self._chance
        )
        try:
            await streams.enrol()
            async with asyncio.TaskGroup() as group:
                group.create_task(streams.run())
                group.create_task(self._follow(wire))
                group.create_task(self._listen(wire))
        finally:
            for task in self._lines:
                task.cancel()
            await wire.close()

    async def _follow(self, wire: NatsConnection) -> None:
        states, attempt = NatsDesiredState(wire), 0
        while True:
            attempt += 1
            with contextlib.suppress(ChapiteauError):
                await self._handler.follow(_raw(states, self._name, self._handler.generation))
            await asyncio.sleep(_RETRY.delay(attempt, self._chance))

    async def _listen(self, wire: NatsConnection) -> None:
        async def dialled(message: Any) -> None:
            if len(self._lines) < _MOST_LINES:
                task = asyncio.create_task(self._serve(wire, message))
                self._lines.add(task)
                task.add_done_callback(self._lines.discard)

        await wire.nc.subscribe(wire.names.subject("dial", self._name), cb=dialled)
        self.problem = ""
        self.connected.set()
        while True:
            with contextlib.suppress(NatsError, OSError):
                await wire.publish(wire.names.subject("here", self._name), b"")
            await asyncio.sleep(_HERE)

    async def _serve(self, wire: NatsConnection, message: Any) -> None:
        with contextlib.suppress(NatsError, OSError, ValueError, KeyError):
            asked = json.loads(message.data)
            line = NatsLine(wire, self._name, str(asked["session"]), ours="up", theirs="down")
            writer: Any = line
            link = Link(line.reader, writer, self._handler.handlers(), name="hub")
            await line.open()
            await message.respond(msgspec.json.encode(self._handler.introduction()))
            self._handler.raise_fence(int(asked.get("fence", 0)))
            try:
                await link.run()
            finally:
                line.abort()


async def _raw(states: NatsDesiredState, name: str, after: int) -> Any:
    async with contextlib.aclosing(states.watch(name, after)) as found:  # type: ignore[type-var]
        async for wanted in found:
            yield msgspec.to_builtins(wanted)
