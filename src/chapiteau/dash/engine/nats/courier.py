"""The hub's side of one node: its events from a stream, its orders into one."""

import asyncio
import contextlib
import json
import secrets
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

from nats.errors import Error as NatsError
from nats.errors import TimeoutError as NatsTimeoutError

from chapiteau.core.errors import ChapiteauError
from chapiteau.dash.engine.cluster.patience import Patience
from chapiteau.dash.engine.cluster.remote import RemoteNode
from chapiteau.dash.engine.nats.server import Wire, whole
from chapiteau.dash.errors import NodeAwayError, NotAllowedError
from chapiteau.dash.logic.nodes.plane import Order

__all__ = ["NatsNode"]

_ASK_AGAIN: Final = 5.0  # seconds without a word, after which an order is sent again
_PAUSE: Final = 0.2
_LOOK: Final = 1.0  # seconds between two looks whether the connection is still the same


class NatsNode(RemoteNode):
    """A node at the NATS server; all other questions go over a line of its own."""

    def __init__(self, name: str, wire: Wire, fence: Callable[[], int] = lambda: 0) -> None:
        super().__init__(name, fence)
        self._wire = wire

    async def events(self, after: int) -> AsyncIterator[dict[str, Any]]:
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

    async def _next(self, subscription: Any, connection: int) -> Any:
        while True:
            if self._wire.reconnects != connection:
                raise NodeAwayError(f"{self.name}: the connection to NATS was lost meanwhile")
            try:
                return await whole(subscription.next_msg(timeout=_LOOK))
            except NatsTimeoutError:
                continue

    async def send(self, order: Order, accepted: Callable[[], None]) -> dict[str, Any]:
        """The outcome. Without a word it is sent again, under the same id."""
        patience = Patience(self.name, order.ttl)
        inbox = self._wire.names.answer(self.name, secrets.token_hex(12))
        try:
            async with asyncio.timeout_at(patience.deadline) as timer:
                answers = await self._listen(inbox)
                try:
                    while True:
                        left = patience.left()
                        body = {**order.to_dict(), "ttl": left, "answer": inbox}
                        outcome = await self._ask(body, answers, patience, accepted, timer)
                        if outcome is not None:
                            return outcome
                finally:
                    with contextlib.suppress(NatsError):
                        await answers.unsubscribe()
        except TimeoutError:
            raise patience.over() from None

    async def _listen(self, inbox: str) -> Any:
        while True:
            try:
                subscription = await self._wire.nc.subscribe(inbox)
                await self._wire.nc.flush()
            except (NatsError, OSError):
                await asyncio.sleep(_PAUSE)
            else:
                return subscription

    async def _ask(
        self,
        body: dict[str, Any],
        answers: Any,
        patience: Patience,
        accepted: Callable[[], None],
        timer: asyncio.Timeout,
    ) -> dict[str, Any] | None:
        """One time; None when nothing was heard for a while. Raises what the node refuses with."""
        subject = self._wire.names.subject("order", self.name)
        try:
            await whole(self._wire.js.publish(subject, json.dumps(body).encode()))
            patience.sent()
            while True:
                answer = json.loads((await whole(answers.next_msg(timeout=_ASK_AGAIN))).data)
                if "refused" in answer:
                    raise _refusal(answer["refused"])
                if "outcome" in answer:
                    found: dict[str, Any] = answer["outcome"]
                    return found
                if patience.accepted():
                    accepted()
                timer.reschedule(patience.deadline)
        except NatsTimeoutError:
            return None
        except (NatsError, OSError):
            await asyncio.sleep(_PAUSE)
            return None


def _refusal(told: dict[str, Any]) -> ChapiteauError:
    return NotAllowedError(str(told.get("what", "refused")), hint=str(told.get("hint", "")))
