"""The fast way of a connection: a request out in one send, an answer in by one read.

Everything that is not that way (connecting, what the kernel doesn't take at once, trouble) is the
`owner`'s: a `Connection`, the same for both twins.
"""

import socket
import struct
import time
from collections import deque
from typing import Final, Protocol

from chapiteau.load.engine.exchange import Exchange
from chapiteau.load.engine.reactor import DATA, EDGE_TRIGGERED, READ, WRITE, Reactor
from chapiteau.load.errors import BadResponseError
from chapiteau.load.protocols.http1 import ResponseReader

__all__ = ["RequestCarrier", "Wire", "WireOwner"]

# A read of 256 KiB, as asyncio's transports do it, maps and unmaps memory each time.
_READ_SIZE: Final = 65536
_TIMESPEC: Final = struct.Struct("@ll")
_SPACE: Final = socket.CMSG_SPACE(_TIMESPEC.size)


class RequestCarrier(Protocol):
    """What carries a request right now."""

    def start(self, exchange: Exchange, at: float) -> None:
        """Send it; `at` is the moment."""
        ...


class WireOwner(Protocol):
    """The slow side of a connection."""

    def writable(self) -> None:
        """The kernel takes bytes again, or the connection stands."""
        ...

    def take(self, data: bytes) -> None:
        """Bytes that are not an HTTP/1.1 answer as it is."""
        ...

    def lost(self, exc: OSError) -> None:
        """The connection is broken."""
        ...

    def ended(self) -> None:
        """The peer has closed its side."""
        ...

    def fail(self, error: BadResponseError) -> None:
        """What came makes no sense."""
        ...

    def close(self) -> None:
        """The connection can't be used any more."""
        ...

    def free(self) -> None:
        """The connection is free, and somebody waits for one."""
        ...

    def abandon(self, exchange: Exchange) -> None:
        """Nobody waits for this answer any more."""
        ...


class Wire:
    """A socket's descriptor with the exchange that is on it."""

    __slots__ = (
        "_now",
        "_reactor",
        "_recv",
        "_send",
        "_sock",
        "closed",
        "events",
        "exchange",
        "fd",
        "idle",
        "owner",
        "phase",
        "plain",
        "reader",
        "reading",
        "rest",
        "sender",
        "served",
        "stamped",
        "waiting",
    )

    def __init__(
        self,
        owner: WireOwner,
        reactor: Reactor,
        sock: socket.socket,
        reader: ResponseReader,
        idle: list[RequestCarrier],
        waiting: deque[Exchange],
        sender: RequestCarrier | None = None,
    ) -> None:
        """`sender` takes requests instead of this, and bytes that are not HTTP/1.1 as it is."""
        self.owner = owner
        self.exchange: Exchange | None = None
        self.phase = "connecting"
        self.served = 0
        self.closed = False
        self.plain = sender is None  # what comes is HTTP/1.1 as it is: no TLS, no frames
        self.stamped = False  # the kernel says when packets came
        self.sender: RequestCarrier = sender or self  # what waits for work when this is free
        self.idle = idle
        self.waiting = waiting
        self.reader = reader
        self.reading = False  # some of the answer is in the reader
        self.rest = b""  # what the kernel has not taken yet
        self.events = WRITE
        self.fd = sock.fileno()
        self._now = reactor.now
        self._sock = sock
        self._send = sock.send
        self._recv = sock.recv
        self._reactor = reactor
        reactor.watch(self.fd, self.ready, WRITE | EDGE_TRIGGERED)

    # ── out ───────────────────────────────────────────────────────────────────────────────────
    def start(self, exchange: Exchange, at: float) -> None:
        """Send a request at this moment; the connection must be idle and connected."""
        self.exchange = exchange
        exchange.carrier = self.owner  # `leave`, and then `send`, written out: calls less in the
        exchange.sent = at  # engine's hottest lines
        self.phase = "waiting for the answer"
        data = exchange.data
        try:
            sent = self._send(data)
        except BlockingIOError:
            sent = 0
        except OSError as exc:
            self.owner.lost(exc)
            return
        if sent < len(data):
            self._keep(data[sent:])

    def begin(self, exchange: Exchange, data: bytes, at: float) -> None:
        """Send a request in other bytes than its own."""
        self.exchange = exchange
        exchange.leave(self.owner, at)
        self.phase = "waiting for the answer"
        self.send(data)

    def send(self, data: bytes) -> None:
        """Hand bytes to the kernel; what it doesn't take goes out when there is room."""
        if self.rest:
            self.rest += data
            return
        try:
            sent = self._send(data)
        except BlockingIOError:
            sent = 0
        except OSError as exc:
            self.owner.lost(exc)
            return
        if sent < len(data):
            self._keep(data[sent:])

    def send_rest(self) -> None:
        """The kernel takes bytes again."""
        rest, self.rest = self.rest, b""
        self.wait_for(READ)
        if rest:
            self.send(rest)

    def carry(self, exchange: Exchange) -> None:
        """The request that is sent as soon as the connection stands."""
        self.exchange = exchange
        exchange.carry(self.owner)

    def enter(self, phase: str) -> None:
        """The connection has come so far."""
        self.phase = phase

    def leave_http1(self) -> None:
        """What comes from now on is the owner's."""
        self.plain = False

    def stamp(self, wanted: bool) -> None:
        """The kernel says when packets came, or no more."""
        self.stamped = wanted

    def _keep(self, rest: bytes) -> None:
        self.rest = rest
        self.wait_for(READ | WRITE)

    def wait_for(self, events: int) -> None:
        """Be called for these events of the socket."""
        if events != self.events and not self.closed:
            self.events = events
            self._reactor.change(self.fd, events | EDGE_TRIGGERED)

    # ── in ────────────────────────────────────────────────────────────────────────────────────
    def ready(self, events: int) -> None:  # noqa: C901, PLR0912 — as RequestPath.request
        """The reactor says that bytes can be read or written."""
        if events != DATA and not self._otherwise(events):
            return
        try:
            data = self._read_stamped() if self.stamped else self._recv(_READ_SIZE)
        except BlockingIOError:
            return
        except OSError as exc:
            self.owner.lost(exc)
            return
        exchange = self.exchange
        if exchange is not None and self.plain and not self.reading:
            shape = exchange.shape
            if len(data) == shape.total and data.startswith(shape.start):
                # `finish` written out, too.
                exchange.answer(shape.status, shape.head, data[shape.skip :], self._now())
                self.exchange = None
                self.served += 1
                if self.rest or self.waiting:
                    self._give_back(last=False)
                else:
                    self.idle.append(self.sender)
                driver = exchange.driver
                if driver is None:
                    exchange.wake()
                else:
                    exchange.driver = None
                    exchange.over = True
                    driver.step(None)
                return
        if len(data) == _READ_SIZE:
            self._look_again()
        if not data:
            self.owner.ended()
        elif self.plain:
            self.feed(data)
        else:
            self.owner.take(data)

    def _otherwise(self, events: int) -> bool:
        """What is not just bytes; whether there may be some all the same."""
        if events & WRITE:
            self.owner.writable()
            if self.closed or not events & ~WRITE:
                return False
        # The peer has ended its side, or the connection is broken: that stands behind the bytes.
        self._look_again()
        return True

    def _look_again(self) -> None:
        """The kernel tells once of what has come; have it tell of what is still there."""
        self._reactor.change(self.fd, self.events | EDGE_TRIGGERED)

    def _read_stamped(self) -> bytes:
        """Read, and note how long what came had lain in the socket (SO_TIMESTAMPNS, socket(7))."""
        data, extra, _, _ = self._sock.recvmsg(_READ_SIZE, _SPACE)
        if extra:
            seconds, nanos = _TIMESPEC.unpack_from(extra[0][2])
            delay = time.clock_gettime(time.CLOCK_REALTIME) - seconds - nanos / 1e9
            self._reactor.receive_delay.record(int(delay * 1e6))
        return data

    def feed(self, data: bytes) -> None:
        """Bytes of an answer in HTTP/1.1."""
        exchange = self.exchange
        if exchange is None:
            # Nobody asked: an answer to a request that was given up, or a confused server.
            self.owner.close()
            return
        reader = self.reader
        first = not self.reading
        if first:
            reader.start(bare=exchange.bare)
            self.reading = True
        try:
            whole = reader.feed(data)
        except BadResponseError as exc:
            self.owner.fail(exc)
            return
        if not whole:
            self.phase = "reading the answer"
            return
        if first and reader.simple and len(data) < _READ_SIZE:
            exchange.shape.learn(reader.head, reader.status, len(reader.body))
        self.finish(exchange)

    def finish(self, exchange: Exchange) -> None:
        """The reader holds the whole answer."""
        reader = self.reader
        exchange.answer(reader.status, reader.head, reader.body, self._now())
        self.exchange = None
        self.served += 1
        self.reading = False
        # First give the connection back, then wake: the woken Task may send its next request
        # on it before `wake` returns.
        self._give_back(last=bool(reader.rest) or not reader.keep)
        exchange.wake()

    def _give_back(self, *, last: bool) -> None:
        if last or self.rest:
            self.owner.close()
        elif self.waiting:
            self.owner.free()
        else:
            self.idle.append(self.sender)

    def close(self) -> None:
        """Stop watching and give the descriptor back."""
        self.closed = True
        self.phase = "closed"
        self.exchange = None
        self._reactor.forget(self.fd)
        self._sock.close()
