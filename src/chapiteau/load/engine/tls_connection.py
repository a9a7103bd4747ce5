"""A connection under TLS, with the caller's own SSLContext and no transport in between."""

import ssl
from typing import TYPE_CHECKING, Any, Final

from chapiteau.load.engine.connection import Connection, ConnectionPool
from chapiteau.load.engine.exchange import Exchange
from chapiteau.load.engine.http2_connection import Http2Connection
from chapiteau.load.errors import ExchangeError

if TYPE_CHECKING:
    import socket


__all__ = ["TlsConnection"]

_LOOKS: Final = 4  # reads in which new session tickets are looked for: a look costs 0.1 ms


class TlsConnection(Connection):
    """Encrypts what goes out and decrypts what comes in, in memory."""

    __slots__ = ("_incoming", "_looks", "_offered", "_outgoing", "_tls")

    def __init__(self, origin: ConnectionPool, sock: "socket.socket", at: Any) -> None:
        super().__init__(origin, sock, at, sender=self)
        self._looks = 0
        self._offered = origin.tls_session is not None
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = origin.tls_context().wrap_bio(
            self._incoming, self._outgoing, server_hostname=origin.host, session=origin.tls_session
        )

    def usable(self) -> None:
        """TCP stands; now the handshake."""
        self.wire.enter("TLS handshake")
        self._shake()

    def _shake(self) -> None:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return
        except ssl.SSLError as exc:
            reason = getattr(exc, "verify_message", "") or exc.reason or str(exc)
            self.fail(ExchangeError("TLS", f"TLS handshake failed: {reason}"))
            return
        self._flush()
        if self.wire.closed:
            return
        if isinstance(self.channel, Http2Connection) and self._tls.selected_alpn_protocol() != "h2":
            self.origin.only_http1(self, self.channel)
        super().usable()

    def start(self, exchange: Exchange, at: float) -> None:
        """Send a request, encrypted."""
        self._tls.write(exchange.data)
        self.wire.begin(exchange, self._outgoing.read(), at)

    def emit(self, data: bytes) -> None:
        """Send bytes for the channel, encrypted."""
        self._tls.write(data)
        self._flush()

    def _flush(self) -> None:
        data = self._outgoing.read()
        if data:
            self.wire.send(data)

    def _wants_ticket(self) -> bool:
        """Whether the next connection needs another ticket than this one was opened with: not
        while the server takes that again and again."""
        resumed = self._tls.session_reused
        if self._offered and not resumed:
            self.origin.renew_tickets()
        return self.origin.tickets_once or not resumed

    def take(self, data: bytes) -> None:
        """Encrypted bytes."""
        self._incoming.write(data)
        wire = self.wire
        if wire.phase == "TLS handshake":
            self._shake()
            if wire.phase == "TLS handshake":
                return
        look = self._looks < _LOOKS and self._wants_ticket()
        try:
            while not wire.closed:
                plain = self._tls.read(65536)
                if not plain:
                    self.ended()
                    return
                if look:
                    # Session tickets come after the handshake (RFC 8446 §4.6.1): keep the newest,
                    # before whoever is woken by the answer opens the next connection.
                    look = False
                    self._looks += 1
                    self.origin.keep_session(self._tls.session)
                self.deliver(plain)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as exc:
            self.fail(ExchangeError("TLS", f"TLS failed: {exc.reason or exc}"))
            return
