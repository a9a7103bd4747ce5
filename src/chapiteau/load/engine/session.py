"""What a scenario holds in its hand: requests, checks, metrics, cookies."""

import asyncio
import random
from collections.abc import Coroutine
from typing import Any, Final, Unpack

from chapiteau.load.engine.http.client import Client, Options, Prepared
from chapiteau.load.engine.http.exchange import Exchange
from chapiteau.load.engine.http.response import Response
from chapiteau.load.errors import ExchangeError
from chapiteau.load.logic import urls
from chapiteau.load.logic.http.cookies import CookieJar
from chapiteau.load.logic.http.http1 import Headers

__all__ = ["Session"]

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_CONTENT: Final = ("content-type", "content-encoding", "content-language")
_MOST_HOPS: Final = 10
_MILLION: Final = 1_000_000.0


class Session:
    """One virtual user's connection to the service.

    `headers` go with every request, `cookies` behave as in a browser, `shared` is what the run's
    set-up returned, `user` counts users in this worker, `state` is for the scenario's own notes.
    """

    def __init__(
        self, client: Client, *, user: int = 0, seed: str = "", shared: Any = None
    ) -> None:
        self.headers: dict[str, str] = {}
        self.cookies = CookieJar()
        self._start_cookies = CookieJar()
        self.state: dict[str, Any] = {}
        self.shared = shared
        self.user = user
        self.worker, self.workers = 0, 1  # number of this load process, and how many there are
        self.seed = seed
        self.iteration = 0
        self.tally = client.tally  # what the report counts from
        self.base = client.base
        self.allowed = client.allowed
        self._client = client
        self._loop = client.loop
        self.now = self._now = client.now
        self._tally = client.tally
        self._plain = client.plain
        self._lag = 0.0
        self._sent = 0
        self._seed = seed
        self._random: random.Random | None = None

    # ── requests ──────────────────────────────────────────────────────────────────────────────
    def get(self, url: str, **options: Unpack[Options]) -> Coroutine[Any, Any, Response]:
        """GET. Raises ExchangeError when no answer comes; a bad status only counts."""
        return self._send("GET", url, options)

    def post(self, url: str, **options: Unpack[Options]) -> Coroutine[Any, Any, Response]:
        """POST `json=` or `data=`."""
        return self._send("POST", url, options)

    def put(self, url: str, **options: Unpack[Options]) -> Coroutine[Any, Any, Response]:
        """PUT `json=` or `data=`."""
        return self._send("PUT", url, options)

    def patch(self, url: str, **options: Unpack[Options]) -> Coroutine[Any, Any, Response]:
        """PATCH `json=` or `data=`."""
        return self._send("PATCH", url, options)

    def delete(self, url: str, **options: Unpack[Options]) -> Coroutine[Any, Any, Response]:
        """DELETE."""
        return self._send("DELETE", url, options)

    def head(self, url: str, **options: Unpack[Options]) -> Coroutine[Any, Any, Response]:
        """HEAD; redirects are not followed unless asked for."""
        return self._send("HEAD", url, options)

    def options(self, url: str, **options: Unpack[Options]) -> Coroutine[Any, Any, Response]:
        """OPTIONS."""
        return self._send("OPTIONS", url, options)

    def request(
        self, method: str, url: str, **options: Unpack[Options]
    ) -> Coroutine[Any, Any, Response]:
        """Any method."""
        return self._send(method, url, options)

    # ── telling the report ────────────────────────────────────────────────────────────────────
    def check(self, good: object, label: str) -> bool:
        """Count whether something holds, without ending the session; gives it back as a bool."""
        self._tally.check(label, good=bool(good))
        return bool(good)

    def counter(self, name: str, by: float = 1.0) -> None:
        """Add to a number of your own."""
        self._tally.metric("counter", name, by)

    def gauge(self, name: str, value: float) -> None:
        """Set a number of your own; the latest counts."""
        self._tally.metric("gauge", name, value)

    def trend(self, name: str, value: float) -> None:
        """Add a value to a distribution of your own (three digits are kept)."""
        self._tally.metric("trend", name, value)

    async def think(self, seconds: float, upto: float | None = None) -> None:
        """Wait as a person would: this long, or evenly between the two."""
        await asyncio.sleep(seconds if upto is None else self.random.uniform(seconds, upto))

    @property
    def random(self) -> random.Random:
        """Chance that is the same in every run with the same seed."""
        if self._random is None:
            self._random = random.Random(f"{self._seed}/{self.user}/{self.iteration}")  # noqa: S311
        return self._random

    # ── for the crowd ─────────────────────────────────────────────────────────────────────────
    def settle(self) -> None:
        """The user's set-up is done: its cookies are where every session starts from."""
        self._start_cookies = self.cookies.copy()

    def begin(self, lag: float) -> None:
        """A new iteration begins, this many seconds later than it was meant to."""
        self.iteration += 1
        if self.cookies.kept or self._start_cookies.kept:
            self.cookies = self._start_cookies.copy()
        self._lag = lag
        self._sent = 0
        self._random = None

    @property
    def sent(self) -> int:
        """Requests of this iteration."""
        return self._sent

    # ── the way of a request ──────────────────────────────────────────────────────────────────
    async def _send(self, method: str, url: str, options: Options) -> Response:
        prepared = None if options else self._plain.get((method, url))
        if prepared is None:
            prepared = self._client.prepare(method, url, options)
        self._sent += 1
        asked = self._now()
        # The session's own lateness belongs to its first request: the service could have had
        # it that much earlier.
        intended = asked - self._lag
        self._lag = 0.0
        data = prepared.data
        if self.headers or self.cookies.kept:
            data = self._dressed(prepared)
        exchange = Exchange(
            self._loop, data, asked + prepared.timeout, prepared.bare, prepared.twice
        )
        prepared.origin.send(exchange)
        try:
            await exchange
        except (ExchangeError, asyncio.CancelledError) as error:
            self._failed(prepared, intended, error)
            raise
        head = exchange.head
        if b"set-cookie" in head or b"Set-Cookie" in head:
            self.cookies.take(prepared.address, Headers(head).all("set-cookie"))
        if exchange.status in _REDIRECTS and prepared.follow:
            exchange = await self._follow(prepared, exchange, intended)
        return self._answered(prepared, exchange, intended)

    def _answered(self, prepared: Prepared, exchange: Exchange, intended: float) -> Response:
        ended, status = exchange.ended, exchange.status
        row = prepared.row
        second = int(intended - self._tally.zero)
        good = status < 400 if prepared.expect is None else status in prepared.expect
        response = Response(status, exchange.head, exchange.body, good, prepared.address)
        response.seconds = taken = ended - intended
        response.service_seconds = served = ended - exchange.sent
        row.latency[second].append(int(taken * _MILLION))
        row.service.append(int(served * _MILLION))
        row.statuses[status] += 1
        row.received += len(exchange.body)
        if not good:
            row.bad[second] += 1
            self._tally.sample(f"{row.name}: {status}", _excerpt(response))
        return response

    def _failed(self, prepared: Prepared, intended: float, error: BaseException) -> None:
        """No answer: it counts as bad, and the time waited for it is its latency."""
        row, now = prepared.row, self._now()
        if isinstance(error, ExchangeError):
            kind = error.kind
            self._tally.sample(f"{row.name}: {kind}", error.what)
        else:
            kind = "given up"
        second = int(intended - self._tally.zero)
        row.latency[second].append(int((now - intended) * _MILLION))
        if self._tally.stopping and not isinstance(error, ExchangeError):
            # The test was ended, not the service's patience: no error, and at least this late.
            row.cut += 1
            return
        row.failures[kind] += 1
        row.bad[second] += 1

    def _dressed(self, prepared: Prepared) -> bytes:
        """The request with this session's own headers and cookies."""
        lines = []
        present = prepared.head.lower()
        for name, value in self.headers.items():
            if f"\r\n{name.lower()}:".encode() not in present:
                lines.append(f"{name}: {value}\r\n".replace("\r\n", " ").strip() + "\r\n")
        cookies = self.cookies.field(prepared.address)
        if cookies:
            lines.append(f"cookie: {cookies}\r\n")
        return prepared.head + "".join(lines).encode("latin-1", "replace") + b"\r\n" + prepared.body

    async def _follow(self, prepared: Prepared, exchange: Exchange, intended: float) -> Exchange:
        """Go where answers point to, at most ten times; all of it counts as one request."""
        at, method, body = prepared.address, prepared.method, prepared.body
        for _ in range(_MOST_HOPS):
            location = Headers(exchange.head).get("location")
            if exchange.status not in _REDIRECTS or not location:
                return exchange
            if exchange.status == 303 or (exchange.status in {301, 302} and method == "POST"):
                method, body = ("HEAD" if method == "HEAD" else "GET"), b""
            options: Options = {"name": prepared.row.name}
            if body:
                options |= {"data": body, "headers": _content_fields(prepared)}
            hop = self._client.prepare(method, urls.redirected(at, location), options)
            at = hop.address
            exchange = Exchange(
                self._loop, self._dressed(hop), self._now() + hop.timeout, hop.bare, hop.twice
            )
            hop.origin.send(exchange)
            try:
                await exchange
            except (ExchangeError, asyncio.CancelledError) as error:
                self._failed(prepared, intended, error)
                raise
            self.cookies.take(at, Headers(exchange.head).all("set-cookie"))
        endless = ExchangeError(
            "redirects", f"more than {_MOST_HOPS} redirects from {prepared.address}"
        )
        self._failed(prepared, intended, endless)
        raise endless


def _content_fields(prepared: Prepared) -> dict[str, str]:
    """What describes a body, for when it is sent again elsewhere (RFC 9110, 15.4.8)."""
    fields = Headers(prepared.head)
    return {name: value for name in _CONTENT if (value := fields.get(name))}


def _excerpt(response: Response) -> str:
    """What the report shows of a bad answer."""
    head = f"{response.status} {response.reason} from {response.url}"
    try:
        return f"{head}\n{response.text()[:600]}"
    except ExchangeError as exc:
        return f"{head}\n({exc.what})"
