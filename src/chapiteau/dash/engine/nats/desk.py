"""The node's side: its events into a stream, its orders out of one."""

import asyncio
import contextlib
import json
from random import Random
from typing import Any, Final

from nats.errors import Error as NatsError
from nats.errors import TimeoutError as NatsTimeoutError
from nats.js.errors import NotFoundError as MissingError

from chapiteau.core.backoff import Backoff
from chapiteau.core.clock import Clock
from chapiteau.core.errors import ChapiteauError
from chapiteau.dash.engine.nats.server import Wire, whole
from chapiteau.dash.engine.plane.intake import Intake
from chapiteau.dash.logic.nodes.natsrules import token
from chapiteau.dash.logic.nodes.plane import Order

__all__ = ["Desk"]

_RETRY: Final = Backoff(first=0.2, factor=1.8, cap=5.0, jitter=0.5)
_LAST: Final = "Nats-Expected-Last-Subject-Sequence"
_FETCH: Final = 20  # orders taken from the stream at once
_WAIT: Final = 3.0  # seconds of one request for orders; a lost one must not hold up the next


class Desk:
    """Publishes and takes on, for ever."""

    def __init__(
        self, name: str, wire: Wire, intake: Intake, *, clock: Clock, chance: Random
    ) -> None:
        self._name = name
        self._wire = wire
        self._intake = intake
        self._clock = clock
        self._chance = chance
        self._offset = 0.0  # seconds by which the NATS server's clock is ahead of ours
        self._answering: set[asyncio.Task[None]] = set()

    async def enrol(self) -> None:
        """Write our name where hubs look, and compare clocks. Raises what NATS raises.

        An order's age is what the server's clock says, whatever ours does.
        """
        bucket = await self._wire.bucket("NODES")
        name = token(self._name)
        sent = self._clock.wall()
        revision = await whole(bucket.put(name, json.dumps({"name": self._name}).encode()))
        middle = (sent + self._clock.wall()) / 2
        stream = f"KV_{self._wire.names.bucket('NODES')}"
        kept = await whole(self._wire.js.get_msg(stream, revision))
        self._offset = kept.time.timestamp() - middle

    async def run(self) -> None:
        """Until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._keep(self._publish_events))
                group.create_task(self._keep(self._take_orders))
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
            await asyncio.sleep(_RETRY.delay(attempt, self._chance))

    # ── events ──

    async def _publish_events(self) -> None:
        """After the last one that the stream has; the server refuses one that comes twice."""
        node, subject = self._intake.node, self._wire.names.subject("event", self._name)
        seq, place = await self._last(subject)
        if (await node.status()).get("last_event", seq) < seq:
            seq = 0  # a supervisor that lost its state: its numbers began again
        async with contextlib.aclosing(node.events(seq)) as events:  # type: ignore[type-var]
            async for event in events:
                body = json.dumps(event).encode()
                sent = self._wire.js.publish(subject, body, headers={_LAST: str(place)})
                ack = await whole(sent)
                place = ack.seq

    async def _last(self, subject: str) -> tuple[int, int]:
        try:
            last = await self._wire.js.get_last_msg(self._wire.names.events, subject)
        except MissingError:
            return 0, 0
        return int(json.loads(last.data)["seq"]), int(last.seq)

    # ── orders ──

    async def _take_orders(self) -> None:
        subscription = await self._wire.js.pull_subscribe(
            self._wire.names.subject("order", self._name),
            durable=f"node-{token(self._name)}",
            stream=self._wire.names.orders,
        )
        while True:
            try:
                messages = await whole(subscription.fetch(_FETCH, timeout=_WAIT))
            except NatsTimeoutError:
                continue
            for message in messages:
                await self._take(message)

    async def _take(self, message: Any) -> None:
        try:
            raw = json.loads(message.data)
            age = self._clock.wall() + self._offset - message.metadata.timestamp.timestamp()
            order = Order.from_dict({**raw, "ttl": float(raw["ttl"]) - max(0.0, age)})
            inbox = str(raw["answer"])
        except (ValueError, KeyError, TypeError):
            await message.term()  # nobody can do this
            return
        try:
            outcome = self._intake.begin(order)
        except ChapiteauError as exc:
            await message.ack()
            await self._answer(inbox, {"refused": {"what": exc.what, "hint": exc.hint}})
            return
        await message.ack()
        await self._answer(inbox, {"accepted": True})
        task = asyncio.create_task(self._finish(inbox, outcome))
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _finish(self, inbox: str, outcome: Any) -> None:
        found = await outcome
        with contextlib.suppress(NatsError, OSError):
            await self._answer(inbox, {"outcome": found})

    async def _answer(self, inbox: str, answer: dict[str, Any]) -> None:
        await self._wire.publish(inbox, json.dumps(answer).encode())
