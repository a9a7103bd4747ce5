"""A connection under TLS, with the caller's own SSLContext and no transport in between."""

import ssl
from typing import TYPE_CHECKING

from chapiteau.load.engine.http.connection import Connection
from chapiteau.load.engine.http.exchange import Exchange
from chapiteau.load.errors import ExchangeError

if TYPE_CHECKING:
    import socket

    from chapiteau.load.engine.http.origin import Origin
    from chapiteau.load.engine.http.reactor import Reactor

__all__ = ["TlsConnection"]


class TlsConnection(Connection):
    """Encrypts what goes out and decrypts what comes in, in memory."""

    __slots__ = ("_incoming", "_outgoing", "_tls")

    def __init__(self, origin: "Origin", reactor: "Reactor", sock: "socket.socket") -> None:
        super().__init__(origin, reactor, sock)
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = origin.tls_context().wrap_bio(
            self._incoming, self._outgoing, server_hostname=origin.host, session=origin.tls_session
        )

    def usable(self) -> None:
        """TCP stands; now the handshake."""
        self.phase = "TLS handshake"
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
        super().usable()

    def start(self, exchange: Exchange) -> None:
        """Send a request, encrypted."""
        self._tls.write(exchange.data)
        plain, exchange.data = exchange.data, self._outgoing.read()
        super().start(exchange)
        exchange.data = plain  # it may have to be sent again, on another connection

    def _flush(self) -> None:
        data = self._outgoing.read()
        if data:
            rest, self._rest = self._rest, b""
            self._write(bytes(rest) + data if rest else data)

    def take(self, data: bytes) -> None:
        """Encrypted bytes."""
        self._incoming.write(data)
        if self.phase == "TLS handshake":
            self._shake()
            if self.phase == "TLS handshake":
                return
        try:
            plain = self._tls.read(65536)
            while plain:
                super().take(plain)
                if self.phase == "closed":
                    return
                plain = self._tls.read(65536)
            self._ended()
        except ssl.SSLWantReadError:
            # Session tickets come after the handshake (RFC 8446 §4.6.1): keep the newest.
            self.origin.tls_session = self._tls.session
        except ssl.SSLError as exc:
            self.fail(ExchangeError("TLS", f"TLS failed: {exc.reason or exc}"))
