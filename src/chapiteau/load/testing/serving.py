"""The process behind a Target: `python -m chapiteau.load.testing.serving KIND JSON`."""

import contextlib
import heapq
import json
import select
import socket
import sys
import time

from chapiteau.load.engine.null_responder import ANSWER, NullResponder
from chapiteau.load.engine.reactor import TimerDescriptor
from chapiteau.load.testing.models import Model, model_of

__all__ = ["main"]


class _ModelServer(NullResponder):
    """Admits each request to the model and answers when its moment has come."""

    def __init__(self, listener: socket.socket, model: Model) -> None:
        super().__init__(listener)
        self._model = model
        self._timer = TimerDescriptor()
        self._due: list[tuple[float, int, socket.socket]] = []
        self._number = 0
        self._epoll.register(self._timer.fd, select.EPOLLIN)

    def _serve_once(self) -> None:
        super()._serve_once()
        self._send_due()

    def _read(self, fd: int) -> None:
        if fd == self._timer.fd:
            self._timer.clear()
        else:
            super()._read(fd)

    def _respond(self, client: socket.socket, count: int) -> None:
        now = time.monotonic()
        for _ in range(count):
            self._number += 1
            heapq.heappush(self._due, (self._model.admit(now), self._number, client))

    def _send_due(self) -> None:
        now = time.monotonic()
        due = self._due
        while due and due[0][0] <= now:
            _, _, client = heapq.heappop(due)
            with contextlib.suppress(OSError):  # the peer may have gone
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
            _ModelServer(listener, model).serve()


if __name__ == "__main__":
    main()
