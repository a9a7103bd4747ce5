"""Where requests go: addresses of a host, idle connections to it, and who waits for one."""

import asyncio
import errno
import itertools
import socket
import ssl
from collections import deque
from typing import Any, Final

from chapiteau.core.errors import UsageError
from chapiteau.load.engine.backend import EngineBackend
from chapiteau.load.engine.connection import (
    Channel,
    Connection,
    ConnectionSettings,
    MultiplexChannel,
    network_error,
)
from chapiteau.load.engine.exchange import Exchange, ResponseShape
from chapiteau.load.engine.http2_connection import Http2Connection
from chapiteau.load.engine.reactor import Reactor
from chapiteau.load.engine.tls_connection import TlsConnection
from chapiteau.load.engine.wire import RequestCarrier
from chapiteau.load.errors import ExchangeError
from chapiteau.load.protocols import urls
from chapiteau.load.protocols.http1 import KnownHeads

__all__ = ["ConnectionSettings", "Origin", "ssl_context"]

_SHORTAGE: Final = 0.05  # seconds for which who found no descriptor or port waits
_STAMPED: Final = 64  # connections on which the kernel's stamps are asked for
_PENDING: Final = frozenset({0, errno.EINPROGRESS, errno.EAGAIN})
_NOBODY: Final = frozenset(
    {errno.ECONNREFUSED, errno.EADDRNOTAVAIL, errno.ENETUNREACH, errno.EAFNOSUPPORT}
)


class Origin:
    """One scheme, host and port. Idle connections are taken last in, first out."""

    def __init__(
        self,
        backend: EngineBackend,
        reactor: Reactor,
        settings: ConnectionSettings,
        scheme: str,
        host: str,
        port: int,
    ) -> None:
        self.backend = backend
        self.wire = backend.wire
        self.completion = backend.completion
        self.reactor = reactor
        self.now = reactor.now
        self.host = host
        self.port = port
        self.secure = scheme == "https"
        self.name = f"{scheme}://{host}:{port}"
        self.connections: set[Connection] = set()
        self.idle: list[RequestCarrier] = []  # what can carry a request at once
        self.waiting: deque[Exchange] = deque()
        self._shapes: dict[str, ResponseShape] = {}
        self.known: KnownHeads = {}  # heads of answers that came before
        self.tls_session: ssl.SSLSession | None = None
        self.tickets_once = False  # the server takes each session ticket once only
        self.resolving: asyncio.Task[None] | None = None
        self.settings = settings
        self._addresses: list[tuple[int, Any]] = _literal(host, port, dict(settings.resolve))
        self._turn = 0
        self._latest: Any = None  # the address that was tried last
        self.http2 = settings.http2
        self.most_streams = 100  # what a connection takes at once, as far as the peer has said
        self._newest: Http2Connection | None = None  # the latest connection of HTTP/2
        self._unknown: ExchangeError | None = None  # why there is no address
        self._asked = 0.0  # when DNS was asked
        self._stamped: list[Connection] = []
        self._context: ssl.SSLContext | None = None

    def keep_session(self, session: ssl.SSLSession | None) -> None:
        """The TLS session that the next connection resumes."""
        self.tls_session = session

    def renew_tickets(self) -> None:
        """The server takes each session ticket once only."""
        self.tickets_once = True

    def limit_streams(self, most: int) -> None:
        """The peer takes so many streams on a connection; one at least is tried."""
        self.most_streams = max(1, most)

    # ── exchanges ─────────────────────────────────────────────────────────────────────────────
    def send(self, exchange: Exchange) -> None:
        """Put a request on an idle connection, or on a new one, or in the queue for one."""
        if self.idle:
            self.idle.pop().start(exchange, self.now())
        else:
            exchange.carry(None)
            self._open(exchange)

    def send_again(self, exchange: Exchange, *, last: bool = False) -> None:
        """The connection it went out on was dead already: use a fresh one."""
        exchange.carry(None)
        if last:
            exchange.send_once()
        self._open(exchange)

    def release(self, connection: Connection) -> None:
        """A connection is free for the next request."""
        while self.waiting:
            exchange = self.waiting.popleft()
            if not exchange.done():
                connection.wire.sender.start(exchange, self.now())
                return
        self.idle.append(connection.wire.sender)

    def closed(self, connection: Connection) -> None:
        """A connection is gone."""
        self.connections.discard(connection)
        if connection.wire.sender in self.idle:
            self.idle.remove(connection.wire.sender)
        if self.waiting and len(self.connections) < self.settings.most_connections:
            waiting = self.waiting.popleft()
            if not waiting.done():
                self.reactor.loop.call_soon(self._open, waiting)

    def shape_of(self, name: str) -> ResponseShape:
        """What the last answer to requests of this name looked like."""
        shape = self._shapes.get(name)
        if shape is None:
            shape = self._shapes[name] = self.backend.response_shape()
        return shape

    def overdue(self, now: float) -> None:
        """End every exchange whose time is over."""
        for connection in list(self.connections):
            connection.overdue(now)
        limit = self.settings.connect_timeout
        if limit and self.resolving is not None and now - self._asked > limit:
            self.resolving.cancel()
            self._refuse(ExchangeError("DNS timeout", f"{self.host}: DNS took too long"))
        late = [one for one in self.waiting if one.deadline < now]
        for exchange in late:
            self.waiting.remove(exchange)
            if not exchange.done():
                error = (
                    ExchangeError("timeout", "no connection became free in time")
                    if self.resolving is None
                    else ExchangeError("DNS timeout", f"{self.host}: DNS took too long")
                )
                exchange.fail_at(error, now)

    def stamp(self, wanted: bool) -> None:
        """Have the kernel's stamps on some connections, or on those no more."""
        if wanted:
            self._stamped = list(itertools.islice(self.connections, _STAMPED))
        for connection in self._stamped:
            connection.stamp(wanted)

    def close(self) -> None:
        """Close every connection."""
        self.waiting.clear()
        if self.resolving is not None:
            self.resolving.cancel()
        for connection in list(self.connections):
            connection.close()

    async def next_address(self) -> tuple[int, Any]:
        """Family and address whose turn it is. Raises ExchangeError."""
        await self._found()
        return self._next()

    async def open(self, channel: Channel) -> Connection:
        """A connection of its own for a channel. Raises ExchangeError."""
        await self._found()
        try:
            connection = self._connect()
        except OSError as exc:
            raise network_error(exc, "connecting") from exc
        connection.give_to(channel)
        return connection

    # ── connecting ────────────────────────────────────────────────────────────────────────────
    def _open(self, exchange: Exchange) -> None:
        if exchange.done():
            return
        if not self._addresses:
            self.waiting.append(exchange)
            self._ask()
            return
        if self.http2 and self._join(exchange):
            return
        if len(self.connections) >= self.settings.most_connections:
            self.waiting.append(exchange)
            return
        try:
            connection = self._connect()
        except OSError as exc:
            if self.forgets(self._latest, exc):
                self._open(exchange)
                return
            self._fail_soon(exchange, network_error(exc, "connecting"))
            return
        if self.http2:
            self._newest = Http2Connection(self, connection, self.settings.streams)
            self._newest.start(exchange, self.now())
            connection.give_to(self._newest)
        else:
            connection.carry(exchange)

    def _fail_soon(self, exchange: Exchange, error: ExchangeError) -> None:
        """End an exchange that never left. Not at once: users who loop and fail without waiting
        for anything would never let go of this process, not even to end it."""
        now = self.now()

        def fail() -> None:
            if not exchange.done():
                exchange.fail_at(error, now)

        self.reactor.loop.call_later(_SHORTAGE if error.own else 0.0, fail)

    def _join(self, exchange: Exchange) -> bool:
        """Let it wait for the connection that is being opened, if there is room on that."""
        newest = self._newest
        if newest is None or newest.room <= 0:
            return False
        newest.start(exchange, self.now())
        return True

    def only_http1(self, connection: Connection, channel: MultiplexChannel) -> None:
        """The service has not chosen HTTP/2 for this connection."""
        self.http2, self._newest = False, None
        waiting = channel.take_waiting()
        connection.give_to(None)
        if waiting:
            connection.carry(waiting[0])
        for exchange in waiting[1:]:
            self.reactor.loop.call_soon(self.send_again, exchange)

    def _next(self) -> tuple[int, Any]:
        self._turn += 1
        return self._addresses[(self._turn - 1) % len(self._addresses)]

    async def _found(self) -> None:
        """Wait for DNS, if it was not asked yet."""
        if not self._addresses:
            self._ask()
            if self.resolving is not None:
                await asyncio.wait({self.resolving})
        if not self._addresses:
            raise self._unknown or ExchangeError("DNS", f"{self.host}: no address")

    def _ask(self) -> None:
        if self.resolving is None:
            self._asked = self.now()
            self.resolving = self.reactor.loop.create_task(self._resolve())

    def _connect(self) -> Connection:
        family, address = self._next()
        self._latest = address
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            if family != socket.AF_UNIX:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            code = sock.connect_ex(address)
            if code not in _PENDING:
                raise OSError(code, errno.errorcode.get(code, ""))
            kind = TlsConnection if self.secure else Connection
            connection = kind(self, sock, address)
        except BaseException:
            sock.close()
            raise
        self.connections.add(connection)
        return connection

    def forgets(self, at: Any, exc: OSError) -> bool:
        """Whether another address is to be tried, since nobody listens at this one.

        `localhost` may stand for ::1 and 127.0.0.1, and most services listen at one of them.
        """
        if exc.errno not in _NOBODY or not urls.is_loopback(self.host):
            return False
        others = [one for one in self._addresses if one[1] != at]
        if not others:
            return False
        self._addresses = others
        return True

    async def _resolve(self) -> None:
        """Ask DNS for all addresses of the host, then serve who waited for them."""
        try:
            found = await self.reactor.loop.getaddrinfo(
                self.host, self.port, type=socket.SOCK_STREAM
            )
            self._addresses = self._of_this_machine(
                [(int(family), address) for family, *_, address in found]
            )
        except OSError as exc:
            self._refuse(ExchangeError("DNS", f"{self.host}: {exc.strerror or exc}"))
            return
        finally:
            self.resolving = None
        waiting = list(self.waiting)
        self.waiting.clear()  # the same deque for ever: every wire looks at it
        for exchange in waiting:
            self._open(exchange)

    def _of_this_machine(self, found: list[tuple[int, Any]]) -> list[tuple[int, Any]]:
        """The addresses; where the name is this machine's, none that isn't.

        Nobody's DNS may turn `x.localhost` into somebody else. Raises OSError.
        """
        if not urls.is_loopback(self.host):
            return found
        own = [(family, at) for family, at in found if urls.is_loopback(str(at[0]))]
        if not own:
            raise OSError(0, f"is said to be at {found[0][1][0]}, which is not this machine")
        return own

    def _refuse(self, error: ExchangeError) -> None:
        """Who waits for an address waits in vain."""
        self._unknown = error
        waiting = list(self.waiting)
        self.waiting.clear()
        for exchange in waiting:
            if not exchange.done():
                exchange.fail_at(error, self.now())

    def tls_context(self) -> ssl.SSLContext:
        """The SSLContext of all connections to this origin."""
        if self._context is None:
            self._context = ssl_context(self.settings)
            self._context.set_alpn_protocols(["h2", "http/1.1"] if self.http2 else ["http/1.1"])
        return self._context


def ssl_context(settings: ConnectionSettings) -> ssl.SSLContext:
    """What TLS is done with. Raises UsageError that names the file which is no good."""
    try:
        context = ssl.create_default_context(cafile=settings.ca_file or None)
    except OSError as exc:
        what = f"ca_file {settings.ca_file}: {exc.strerror or exc}"
        raise UsageError(what, hint="a PEM file with certificates") from None
    if not settings.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if settings.client_certificate:
        try:
            context.load_cert_chain(settings.client_certificate, settings.client_key or None)
        except OSError as exc:
            files = " with ".join(filter(None, (settings.client_certificate, settings.client_key)))
            what = f"client_certificate {files}: {exc.strerror or exc}"
            raise UsageError(what, hint="PEM files: the certificate, and its key") from None
    return context


def _literal(host: str, port: int, given: dict[str, str]) -> list[tuple[int, Any]]:
    """The address when the host is a number, or when the user gave one for it."""
    host = given.get(host, host)
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except OSError:
            continue
        return [(family, (host, port))]
    return []
