"""The process behind a Target: `python -m chapiteau.load.testing.serving KIND JSON`."""

import contextlib
import heapq
import json
import select
import socket
import sys
import time

from chapiteau.load.engine.null_responder import ANSWER, count_requests
from chapiteau.load.engine.reactor import TimerDescriptor
from chapiteau.load.testing.models import Model, model_of

__all__ = ["main"]


class _Server:
    """Accepts, admits each request to the model, answers when its moment has come."""

    def __init__(self, listener: socket.socket, model: Model) -> None:
        self._listener = listener
        self._model = model
        self._epoll = select.epoll()
        self._timer = TimerDescriptor()
        self._open: dict[int, socket.socket] = {}
        self._rest: dict[int, bytes] = {}
        self._due: list[tuple[float, int, int, socket.socket]] = []
        self._number = 0
        listener.setblocking(False)
        self._epoll.register(listener, select.EPOLLIN)
        self._epoll.register(self._timer.fd, select.EPOLLIN)

    def serve(self) -> None:
        door, timer = self._listener.fileno(), self._timer.fd
        while True:
            for fd, _ in self._epoll.poll(-1, 256):
                if fd == door:
                    self._accept()
                elif fd == timer:
                    self._timer.clear()
                else:
                    self._read(fd)
            self._answer()

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
        now = time.monotonic()
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
        count, rest = count_requests(self._rest.pop(fd, b"") + data)
        if rest:
            self._rest[fd] = rest
        for _ in range(count):
            self._number += 1
            heapq.heappush(self._due, (self._model.admit(now), self._number, fd, client))

    def _answer(self) -> None:
        now = time.monotonic()
        due = self._due
        while due and due[0][0] <= now:
            _, _, fd, client = heapq.heappop(due)
            # The peer may have gone, and its number may be somebody else's by now.
            if self._open.get(fd) is client:
                with contextlib.suppress(OSError):
                    client.send(ANSWER)
        if due:
            self._timer.at(due[0][0])


def main() -> None:
    """Listen on a free loopback port, say which, serve."""
    model = model_of(sys.argv[1], json.loads(sys.argv[2]))
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as listener:
        sys.stdout.write(f"{listener.getsockname()[1]}\n")
        sys.stdout.flush()
        with contextlib.suppress(KeyboardInterrupt):
            _Server(listener, model).serve()


if __name__ == "__main__":
    main()
