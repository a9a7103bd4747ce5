"""A request as bytes, with all that is known before it goes out."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from chapiteau.load.engine.connection import ConnectionPool
from chapiteau.load.engine.exchange import Exchange, ResponseShape
from chapiteau.load.engine.response import Response
from chapiteau.load.engine.wire import RequestCarrier
from chapiteau.load.errors import ExchangeError
from chapiteau.load.protocols.cookies import CookieJar
from chapiteau.load.protocols.urls import Address
from chapiteau.load.stats.recorder import EndpointStats, Recorder

__all__ = ["ClientState", "PreparedRequest", "RequestHandler", "RequestPath"]


@dataclass(slots=True)
class PreparedRequest:
    """Made once for requests without options, and for each request with some."""

    method: str
    address: Address
    origin: ConnectionPool
    idle: list[RequestCarrier]
    shape: ResponseShape
    row: EndpointStats
    head: bytes  # request line and fields, each ended
    body: bytes
    data: bytes  # head, empty line, body
    timeout: float  # seconds
    bare: bool
    twice: bool
    follow: bool
    expect: frozenset[int] | None


# The usual way of a request through a session: one look-up, one exchange, one answer counted.

_new = object.__new__  # `Response(…)` without the call of its __init__
_MILLION: Final = 1_000_000.0


class RequestHandler(Protocol):
    """What a request path leaves to its session: all that is not the usual way."""

    def prepare(self, method: str, url: str, options: Any) -> PreparedRequest:
        """A request that was not made before."""
        ...

    def with_session_headers(self, prepared: PreparedRequest) -> bytes:
        """The request with the session's own headers and cookies."""
        ...

    def process_head(self, prepared: PreparedRequest, exchange: Any) -> bool:
        """Take cookies from an answer; true when it points elsewhere and is to be followed."""
        ...

    async def follow(self, prepared: PreparedRequest, exchange: Any, intended: float) -> Any:
        """Go there; the last exchange."""
        ...

    def count_no_response(
        self, prepared: PreparedRequest, intended: float, error: BaseException
    ) -> None:
        """Count a request that got no answer."""
        ...

    def count_unexpected(self, prepared: PreparedRequest, response: Any, second: int) -> None:
        """Count an answer that was not expected."""
        ...


class ClientState(Protocol):
    """What all sessions of a process share, as far as a request's usual way needs it."""

    loop: asyncio.AbstractEventLoop
    now: Callable[[], float]
    recorder: Recorder
    plain: dict[str, dict[str, PreparedRequest]]  # by method and URL as written


class RequestPath:
    """What a session's requests look at each time."""

    __slots__ = (
        "checks",
        "has_start_cookies",
        "headers",
        "iteration",
        "jar",
        "lag",
        "lags",
        "loop",
        "now",
        "plain",
        "recorder",
        "sent",
        "slow_path",
        "spare",
    )  # fmt: skip

    def __init__(self, slow_path: RequestHandler, client: ClientState) -> None:
        self.slow_path = slow_path
        self.loop = client.loop
        self.now = client.now
        self.recorder = client.recorder
        self.lags = client.recorder.lag
        self.checks = client.recorder.checks
        self.plain: Mapping[str, Mapping[str, PreparedRequest]] = client.plain
        self.headers: dict[str, str] = {}
        self.jar = CookieJar()
        self.lag = 0.0  # seconds by which the session began late
        self.sent = 0  # requests since it began
        self.iteration = 0  # sessions so far
        self.spare: Exchange | None = None  # of an answered request, to be used again
        self.has_start_cookies = False  # sessions start with cookies

    def check(self, good: object, label: str) -> bool:
        """Count whether something holds, without ending the session; gives it back as a bool."""
        try:
            pair = self.checks[label]
        except KeyError:
            pair = self.checks[label] = [0, 0]
        if good:
            pair[0] += 1
            return True
        pair[1] += 1
        return False

    def begin(self, lag: float) -> bool:
        """A session begins, this many seconds late; true when the jar must be put in order."""
        self.lags.append(int(lag * _MILLION) if lag else 0)
        self.iteration += 1
        self.lag = lag
        self.sent = 0
        return self.has_start_cookies or bool(self.jar.kept)

    async def request(  # noqa: PLR0915 — runs for each: every call would be felt
        self, method: str, url: str, options: Any
    ) -> Response:
        """Send a request and count what comes of it. Raises ExchangeError when no answer comes."""
        prepared = None
        if not options and (known := self.plain.get(method)) is not None:
            prepared = known.get(url)
        if prepared is None:
            prepared = self.slow_path.prepare(method, url, options)
        self.sent += 1
        intended = now = self.now()
        if self.lag:  # the first request's: the service could have had it that much earlier
            intended -= self.lag
            self.lag = 0.0
        data = (
            self.slow_path.with_session_headers(prepared)
            if self.headers or self.jar.kept
            else prepared.data
        )
        shape, exchange = prepared.shape, self.spare
        if exchange is None:
            exchange = Exchange(self.loop, data, 0.0, prepared.bare, prepared.twice, shape)
        else:
            self.spare = None
            exchange.over, exchange.data, exchange.shape = False, data, shape
            exchange.bare, exchange.twice = prepared.bare, prepared.twice
        exchange.deadline = now + prepared.timeout
        if prepared.idle:
            prepared.idle.pop().start(exchange, now)
        else:
            prepared.origin.send(exchange)
        try:
            await exchange
        except (ExchangeError, asyncio.CancelledError) as error:
            self.slow_path.count_no_response(prepared, intended, error)
            raise
        if not (exchange.head is shape.head and shape.usual) and self.slow_path.process_head(
            prepared, exchange
        ):
            exchange = await self.slow_path.follow(prepared, exchange, intended)
        status, body, ended = exchange.status, exchange.body, exchange.ended
        response = _new(Response)
        response.status, response._body = status, body  # noqa: SLF001 — its __init__, written out
        response._head, response.url = exchange.head, prepared.address  # noqa: SLF001
        self.spare, exchange.body = exchange, b""
        response.seconds = taken = ended - intended
        second, micros = int(intended - self.recorder.zero), int(taken * _MILLION)
        row, expect = prepared.row, prepared.expect
        row.latency[second].append(micros)
        if exchange.sent != intended:
            taken = ended - exchange.sent
            micros = int(taken * _MILLION)
        response.service_seconds = taken
        row.service.append(micros)
        row.codes.append(status)
        row.received += len(body)
        response.good = good = status < 400 if expect is None else status in expect
        if not good:
            self.slow_path.count_unexpected(prepared, response, second)
        return response
