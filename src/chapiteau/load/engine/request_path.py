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
        "start_cookies",
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
        self.start_cookies = CookieJar()  # where each session starts from

    def use_headers(self, headers: dict[str, str]) -> None:
        """These go with every request from now on."""
        self.headers = headers

    def use_cookies(self, jar: CookieJar) -> None:
        """These are the user's from now on."""
        self.jar = jar

    def settle(self) -> None:
        """The cookies of now are where every session starts from."""
        self.start_cookies = self.jar.copy()

    def reset_cookies(self) -> None:
        """Put back the cookies that a session starts with."""
        self.jar = self.start_cookies.copy()

    def take_lag(self) -> float:
        """Something is sent, other than by `request`; the seconds by which it is late."""
        self.sent += 1
        lag, self.lag = self.lag, 0.0
        return lag

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

    def begin(self, lag: float) -> None:
        """A session begins, this many seconds late."""
        self.lags.append(int(lag * _MILLION) if lag else 0)
        self.iteration += 1
        self.lag = lag
        self.sent = 0
        if self.jar.kept or self.start_cookies.kept:
            self.reset_cookies()

    async def request(self, method: str, url: str, options: Any) -> Response:
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
        shape, exchange, deadline = prepared.shape, self.spare, now + prepared.timeout
        if exchange is None:
            exchange = Exchange(self.loop, data, deadline, prepared.bare, prepared.twice, shape)
        else:
            self.spare = None
            exchange.renew(data, deadline, prepared.bare, prepared.twice, shape)
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
        status, body, ended = exchange.status, exchange.take_body(), exchange.ended
        self.spare, row, expect = exchange, prepared.row, prepared.expect
        taken = service = ended - intended
        if exchange.sent != intended:
            service = ended - exchange.sent
        second = int(intended - self.recorder.zero)
        row.count_answer(second, int(taken * _MILLION), int(service * _MILLION), status, len(body))
        good = status < 400 if expect is None else status in expect
        response = Response(status, exchange.head, body, good, prepared.address, taken, service)
        if not good:
            self.slow_path.count_unexpected(prepared, response, second)
        return response
