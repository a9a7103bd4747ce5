"""One epoll descriptor with all connections and timers in it, itself one entry of asyncio's loop.

asyncio sees a single readable descriptor; everything behind it costs neither a Handle nor a
transport (measured: 24 µs a request through asyncio's own transports, 10 this way).
"""

import asyncio
import contextlib
import ctypes
import os
import select
import time
from collections.abc import Callable
from typing import Final

from chapiteau.core.histogram import Histogram

__all__ = [
    "DATA",
    "EDGE_TRIGGERED",
    "READ",
    "WRITE",
    "Reactor",
    "ReceiveDelay",
    "Timer",
    "TimerDescriptor",
]


# A timer as a descriptor (timerfd), precise to a few microseconds.
#
# asyncio's own timers are as coarse as epoll's timeout, a millisecond; at 5,000 arrivals a second
# that is five of them. Python has timerfd from 3.13 on only, so it comes from the C library.

_MONOTONIC: Final = 1
_NONBLOCK_CLOEXEC: Final = 0o4000 | 0o2000000
_ABSOLUTE: Final = 1


class _Spec(ctypes.Structure):
    _fields_ = (
        ("interval_s", ctypes.c_long),
        ("interval_ns", ctypes.c_long),
        ("value_s", ctypes.c_long),
        ("value_ns", ctypes.c_long),
    )

    def at(self, nanos: int) -> None:
        self.value_s, self.value_ns = divmod(nanos, 1_000_000_000)


class TimerDescriptor:
    """Becomes readable at a moment of CLOCK_MONOTONIC."""

    __slots__ = ("_pointer", "_set", "_spec", "fd")

    def __init__(self) -> None:
        library = ctypes.CDLL(None, use_errno=True)
        self.fd: int = library.timerfd_create(_MONOTONIC, _NONBLOCK_CLOEXEC)
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self._set = library.timerfd_settime
        self._spec = _Spec(0, 0, 0, 0)
        self._pointer = ctypes.byref(self._spec)

    def at(self, moment: float) -> None:
        """Ring at this moment (seconds of time.monotonic); a past one rings at once."""
        self._spec.at(max(1, int(moment * 1e9)))
        self._set(self.fd, _ABSOLUTE, self._pointer, None)

    def clear(self) -> None:
        """Take note that it rang."""
        with contextlib.suppress(BlockingIOError):
            os.read(self.fd, 8)

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self.fd)


DATA: Final = select.EPOLLIN
READ: Final = DATA | select.EPOLLRDHUP
WRITE: Final = select.EPOLLOUT
EDGE_TRIGGERED: Final = (
    select.EPOLLET
)  # be told once of what comes, not in every round until it is read
_BATCH: Final = 128
# Rounds of epoll in one turn of the loop: more save turns, fewer let other Tasks in sooner.
_ROUNDS: Final = 4


class ReceiveDelay:
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

    __slots__ = ("_epoll", "_handlers", "loop", "now", "receive_delay")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, now: Callable[[], float] = time.monotonic
    ) -> None:
        self.loop = loop
        self.now = now
        self.receive_delay = ReceiveDelay()
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
