"""What a scenario works with: requests, checks, metrics, cookies."""

import asyncio
import random
from collections.abc import Awaitable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar, Unpack

from chapiteau.load.engine.client import HttpClient, Options
from chapiteau.load.engine.response import Response
from chapiteau.load.engine.slow_path import SlowPath
from chapiteau.load.protocols.cookies import CookieJar

if TYPE_CHECKING:
    from chapiteau.load.engine.event_stream import EventStream
    from chapiteau.load.engine.grpc_channel import GrpcChannel
    from chapiteau.load.engine.raw_sockets import Tcp, Udp
    from chapiteau.load.engine.websocket import WebSocket

__all__ = ["Session"]

T = TypeVar("T")

Answering = Coroutine[Any, Any, Response]


class Session:
    """One virtual user's connection to the service.

    `headers` go with every request, `cookies` behave as in a browser, `shared` is what the run's
    set-up returned, `user` counts users in this worker, `state` is for the scenario's own notes.
    """

    def __init__(
        self,
        client: HttpClient,
        *,
        user: int = 0,
        seed: str = "",
        shared: Any = None,
        worker: int = 0,
        workers: int = 1,
    ) -> None:
        self._slow_path = SlowPath(client)
        self.request_path = self._slow_path.request_path
        self._request = self.request_path.request
        self.state: dict[str, Any] = {}
        self.pause = 0.0  # seconds that the user rests after this session, if it goes on
        self.shared = shared
        self.user = user
        self.worker = worker  # number of this load process
        self.workers = workers  # how many there are
        self.seed = seed
        self.recorder = client.recorder  # what the report counts from
        self.base = client.base
        self.allowed = client.allowed
        self._client = client
        self._loop = client.loop
        self.now = self._now = client.now
        # Scenarios check after each request: the way through the method below would be felt.
        self.check = self.request_path.check  # type: ignore[method-assign]
        self._seed = seed
        self._random: random.Random | None = None
        self._random_of = 0

    # ── requests ──────────────────────────────────────────────────────────────────────────────
    def get(self, url: str, **options: Unpack[Options]) -> Answering:
        """GET. Raises ExchangeError when no answer comes; a bad status only counts."""
        return self._request("GET", url, options)

    def post(self, url: str, **options: Unpack[Options]) -> Answering:
        """POST `json=` or `data=`."""
        return self._request("POST", url, options)

    def put(self, url: str, **options: Unpack[Options]) -> Answering:
        """PUT `json=` or `data=`."""
        return self._request("PUT", url, options)

    def patch(self, url: str, **options: Unpack[Options]) -> Answering:
        """PATCH `json=` or `data=`."""
        return self._request("PATCH", url, options)

    def delete(self, url: str, **options: Unpack[Options]) -> Answering:
        """DELETE."""
        return self._request("DELETE", url, options)

    def head(self, url: str, **options: Unpack[Options]) -> Answering:
        """HEAD; redirects are not followed unless asked for."""
        return self._request("HEAD", url, options)

    def options(self, url: str, **options: Unpack[Options]) -> Answering:
        """OPTIONS."""
        return self._request("OPTIONS", url, options)

    def request(self, method: str, url: str, **options: Unpack[Options]) -> Answering:
        """Any method."""
        return self._request(method, url, options)

    def websocket(
        self,
        url: str,
        *,
        protocols: tuple[str, ...] = (),
        headers: dict[str, str] | None = None,
        compress: bool = False,
        name: str = "",
        timeout: float | None = None,
    ) -> "WebSocket":
        """A WebSocket, to be opened by `async with`. `compress` offers permessage-deflate,
        `timeout` bounds the handshake in seconds."""
        from chapiteau.load.engine.websocket import WebSocket

        return WebSocket(
            self._slow_path,
            url,
            protocols=protocols,
            headers=headers or {},
            compress=compress,
            name=name,
            timeout=timeout,
        )

    def events(
        self,
        url: str,
        *,
        headers: dict[str, str] | None = None,
        name: str = "",
        timeout: float | None = None,
    ) -> "EventStream":
        """Server-sent events, to be opened by `async with`; `timeout` bounds the opening."""
        from chapiteau.load.engine.event_stream import EventStream

        return EventStream(self._slow_path, url, headers=headers or {}, name=name, timeout=timeout)

    def tcp(self, at: str, *, tls: bool = False, name: str = "") -> "Tcp":
        """A TCP connection to HOST:PORT for a protocol of your own, opened by `async with`."""
        from chapiteau.load.engine.raw_sockets import Tcp

        return Tcp(self._slow_path, at, tls=tls, name=name)

    def udp(self, at: str, *, name: str = "") -> "Udp":
        """Datagrams to HOST:PORT, opened by `async with`."""
        from chapiteau.load.engine.raw_sockets import Udp

        return Udp(self._slow_path, at, name=name)

    def grpc(self, at: str, *, credentials: Any = None, options: Any = None) -> "GrpcChannel":
        """A gRPC channel to HOST:PORT for your own stubs, opened by `async with` (extra `grpc`);
        unary calls are timed. `credentials` and `options` are grpc.aio's."""
        from chapiteau.load.engine.grpc_channel import GrpcChannel

        return GrpcChannel(self._slow_path, at, credentials=credentials, options=options)

    async def timed(self, name: str, doing: Awaitable[T]) -> T:
        """Wait for anything, and count it as a request of this name; what it raises is a failure.

        So any asyncio library is a protocol of the report: `await session.timed("get", r.get(k))`.
        """
        return await self._slow_path.timed(name, doing)

    # ── telling the report ────────────────────────────────────────────────────────────────────
    def check(self, good: object, label: str) -> bool:
        """Count whether something holds, without ending the session; gives it back as a bool."""
        return self.request_path.check(good, label)

    def counter(self, name: str, by: float = 1.0) -> None:
        """Add to a number of your own."""
        self.recorder.metric("counter", name, by)

    def gauge(self, name: str, value: float) -> None:
        """Set a number of your own; the latest counts."""
        self.recorder.metric("gauge", name, value)

    def trend(self, name: str, value: float) -> None:
        """Add a value to a distribution of your own (three digits are kept)."""
        self.recorder.metric("trend", name, value)

    async def think(self, seconds: float, upto: float | None = None) -> None:
        """Wait as a person would: this long, or evenly between the two."""
        await asyncio.sleep(seconds if upto is None else self.random.uniform(seconds, upto))

    @property
    def random(self) -> random.Random:
        """Chance that is the same in every run with the same seed."""
        if self._random is None or self._random_of != self.iteration:
            self._random_of = self.iteration
            self._random = random.Random(f"{self._seed}/{self.user}/{self.iteration}")  # noqa: S311
        return self._random

    # ── for the user pool ──────────────────────────────────────────────────────────────────────
    def rest(self, seconds: float) -> None:
        """The user rests so long after this session, if it goes on."""
        self.pause = seconds

    def take_pause(self) -> float:
        """The pause that is due now; the next session has none of its own yet."""
        pause, self.pause = self.pause, 0.0
        return pause

    def settle(self) -> None:
        """The user's set-up is done: its cookies are where every session starts from."""
        self.request_path.settle()

    def begin(self, lag: float) -> None:
        """A new iteration begins, this many seconds later than it was meant to."""
        self.request_path.begin(lag)

    @property
    def iteration(self) -> int:
        """Which session of this user it is, from 1."""
        number: int = self.request_path.iteration
        return number

    @property
    def sent(self) -> int:
        """Requests of this iteration."""
        sent: int = self.request_path.sent
        return sent

    @property
    def headers(self) -> dict[str, str]:
        """Headers that go with every request."""
        headers: dict[str, str] = self.request_path.headers
        return headers

    @headers.setter
    def headers(self, headers: dict[str, str]) -> None:
        self.request_path.use_headers(headers)

    @property
    def cookies(self) -> CookieJar:
        """What the user's browser would hold."""
        jar: CookieJar = self.request_path.jar
        return jar

    @cookies.setter
    def cookies(self, jar: CookieJar) -> None:
        self.request_path.use_cookies(jar)
