"""One connection: bytes of a request out, bytes of its answer in."""

import errno
import socket
from typing import TYPE_CHECKING, Final

from chapiteau.load.engine.http.exchange import Exchange
from chapiteau.load.engine.http.reactor import READ, WRITE, Reactor
from chapiteau.load.errors import BadAnswerError, ExchangeError
from chapiteau.load.logic.http.http1 import AnswerReader

if TYPE_CHECKING:
    from chapiteau.load.engine.http.origin import Origin

__all__ = ["Connection", "network_error"]

# A read of 256 KiB, as asyncio's transports do it, maps and unmaps memory each time.
_READ_SIZE: Final = 65536
_OWN: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL, errno.ENOBUFS})


class Connection:
    """A TCP (or Unix) connection to an origin, used for one exchange after the other."""

    __slots__ = (
        "_closed",
        "_events",
        "_now",
        "_reactor",
        "_reader",
        "_recv",
        "_rest",
        "_send",
        "_sock",
        "exchange",
        "fd",
        "opened",
        "origin",
        "phase",
        "served",
    )

    def __init__(self, origin: "Origin", reactor: Reactor, sock: socket.socket) -> None:
        self.origin = origin
        self.exchange: Exchange | None = None
        self.phase = "connecting"
        self.served = 0
        self.opened = origin.now()
        self._now = origin.now
        self.fd = sock.fileno()
        self._sock = sock
        self._send = sock.send
        self._recv = sock.recv
        self._reactor = reactor
        self._reader = AnswerReader(origin.known)
        self._rest: bytes | memoryview = b""
        self._closed = False
        self._events = WRITE
        reactor.watch(self.fd, self.ready, WRITE)

    # ── out ───────────────────────────────────────────────────────────────────────────────────
    def start(self, exchange: Exchange) -> None:
        """Send a request; the connection must be idle and connected."""
        self.exchange = exchange
        exchange.connection = self
        self._reader.start(bare=exchange.bare)
        exchange.sent = self._now()
        self.phase = "waiting for the answer"
        # `_write` written out: a call less in the engine's hottest line.
        data = exchange.data
        try:
            sent = self._send(data)
        except BlockingIOError:
            sent = 0
        except OSError as exc:
            self._lost(exc)
            return
        if sent < len(data):
            self._rest = memoryview(data)[sent:]
            self._wait_for(READ | WRITE)

    def _write(self, data: bytes) -> None:
        """Hand bytes to the kernel; what it doesn't take goes out when there is room."""
        try:
            sent = self._send(data)
        except BlockingIOError:
            sent = 0
        except OSError as exc:
            self._lost(exc)
            return
        if sent < len(data):
            self._rest = memoryview(data)[sent:]
            self._wait_for(READ | WRITE)

    def _writable(self) -> None:
        if self.phase == "connecting":
            self._connected()
            return
        rest, self._rest = self._rest, b""
        self._wait_for(READ)
        if rest:
            self._write(bytes(rest))

    def _wait_for(self, events: int) -> None:
        if events != self._events and not self._closed:
            self._events = events
            self._reactor.change(self.fd, events)

    def _connected(self) -> None:
        code = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            self._lost(OSError(code, errno.errorcode.get(code, "")))
            return
        self._wait_for(READ)
        self.usable()

    def usable(self) -> None:
        """The way is open: send what waits for it."""
        self.phase = "idle"
        exchange = self.exchange
        if exchange is None:
            self.origin.release(self)
        else:
            self.start(exchange)

    # ── in ────────────────────────────────────────────────────────────────────────────────────
    def ready(self, events: int) -> None:
        """The reactor says that bytes can be read or written."""
        if events & WRITE:
            self._writable()
            if self._closed or not events & ~WRITE:
                return
        try:
            data = self._recv(_READ_SIZE)
        except BlockingIOError:
            return
        except OSError as exc:
            self._lost(exc)
            return
        if data:
            self.take(data)
        else:
            self._ended()

    def take(self, data: bytes) -> None:
        """Bytes of the answer."""
        exchange = self.exchange
        if exchange is None:
            # Nobody asked: an answer to a request that was given up, or a confused server.
            self.close()
            return
        reader = self._reader
        try:
            whole = reader.feed(data)
        except BadAnswerError as exc:
            self._give_up(exc)
            return
        if whole:
            self._done(exchange)
        else:
            self.phase = "reading the answer"

    def _done(self, exchange: Exchange) -> None:
        reader = self._reader
        origin = self.origin
        exchange.ended = self._now()
        exchange.status = reader.status
        exchange.head = reader.head
        exchange.body = reader.body
        exchange.connection = None
        self.exchange = None
        self.served += 1
        # First give the connection back, then wake: the woken Task may send its next request
        # on it before `wake` returns.
        if reader.keep and not reader.rest and not self._rest:
            origin.release(self)
        else:
            self.close()
        exchange.wake()

    def _ended(self) -> None:
        """The peer has closed its side."""
        exchange = self.exchange
        if exchange is not None and self._reader.end():
            self._done(exchange)
        else:
            self._lost(ConnectionResetError(errno.ECONNRESET, "closed by the service"))

    # ── trouble ───────────────────────────────────────────────────────────────────────────────
    def _lost(self, exc: OSError) -> None:
        exchange = self.exchange
        again = (
            exchange is not None
            and self.served > 0
            and exchange.twice
            and not exchange.tried
            and not self._reader.begun
        )
        phase = self.phase
        self.exchange = None
        self.close()
        if exchange is None:
            return
        exchange.connection = None
        if again:
            # A server may close an idle connection at any moment (RFC 9112 §9.3.1): a request
            # that met this on its way in may be sent again when it is idempotent.
            exchange.tried = True
            self.origin.send_again(exchange)
        else:
            exchange.ended = self._now()
            exchange.fail(network_error(exc, phase))

    def _give_up(self, error: ExchangeError) -> None:
        exchange = self.exchange
        self.exchange = None
        self.close()
        if exchange is not None:
            exchange.connection = None
            exchange.ended = self._now()
            exchange.fail(error)

    def overdue(self) -> None:
        """The exchange's time is over."""
        self._give_up(ExchangeError("timeout", f"no answer in time (while {self.phase})"))

    def fail(self, error: ExchangeError) -> None:
        """End the exchange with this error, and the connection."""
        self._give_up(error)

    def abandon(self) -> None:
        """Nobody waits for the answer any more."""
        self.exchange = None
        self.close()

    def close(self) -> None:
        """Give the descriptor back; the origin may open another one for who waits."""
        if self._closed:
            return
        self._closed = True
        self.phase = "closed"
        self._reactor.forget(self.fd)
        self._sock.close()
        self.origin.closed(self)

    def __repr__(self) -> str:
        return f"<Connection {self.origin.name} {self.phase} served={self.served}>"


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
