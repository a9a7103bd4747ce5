"""The slow side of a connection: how it comes to stand, and all that can go wrong with it."""

import contextlib
import errno
import socket
import ssl
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

from chapiteau.load.engine.completion import Completion
from chapiteau.load.engine.exchange import Exchange
from chapiteau.load.engine.reactor import READ, Reactor
from chapiteau.load.engine.wire import RequestCarrier, Wire
from chapiteau.load.errors import ExchangeError
from chapiteau.load.protocols.http1 import KnownHeads, ResponseReader

__all__ = [
    "Channel",
    "Connection",
    "ConnectionPool",
    "ConnectionSettings",
    "MultiplexChannel",
    "network_error",
    "timeout_error",
]

_OWN: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL, errno.ENOBUFS})
_BEFORE: Final = frozenset({"connecting", "TLS handshake"})  # a connection is of use
_LATE: Final = {
    "DNS": "DNS timeout",
    "connecting": "connect timeout",
    "TLS handshake": "TLS timeout",
    "sending": "write timeout",
    "waiting for the answer": "first byte timeout",
    "reading the answer": "read timeout",
}
_TIMESTAMPNS: Final = 35  # SO_TIMESTAMPNS, asm-generic/socket.h


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionSettings:
    """How connections are made; the same for all origins of a process."""

    most_connections: int = 10_000  # to one origin
    http2: bool = False  # by ALPN under TLS, else by prior knowledge
    streams: int = 100  # requests at once on a connection of HTTP/2
    connect_timeout: float = 0.0  # seconds for DNS, TCP and TLS; 0: only the whole answer's limit
    first_byte_timeout: float = 0.0  # seconds until an answer begins; 0: as above
    verify: bool = True  # certificates
    ca_file: str = ""
    client_certificate: str = ""
    client_key: str = ""
    resolve: tuple[tuple[str, str], ...] = ()  # host → address, instead of asking DNS


class Channel(Protocol):
    """What has a whole connection for itself: WebSocket, server-sent events, HTTP/2, your own."""

    def opened(self) -> None:
        """Bytes can be sent."""
        ...

    def take(self, data: bytes) -> None:
        """Bytes have come."""
        ...

    def lost(self, error: ExchangeError) -> None:
        """The connection is gone."""
        ...

    def overdue(self, now: float) -> None:
        """A look at the clock, every 50 ms."""
        ...


class MultiplexChannel(Channel, Protocol):
    """A channel that carries requests of its own."""

    def take_waiting(self) -> list[Exchange]:
        """Give back those that it has not sent yet."""
        ...


class ConnectionPool(Protocol):
    """What a connection needs of the origin it belongs to."""

    name: str
    host: str
    secure: bool
    now: Callable[[], float]
    reactor: Reactor
    wire: type[Wire]
    completion: type[Completion]
    settings: ConnectionSettings
    idle: list[RequestCarrier]
    waiting: deque[Exchange]
    known: KnownHeads
    most_streams: int
    tls_session: ssl.SSLSession | None
    tickets_once: bool

    def keep_session(self, session: ssl.SSLSession | None) -> None:
        """The TLS session that the next connection resumes."""
        ...

    def renew_tickets(self) -> None:
        """The server takes each session ticket once only."""
        ...

    def limit_streams(self, most: int) -> None:
        """The peer takes so many streams on a connection; one at least is tried."""
        ...

    def send(self, exchange: Exchange) -> None:
        """Send a request on an idle connection or a new one, or queue it."""
        ...

    def send_again(self, exchange: Exchange, *, last: bool = False) -> None:
        """Send a request again, on a new connection; for the `last` time, or once more then."""
        ...

    async def open(self, channel: Channel) -> "Connection":
        """A connection for a channel alone. Raises ExchangeError."""
        ...

    async def next_address(self) -> tuple[int, Any]:
        """Family and address whose turn it is. Raises ExchangeError."""
        ...

    def release(self, connection: "Connection") -> None:
        """A connection is free for the next request."""
        ...

    def closed(self, connection: "Connection") -> None:
        """A connection is closed."""
        ...

    def forgets(self, at: Any, exc: OSError) -> bool:
        """Whether another address is to be tried, since nobody listens at this one."""
        ...

    def only_http1(self, connection: "Connection", channel: MultiplexChannel) -> None:
        """The service has not chosen HTTP/2 for this connection."""
        ...

    def tls_context(self) -> ssl.SSLContext:
        """The SSLContext of all connections to this origin."""
        ...


class Connection:
    """A TCP connection to an origin, used for one exchange after the other.

    What happens for every request is the `wire`'s.
    """

    __slots__ = ("_sock", "at", "channel", "opened", "origin", "wire")

    def __init__(
        self,
        origin: ConnectionPool,
        sock: socket.socket,
        at: Any,
        sender: RequestCarrier | None = None,
    ) -> None:
        """`sender` as of `Wire`."""
        self.origin = origin
        self.opened = origin.now()
        self.at = at  # the address
        self.channel: Channel | None = None
        self._sock = sock
        self.wire = origin.wire(
            self,
            origin.reactor,
            sock,
            ResponseReader(origin.known),
            origin.idle,
            origin.waiting,
            sender,
        )

    def stamp(self, wanted: bool) -> None:
        """Have the kernel say when packets came, or no more (SO_TIMESTAMPNS, socket(7))."""
        with contextlib.suppress(OSError):  # not every kernel can: the report has no such line then
            self._sock.setsockopt(socket.SOL_SOCKET, _TIMESTAMPNS, wanted)
            self.wire.stamp(wanted)

    # ── coming to stand ───────────────────────────────────────────────────────────────────────
    def carry(self, exchange: Exchange) -> None:
        """The exchange for which this connection was opened."""
        self.wire.carry(exchange)

    def writable(self) -> None:
        """The connection stands or has failed; later: the kernel takes bytes again."""
        wire = self.wire
        if wire.phase == "connecting":
            self._connected()
        else:
            wire.send_rest()

    def _connected(self) -> None:
        code = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            self.lost(OSError(code, errno.errorcode.get(code, "")))
            return
        self.wire.wait_for(READ)
        self.usable()

    def usable(self) -> None:
        """The way is open: send what waits for it."""
        wire = self.wire
        if self.channel is not None:
            wire.enter("open")
            self.channel.opened()
            return
        wire.enter("idle")
        exchange = wire.exchange
        if exchange is None:
            self.free()
        else:
            wire.sender.start(exchange, self.origin.now())

    def free(self) -> None:
        """Nothing is on its way: serve who waits, or wait for work."""
        self.origin.release(self)

    # ── in ────────────────────────────────────────────────────────────────────────────────────
    def give_to(self, channel: Channel | None) -> None:
        """From now on all bytes are the channel's; None: those of requests again."""
        self.channel = channel
        if channel is not None:
            self.wire.leave_http1()

    def take(self, data: bytes) -> None:
        """Bytes that are not an HTTP/1.1 answer as it is."""
        self.deliver(data)

    def deliver(self, data: bytes) -> None:
        """Bytes as the service has sent them."""
        if self.channel is not None:
            self.channel.take(data)
        else:
            self.wire.feed(data)

    def emit(self, data: bytes) -> None:
        """Send bytes for the channel."""
        self.wire.send(data)

    def ended(self) -> None:
        """The peer has closed its side."""
        wire = self.wire
        exchange = wire.exchange
        if exchange is not None and wire.reader.end():
            wire.finish(exchange)
        else:
            self.lost(ConnectionResetError(errno.ECONNRESET, "closed by the service"))

    # ── trouble ───────────────────────────────────────────────────────────────────────────────
    def lost(self, exc: OSError) -> None:
        """The connection is broken: send again elsewhere if that is safe, else fail."""
        wire = self.wire
        exchange = wire.exchange
        again = exchange is not None and wire.served > 0 and exchange.twice and not wire.reading
        phase = wire.phase
        again = again or (phase == "connecting" and self.origin.forgets(self.at, exc))
        self.close()
        if self.channel is not None:
            self.channel.lost(network_error(exc, phase))
        if exchange is None:
            return
        if again:
            # A server may close an idle connection at any moment (RFC 9112 §9.3.1): a request
            # that met this on its way in may be sent again when it is idempotent.
            self.origin.send_again(exchange, last=True)
        else:
            exchange.fail_at(network_error(exc, phase), self.origin.now())

    def fail(self, error: ExchangeError) -> None:
        """End the exchange with this error, and the connection."""
        exchange = self.wire.exchange
        self.close()
        if self.channel is not None:
            self.channel.lost(error)
        if exchange is not None:
            exchange.fail_at(error, self.origin.now())

    def overdue(self, now: float) -> None:
        """End what takes too long."""
        wire, settings = self.wire, self.origin.settings
        exchange, phase = wire.exchange, wire.phase
        if phase == "waiting for the answer" and wire.rest:
            phase = "sending"
        connecting = settings.connect_timeout if phase in _BEFORE else 0.0
        if connecting and now - self.opened > connecting:
            self.fail(timeout_error(phase))
        elif exchange is None:
            if self.channel is not None:
                self.channel.overdue(now)
        elif exchange.deadline < now or (
            settings.first_byte_timeout
            and phase == "waiting for the answer"
            and now - exchange.sent > settings.first_byte_timeout
        ):
            self.fail(timeout_error(phase))

    def abandon(self, _exchange: Exchange) -> None:
        """Nobody waits for the answer any more."""
        self.close()

    def close(self) -> None:
        """Give the descriptor back; the origin may open another one for who waits."""
        if self.wire.closed:
            return
        self.wire.close()
        self.origin.closed(self)

    def __repr__(self) -> str:
        return f"<Connection {self.origin.name} {self.wire.phase} served={self.wire.served}>"


def network_error(exc: OSError, phase: str) -> ExchangeError:
    """The kernel's complaint in the words of the report."""
    code = exc.errno or 0
    if code in _OWN:
        return ExchangeError(
            "generator out of " + ("ports" if code == errno.EADDRNOTAVAIL else "descriptors"),
            f"this machine can't open another connection: {exc}",
            own=True,
            hint="raise `ulimit -n`, or use more processes or machines",
        )
    if isinstance(exc, ConnectionRefusedError) or code == errno.ECONNREFUSED:
        return ExchangeError("connection refused", "nobody listens there", hint="is it running?")
    if code in {errno.ECONNRESET, errno.EPIPE}:
        return ExchangeError("closed early", f"the connection ended while {phase}")
    name = errno.errorcode.get(code, type(exc).__name__)
    return ExchangeError(f"network: {name}", f"{exc} (while {phase})")


def timeout_error(phase: str) -> ExchangeError:
    """The time is over, in this phase; each is a failure of its own in the report."""
    return ExchangeError(_LATE.get(phase, "timeout"), f"no answer in time (while {phase})")
