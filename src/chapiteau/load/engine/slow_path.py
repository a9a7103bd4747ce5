"""What is rare in a request: cookies, redirects, failures (see load/engine/request_path.py)."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from chapiteau.load.engine.client import HttpClient, Options
from chapiteau.load.engine.exchange import Exchange
from chapiteau.load.engine.origin import Origin
from chapiteau.load.engine.request_path import PreparedRequest
from chapiteau.load.engine.response import Response
from chapiteau.load.errors import ExchangeError
from chapiteau.load.protocols import urls
from chapiteau.load.protocols.http1 import Headers
from chapiteau.load.protocols.urls import Address
from chapiteau.load.stats.recorder import EndpointStats

__all__ = ["MAX_REDIRECTS", "REDIRECT_STATUSES", "SlowPath"]

T = TypeVar("T")

REDIRECT_STATUSES: Final = frozenset({301, 302, 303, 307, 308})
_PRIVATE: Final = frozenset({"authorization", "cookie"})  # for one host's ears only
_OF_ONE_REQUEST: Final = frozenset({"host", "content-length"})
MAX_REDIRECTS: Final = 10
_MILLION: Final = 1_000_000.0


class SlowPath:
    """The slow side of a session's request path."""

    def __init__(self, client: HttpClient) -> None:
        self.request_path = client.backend.request_path(self, client)
        self._client = client
        self._loop = client.loop
        self._now = client.now
        self._recorder = client.recorder

    def prepare(self, method: str, url: str, options: Options) -> PreparedRequest:
        """A request that was not made before."""
        return self._client.prepare(method, url, options)

    def process_head(self, prepared: PreparedRequest, exchange: Exchange) -> bool:
        """Take cookies from an answer; true when it points elsewhere and is to be followed."""
        head = exchange.head
        if b"set-cookie" in head.lower():
            self.request_path.jar.take(prepared.address, Headers(head).all("set-cookie"))
        return exchange.status in REDIRECT_STATUSES and prepared.follow

    def count_unexpected(self, prepared: PreparedRequest, response: Response, second: int) -> None:
        """Count an answer that was not expected."""
        row = prepared.row
        row.bad[second] += 1
        self._recorder.sample(f"{row.name}: {response.status}", _excerpt(response))

    def count_no_response(
        self, prepared: PreparedRequest, intended: float, error: BaseException
    ) -> None:
        """No answer: it counts as bad, and the time waited for it is its latency."""
        self.count_failure(prepared.row, intended, error)

    def count_failure(self, row: EndpointStats, intended: float, error: BaseException) -> None:
        """The same for anything that has a row."""
        now = self._now()
        if isinstance(error, ExchangeError):
            kind = error.kind
            self._recorder.sample(f"{row.name}: {kind}", error.what)
        else:
            kind = "given up" if isinstance(error, asyncio.CancelledError) else _kind(error)
        second = int(intended - self._recorder.zero)
        row.latency[second].append(int((now - intended) * _MILLION))
        if self._recorder.stopping and not isinstance(error, ExchangeError):
            # The test was ended, not the service's patience: no error, and at least this late.
            row.count_cut()
            return
        row.failures[kind] += 1
        row.bad[second] += 1

    def with_session_headers(
        self, prepared: PreparedRequest, without: frozenset[str] = frozenset()
    ) -> bytes:
        """The request with this session's own headers (but those) and cookies."""
        lines = []
        present = prepared.head.lower()
        for name, value in self.request_path.headers.items():
            if name.lower() not in without and f"\r\n{name.lower()}:".encode() not in present:
                lines.append(f"{name}: {value}\r\n".replace("\r\n", " ").strip() + "\r\n")
        cookies = self.request_path.jar.field(prepared.address)
        if cookies:
            lines.append(f"cookie: {cookies}\r\n")
        return prepared.head + "".join(lines).encode("latin-1", "replace") + b"\r\n" + prepared.body

    async def follow(
        self, prepared: PreparedRequest, exchange: Exchange, intended: float
    ) -> Exchange:
        """Go where answers point to, at most ten times; all of it counts as one request."""
        at, method, body = prepared.address, prepared.method, prepared.body
        for _ in range(MAX_REDIRECTS):
            location = Headers(exchange.head).get("location")
            if exchange.status not in REDIRECT_STATUSES or not location:
                return exchange
            if exchange.status == 303 or (exchange.status in {301, 302} and method == "POST"):
                method, body = ("HEAD" if method == "HEAD" else "GET"), b""
            to = urls.resolve_location(at, location)
            away = urls.parse(to).origin != prepared.address.origin
            options: Options = {
                "name": prepared.row.name,
                "headers": _kept_fields(prepared, content=bool(body), away=away),
            }
            if body:
                options["data"] = body
            hop = self._client.prepare(method, to, options)
            at = hop.address
            exchange = self._client.backend.exchange(
                self._loop,
                self.with_session_headers(hop, without=_PRIVATE if away else frozenset()),
                self._now() + hop.timeout,
                hop.bare,
                hop.twice,
                hop.shape,
            )
            hop.origin.send(exchange)
            try:
                await exchange
            except (ExchangeError, asyncio.CancelledError) as error:
                self.count_no_response(prepared, intended, error)
                raise
            self.request_path.jar.take(at, Headers(exchange.head).all("set-cookie"))
        endless = ExchangeError(
            "redirects", f"more than {MAX_REDIRECTS} redirects from {prepared.address}"
        )
        self.count_no_response(prepared, intended, endless)
        raise endless

    # ── for what is no HTTP request: streams, and protocols of one's own ──────────────────────
    @property
    def now(self) -> Callable[[], float]:
        """The engine's clock."""
        return self._now

    def opening(
        self, url: str, fields: dict[str, str], kind: str, name: str, timeout: float | None
    ) -> PreparedRequest:
        """The request that opens a stream; its row is `name`, or kind and path."""
        address = urls.parse(urls.join(self._client.base, url))
        options: Options = {
            "headers": fields,
            "name": name or urls.endpoint_name(kind, address.path),
        }
        if timeout is not None:
            options["timeout"] = timeout
        return self._client.prepare("GET", url, options)

    def elsewhere(
        self, prepared: PreparedRequest, headers: Headers, first: Address
    ) -> tuple[PreparedRequest, bytes]:
        """The request that opens the stream where an answer's location points to, and its bytes;
        `first` is where the scenario had asked: nothing private goes to another host."""
        self.request_path.jar.take(prepared.address, headers.all("set-cookie"))
        to = urls.resolve_location(prepared.address, headers.get("location"))
        away = urls.parse(to).origin != first.origin
        options: Options = {
            "name": prepared.row.name,
            "headers": _kept_fields(prepared, content=False, away=away),
            "timeout": prepared.timeout,
        }
        hop = self._client.prepare("GET", to, options)
        return hop, self.with_session_headers(hop, without=_PRIVATE if away else frozenset())

    def origin(self, address: Address) -> Origin:
        """Where this address is. Raises TargetNotAllowedError."""
        return self._client.origin(address)

    async def timed(self, name: str, doing: Awaitable[T]) -> T:
        """Wait, and count that as a request of this name. Raises what it raises."""
        path, row = self.request_path, self._recorder.row(name)
        asked = self._now()
        intended = asked - path.take_lag()
        try:
            made = await doing
        except (Exception, asyncio.CancelledError) as error:
            self.count_failure(row, intended, error)
            raise
        ended = self._now()
        row.latency[int(intended - self._recorder.zero)].append(int((ended - intended) * _MILLION))
        row.service.append(int((ended - asked) * _MILLION))
        return made

    async def within(self, seconds: float | None, doing: Awaitable[T], what: str) -> T:
        """Wait so long at most. Raises ExchangeError ("timeout", `what`)."""
        try:
            async with asyncio.timeout(seconds):
                return await doing
        except TimeoutError:
            raise ExchangeError("timeout", what) from None

    def counter(self, name: str) -> None:
        """One more."""
        self._recorder.metric("counter", name, 1.0)

    def trend(self, name: str, value: float) -> None:
        """A value of a distribution."""
        self._recorder.metric("trend", name, value)


def _kind(error: BaseException) -> str:
    """What another library's error is counted under; gRPC's have a code."""
    code = getattr(error, "code", None)
    named = getattr(code() if callable(code) else code, "name", None)
    return str(named or type(error).__name__)


def _kept_fields(prepared: PreparedRequest, *, content: bool, away: bool) -> dict[str, str]:
    """The request's own fields for the next hop: those of a body when it is sent again (RFC 9110,
    15.4.8), and nothing private when it goes to another host."""
    return {
        name: value
        for name, value in Headers(prepared.head)
        if name not in _OF_ONE_REQUEST
        and (content or not name.startswith("content-"))
        and not (away and name in _PRIVATE)
    }


def _excerpt(response: Response) -> str:
    """What the report shows of a bad answer."""
    head = f"{response.status} {response.reason} from {response.url}"
    try:
        return f"{head}\n{response.text()[:600]}"
    except ExchangeError as exc:
        return f"{head}\n({exc.what})"
