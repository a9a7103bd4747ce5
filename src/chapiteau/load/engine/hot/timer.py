"""A timer as a descriptor (timerfd), precise to a few microseconds.

asyncio's own timers are as coarse as epoll's timeout, a millisecond; at 5,000 arrivals a second
that is five of them. Python has timerfd from 3.13 on only, so it comes from the C library.
"""

import contextlib
import ctypes
import os
from typing import Final

__all__ = ["TimerDescriptor"]

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
        nanos = max(1, int(moment * 1e9))
        self._spec.value_s, self._spec.value_ns = divmod(nanos, 1_000_000_000)
        self._set(self.fd, _ABSOLUTE, self._pointer, None)

    def clear(self) -> None:
        """Take note that it rang."""
        with contextlib.suppress(BlockingIOError):
            os.read(self.fd, 8)

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self.fd)
