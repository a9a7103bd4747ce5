"""HTTP/2 on a connection: many requests at once, each an exchange as in HTTP/1.1."""

from typing import Any, Final

from chapiteau.core.errors import UsageError
from chapiteau.load.engine.connection import Connection, ConnectionPool, timeout_error
from chapiteau.load.engine.exchange import Exchange
from chapiteau.load.errors import ExchangeError
from chapiteau.load.protocols.http2 import Http2Protocol
from chapiteau.load.protocols.http2_messages import (
    GoAway,
    Http2Error,
    StreamEnded,
    StreamResponse,
    encode_headers,
)

__all__ = ["Http2Connection", "require_hpack"]

_REFUSED: Final = 7
_MOST_BLOCKS: Final = 1000


def require_hpack() -> Any:
    """The library `hpack`. Raises UsageError when it isn't there."""
    try:
        import hpack
    except ImportError:
        raise UsageError(
            "HTTP/2 needs the library hpack", hint="install chapiteau[http2]"
        ) from None
    return hpack


class Http2Connection:
    """A connection's channel that carries as many requests as the peer, and the user, allow."""

    def __init__(self, origin: ConnectionPool, connection: Connection, most: int) -> None:
        hpack = require_hpack()
        self._waiting: list[Exchange] = []  # for the connection to stand
        self._connection = connection
        self._origin = origin
        self._most = most
        self._multiplex = Http2Protocol(
            hpack.Decoder().decode, hpack.HPACKError, origin.most_streams
        )
        self._why: ExchangeError | None = None  # why the peer ends the connection, if it said
        self._exchanges: dict[int, Exchange] = {}
        self._streams: dict[Exchange, int] = {}
        self._blocks: dict[bytes, bytes] = {}
        self._ready = False
        self._holding = False
        self._served = 0

    @property
    def room(self) -> int:
        """How many more requests it takes now."""
        multiplex = self._multiplex
        if multiplex.going or self._connection.wire.closed:
            return 0
        most = min(self._most, multiplex.most_streams)
        return most - len(self._exchanges) - len(self._waiting)

    # ── requests ──────────────────────────────────────────────────────────────────────────────
    def start(self, exchange: Exchange, at: float) -> None:
        """Send a request; the origin has taken us from its idle ones."""
        if not self._ready:
            exchange.carry(self)
            self._waiting.append(exchange)
            return
        exchange.leave(self, at)
        head, _, body = exchange.data.partition(b"\r\n\r\n")
        block = self._blocks.get(head)
        if block is None:
            if len(self._blocks) >= _MOST_BLOCKS:
                self._blocks.clear()
            scheme = "https" if self._origin.secure else "http"
            block = self._blocks[head] = encode_headers(head, scheme)
        number = self._multiplex.request(block, body, bare=exchange.bare)
        self._exchanges[number] = exchange
        self._streams[exchange] = number
        self._offer()
        self._flush()

    def _offer(self) -> None:
        """Be among the idle ones while there is room."""
        idle = self._origin.idle
        if self._ready and self.room > 0:
            if self not in idle:
                idle.append(self)
        elif self in idle:
            idle.remove(self)

    def _flush(self) -> None:
        out = self._multiplex.out
        if out and not self._holding:
            data = b"".join(out)
            out.clear()
            self._connection.emit(data)

    def _forget(self, exchange: Exchange) -> None:
        number = self._streams.pop(exchange, None)
        if number is not None:
            self._exchanges.pop(number, None)
        exchange.carry(None)

    def take_waiting(self) -> list[Exchange]:
        """Give back the requests that were not sent yet."""
        waiting, self._waiting = self._waiting, []
        return waiting

    # ── as a connection's channel ─────────────────────────────────────────────────────────────
    def opened(self) -> None:
        """The connection stands: send what has waited."""
        self._ready = True
        waiting = self.take_waiting()
        self._holding = True
        now = self._origin.now()
        for exchange in waiting:
            if not exchange.done():
                self.start(exchange, now)
        self._holding = False
        self._flush()
        self._offer()
        self._serve()

    def take(self, data: bytes) -> None:
        """Frames."""
        self._holding = True
        try:
            for event in self._multiplex.feed(data):
                match event:
                    case StreamResponse():
                        self._answered(event)
                    case StreamEnded():
                        self._ended(event)
                    case GoAway():
                        self._gone(event)
        except Http2Error as exc:
            self._multiplex.farewell(exc.code)
            self._holding = False
            self._flush()
            self._connection.fail(exc)
            return
        self._holding = False
        self._origin.limit_streams(self._multiplex.most_streams)
        self._serve()
        self._flush()
        if self._multiplex.going and not self._exchanges:
            self._connection.close()

    def _serve(self) -> None:
        """Take who waits for a connection while there is room."""
        waiting = self._origin.waiting
        while waiting and self._ready and self.room > 0:
            exchange = waiting.popleft()
            if not exchange.done():
                self.start(exchange, self._origin.now())

    def _answered(self, answer: StreamResponse) -> None:
        exchange = self._exchanges.get(answer.stream)
        if exchange is None:
            return
        self._forget(exchange)
        self._served += 1
        exchange.answer(answer.status, answer.head, answer.body, self._origin.now())
        self._offer()
        exchange.wake()

    def _ended(self, ended: StreamEnded) -> None:
        exchange = self._exchanges.get(ended.stream)
        if exchange is None:
            return
        self._forget(exchange)
        self._offer()
        if ended.code == _REFUSED and self._may_go_again(exchange, ended.stream):
            self._origin.send_again(exchange)
        else:
            exchange.fail_at(ended.error, self._origin.now())

    def _may_go_again(self, exchange: Exchange, number: int) -> bool:
        """Whether a refused request, which was not looked at (§8.7), is sent once more."""
        if number <= self._multiplex.blind and self._multiplex.most_streams > 0:
            return True  # before we knew how many streams the peer takes: from now on we do
        again = exchange.twice
        exchange.send_once()
        return again

    def _gone(self, gone: GoAway) -> None:
        self._why = gone.error
        self._offer()
        for number, exchange in list(self._exchanges.items()):
            if number > gone.last:
                self._forget(exchange)
                self._origin.send_again(exchange)  # it was not looked at (§6.8)

    def lost(self, error: ExchangeError) -> None:
        """The connection is gone, and with it all that was on it."""
        if self in self._origin.idle:
            self._origin.idle.remove(self)
        error = self._why or error
        self._ready = False
        waiting = self.take_waiting()
        for exchange in waiting:
            exchange.fail_at(error, self._origin.now())
        for number, exchange in list(self._exchanges.items()):
            again = self._served > 0 and exchange.twice and not self._multiplex.begun(number)
            self._forget(exchange)
            if again:
                self._origin.send_again(exchange, last=True)
            else:
                exchange.fail_at(error, self._origin.now())

    def overdue(self, now: float) -> None:
        """End every request whose time is over."""
        first = self._origin.settings.first_byte_timeout
        for exchange in (*self._exchanges.values(), *self._waiting):
            phase = self._phase_of(exchange)
            if exchange.deadline < now or (
                first and phase == "waiting for the answer" and now - exchange.sent > first
            ):
                self.abandon(exchange)
                exchange.fail_at(timeout_error(phase), now)

    def _phase_of(self, exchange: Exchange) -> str:
        number = self._streams.get(exchange)
        if number is None:
            return self._connection.wire.phase
        if self._multiplex.begun(number):
            return "reading the answer"
        return "sending" if self._multiplex.sending(number) else "waiting for the answer"

    def abandon(self, exchange: Exchange) -> None:
        """Nobody waits for this answer any more."""
        if exchange in self._waiting:
            self._waiting.remove(exchange)
        number = self._streams.get(exchange)
        self._forget(exchange)
        if number is not None:
            self._multiplex.cancel(number)
            self._offer()
            self._flush()
