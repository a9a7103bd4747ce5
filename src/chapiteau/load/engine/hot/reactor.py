"""One epoll descriptor with all connections and timers in it, itself one entry of asyncio's loop.

asyncio sees a single readable descriptor; everything behind it costs neither a Handle nor a
transport (measured: 24 µs a request through asyncio's own transports, 10 this way).
"""

import asyncio
import select
import time
from collections.abc import Callable
from typing import Final

from chapiteau.core.histogram import Histogram
from chapiteau.load.engine.hot.timer import TimerDescriptor

__all__ = ["DATA", "EDGE", "READ", "WRITE", "Lay", "Reactor", "Timer"]

DATA: Final = select.EPOLLIN
READ: Final = DATA | select.EPOLLRDHUP
WRITE: Final = select.EPOLLOUT
EDGE: Final = select.EPOLLET  # be told once of what comes, not in every round until it is read
_BATCH: Final = 128
# Rounds of epoll in one turn of the loop: more save turns, fewer let other Tasks in sooner.
_ROUNDS: Final = 4


class Lay:
    """How long answers had lain in their sockets before they were read, in microseconds."""

    __slots__ = ("_found",)

    def __init__(self) -> None:
        self._found = Histogram()

    def record(self, micros: int) -> None:
        """One answer."""
        self._found.record(micros)

    def flush(self) -> bytes:
        """Histogram.to_bytes of what came since the last time."""
        found, self._found = self._found, Histogram()
        return found.to_bytes()


class Reactor:
    """Calls a handler for each descriptor that is ready. Close it before the loop."""

    __slots__ = ("_epoll", "_handlers", "lay", "loop", "now")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, now: Callable[[], float] = time.monotonic
    ) -> None:
        self.loop = loop
        self.now = now
        self.lay = Lay()
        self._epoll = select.epoll()
        self._handlers: dict[int, Callable[[int], None]] = {}
        loop.add_reader(self._epoll.fileno(), self.poll)

    def watch(self, fd: int, handler: Callable[[int], None], events: int = READ) -> None:
        """Call `handler(events)` when the descriptor is ready."""
        self._handlers[fd] = handler
        self._epoll.register(fd, events)

    def change(self, fd: int, events: int) -> None:
        """Wait for other events of a watched descriptor."""
        self._epoll.modify(fd, events)

    def forget(self, fd: int) -> None:
        """Stop watching; to be called before the descriptor is closed."""
        if self._handlers.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    def timer(self, handler: Callable[[], None]) -> "Timer":
        """A precise timer; it rings only after `at` was called."""
        return Timer(self, handler)

    def poll(self) -> None:
        """Serve all that is ready now."""
        handlers = self._handlers
        for _ in range(_ROUNDS):
            if self._epoll.closed:
                return  # by a handler, or the loop had this call in its queue already
            ready = self._epoll.poll(0, _BATCH)
            if not ready:
                return
            for fd, events in ready:
                # An earlier handler of this round may have closed this one.
                handler = handlers.get(fd)
                if handler is not None:
                    handler(events)

    def close(self) -> None:
        """Leave the loop."""
        self.loop.remove_reader(self._epoll.fileno())
        self._epoll.close()
        self._handlers.clear()


class Timer:
    """Calls its handler at a moment."""

    __slots__ = ("_descriptor", "_handler", "_reactor")

    def __init__(self, reactor: Reactor, handler: Callable[[], None]) -> None:
        self._reactor = reactor
        self._handler = handler
        self._descriptor = TimerDescriptor()
        reactor.watch(self._descriptor.fd, self._ring)

    def at(self, moment: float) -> None:
        """Ring at this moment of time.monotonic; only the last call counts."""
        self._descriptor.at(moment)

    def _ring(self, _events: int) -> None:
        self._descriptor.clear()
        self._handler()

    def close(self) -> None:
        """Never ring again."""
        self._reactor.forget(self._descriptor.fd)
        self._descriptor.close()
