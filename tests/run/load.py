"""Strict clients for the tests: every request is counted, every failure is told."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from dataclasses import dataclass, field

__all__ = ["Clients", "Tally"]


@dataclass
class Tally:
    """What the clients saw."""

    done: int = 0
    failed: list[str] = field(default_factory=list)
    worst: float = 0.0  # seconds

    def add(self, other: Tally) -> None:
        self.done += other.done
        self.failed += other.failed
        self.worst = max(self.worst, other.worst)


class Clients:
    """`with Clients(address) as load:` sends GET / over and over; `keep` reuses connections.

    A request on a reused connection that the server closed before any byte of the answer is sent
    again on a new one, once, as RFC 9112 §9.3.1 lets every client do; a new connection that fails
    is a failure, and so is half an answer.
    """

    def __init__(self, address: str, *, keep: bool, count: int = 4) -> None:
        host, _, port = address.rpartition(":")
        self.target = (host, int(port))
        self.keep = keep
        self.total = Tally()
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(count)]

    def __enter__(self) -> Tally:
        for thread in self._threads:
            thread.start()
        return self.total

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)

    def _run(self) -> None:
        mine = Tally()
        connection: socket.socket | None = None
        while not self._stop.is_set():
            begun = time.monotonic()
            try:
                connection = self._one(connection)
                mine.done += 1
            except OSError as exc:
                mine.failed.append(repr(exc))
                connection = None
            mine.worst = max(mine.worst, time.monotonic() - begun)
        if connection is not None:
            connection.close()
        with self._lock:
            self.total.add(mine)

    def _one(self, kept: socket.socket | None) -> socket.socket | None:
        if kept is not None:
            with contextlib.suppress(ConnectionAbortedError):
                return self._exchange(kept)
        return self._exchange(socket.create_connection(self.target, timeout=60))

    def _exchange(self, connection: socket.socket) -> socket.socket | None:
        """The connection when it can be used again; else it is closed, whatever happens."""
        kept = None
        try:
            kept = self._answered(connection)
        finally:
            if kept is None:
                connection.close()
        return kept

    def _answered(self, connection: socket.socket) -> socket.socket | None:
        header = "" if self.keep else "Connection: close\r\n"
        data = b""
        try:
            connection.sendall(f"GET / HTTP/1.1\r\nHost: x\r\n{header}\r\n".encode())
            while b"\r\n\r\n" not in data:
                data += self._more(connection, data)
        except (BrokenPipeError, ConnectionResetError) as exc:
            if data:
                raise
            raise ConnectionAbortedError("closed before any byte of an answer") from exc
        head, _, body = data.partition(b"\r\n\r\n")
        if b" 200 " not in head.splitlines()[0]:
            raise ConnectionError(head.splitlines()[0].decode())
        lower = head.lower()
        length = int(lower.split(b"content-length:")[1].split(b"\r\n")[0])
        while len(body) < length:
            body += self._more(connection, body or b"x")
        return connection if self.keep and b"connection: close" not in lower else None

    @staticmethod
    def _more(connection: socket.socket, got: bytes) -> bytes:
        data = connection.recv(65536)
        if data:
            return data
        if got:
            raise ConnectionError("half an answer")
        raise ConnectionAbortedError("closed before any byte of an answer")
