"""The usual way of a request through a session: one look-up, one exchange, one answer counted."""

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol

from chapiteau.load.engine.hot.exchange import Exchange
from chapiteau.load.engine.hot.prepared import Prepared
from chapiteau.load.engine.hot.response import Response
from chapiteau.load.errors import ExchangeError
from chapiteau.load.logic.http.cookies import CookieJar

if TYPE_CHECKING:
    from chapiteau.load.engine.http.client import Client

__all__ = ["Hand", "Lane"]

_MILLION: Final = 1_000_000.0


class Hand(Protocol):
    """What a lane leaves to its session: all that is not the usual way."""

    def prepare(self, method: str, url: str, options: Any) -> Prepared:
        """A request that was not made before."""
        ...

    def dressed(self, prepared: Prepared) -> bytes:
        """The request with the session's own headers and cookies."""
        ...

    def turned(self, prepared: Prepared, exchange: Any) -> bool:
        """Take cookies from an answer; true when it points elsewhere and is to be followed."""
        ...

    async def follow(self, prepared: Prepared, exchange: Any, intended: float) -> Any:
        """Go there; the last exchange."""
        ...

    def failed(self, prepared: Prepared, intended: float, error: BaseException) -> None:
        """Count a request that got no answer."""
        ...

    def refused(self, prepared: Prepared, response: Any, second: int) -> None:
        """Count an answer that was not expected."""
        ...


class Lane:
    """What a session's requests look at each time."""

    __slots__ = (
        "checks", "dressed", "hand", "headers", "iteration", "jar", "lag", "loop", "now", "plain",
        "sent", "tally",
    )  # fmt: skip

    def __init__(self, hand: Hand, client: "Client") -> None:
        self.hand = hand
        self.loop = client.loop
        self.now = client.now
        self.tally = client.tally
        self.checks = client.tally.checks
        self.plain: Mapping[str, Mapping[str, Prepared]] = client.plain
        self.headers: dict[str, str] = {}
        self.jar = CookieJar()
        self.lag = 0.0  # seconds by which the session began late
        self.sent = 0  # requests since it began
        self.iteration = 0  # sessions so far
        self.dressed = False  # sessions start with cookies

    def check(self, good: object, label: str) -> bool:
        """Count whether something holds, without ending the session; gives it back as a bool."""
        good = bool(good)
        pair = self.checks.get(label)
        if pair is None:
            pair = self.checks[label] = [0, 0]
        pair[not good] += 1
        return good

    def begin(self, lag: float) -> bool:
        """A session begins, this many seconds late; true when the jar must be put in order."""
        self.iteration += 1
        self.lag = lag
        self.sent = 0
        return self.dressed or bool(self.jar.kept)

    async def request(self, method: str, url: str, options: Any) -> Response:
        """Send a request and count what comes of it. Raises ExchangeError when no answer comes."""
        prepared = None
        if not options and (known := self.plain.get(method)) is not None:
            prepared = known.get(url)
        if prepared is None:
            prepared = self.hand.prepare(method, url, options)
        self.sent += 1
        now = self.now()
        # The session's own lateness belongs to its first request: the service could have had it
        # that much earlier.
        intended = now
        if self.lag:
            intended -= self.lag
            self.lag = 0.0
        exchange = Exchange(
            self.loop,
            self.hand.dressed(prepared) if self.headers or self.jar.kept else prepared.data,
            now + prepared.timeout,
            prepared.bare,
            prepared.twice,
            prepared.memo,
        )
        idle = prepared.idle
        if idle:
            idle.pop().start(exchange, now)
        else:
            prepared.origin.send(exchange)
        try:
            await exchange
        except (ExchangeError, asyncio.CancelledError) as error:
            self.hand.failed(prepared, intended, error)
            raise
        memo = prepared.memo
        if (exchange.head is not memo.head or memo.cookies or exchange.status >= 300) and (
            self.hand.turned(prepared, exchange)
        ):
            exchange = await self.hand.follow(prepared, exchange, intended)
        ended, status, row = exchange.ended, exchange.status, prepared.row
        good = status < 400 if prepared.expect is None else status in prepared.expect
        body = exchange.body
        taken, served = ended - intended, ended - exchange.sent
        response = Response(status, exchange.head, body, good, prepared.address, taken, served)
        second = int(intended - self.tally.zero)
        row.latency[second].append(int(taken * _MILLION))
        row.service.append(int(served * _MILLION))
        row.statuses[status] += 1
        row.received += len(body)
        if not good:
            self.hand.refused(prepared, response, second)
        return response
