"""The null responder: answers every request at once, to measure the generator itself.

It understands as little of HTTP as it can get away with: a request ends at its empty line, or
after its content-length. Run as `python -m chapiteau.load.engine.null_responder`, it prints
its port.
"""

import contextlib
import select
import socket
import sys
from typing import Final

__all__ = ["NullResponder", "count_requests", "main"]

_BODY: Final = b"{}"
ANSWER: Final = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n" + _BODY
)


class NullResponder:
    """Serves one listening socket until it is closed."""

    def __init__(self, listener: socket.socket, answer: bytes = ANSWER) -> None:
        self._listener = listener
        self._answer = answer
        self._epoll = select.epoll()
        self._open: dict[int, socket.socket] = {}
        self._rest: dict[int, bytes] = {}
        self.served = 0
        listener.setblocking(False)
        self._epoll.register(listener, select.EPOLLIN)

    def serve(self) -> None:
        """Answer for ever; ends when the listener is closed under it, or on KeyboardInterrupt."""
        while True:
            self._serve_once()

    def _serve_once(self) -> None:
        listening = self._listener.fileno()
        for fd, _ in self._epoll.poll(-1, 256):
            if fd == listening:
                self._accept()
            else:
                self._read(fd)

    def _accept(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                client, _ = self._listener.accept()
                client.setblocking(False)
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._open[client.fileno()] = client
                self._epoll.register(client, select.EPOLLIN)

    def _read(self, fd: int) -> None:
        client = self._open[fd]
        try:
            data = client.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._epoll.unregister(fd)
            self._rest.pop(fd, None)
            self._open.pop(fd).close()
            return
        if fd in self._rest:
            data = self._rest.pop(fd) + data
        count, rest = count_requests(data)
        if rest:
            self._rest[fd] = rest
        self.served += count
        self._respond(client, count)

    def _respond(self, client: socket.socket, count: int) -> None:
        """Answer that many requests of a client."""
        with contextlib.suppress(OSError):
            client.send(self._answer * count)


def count_requests(data: bytes) -> tuple[int, bytes]:
    """How many whole requests there are, and what follows them."""
    count = 0
    while data:
        end = data.find(b"\r\n\r\n")
        if end < 0:
            break
        stop = end + 4
        if not data.startswith(b"GET"):
            head = data[:end].lower() + b"\r\n"
            at = head.find(b"\ncontent-length:")
            if at >= 0:
                stop += int(head[at + 16 : head.index(b"\r", at)])
        if len(data) < stop:
            break
        count += 1
        data = data[stop:]
    return count, data


def main() -> None:
    """Listen on a free loopback port, say which, serve."""
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as listener:
        sys.stdout.write(f"{listener.getsockname()[1]}\n")
        sys.stdout.flush()
        with contextlib.suppress(KeyboardInterrupt):
            NullResponder(listener).serve()


if __name__ == "__main__":
    main()
