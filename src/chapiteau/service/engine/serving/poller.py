"""Readiness of descriptors: epoll on Linux, poll elsewhere."""

import select
from typing import Final, Protocol

__all__ = ["READ", "WRITE", "Poller", "new_poller"]

READ: Final = 1  # EPOLLIN and POLLIN
WRITE: Final = 4  # EPOLLOUT and POLLOUT


class Poller(Protocol):
    """The part of select.epoll that the worker needs."""

    def register(self, fd: int, eventmask: int, /) -> None:
        """Watch a descriptor."""
        ...

    def modify(self, fd: int, eventmask: int, /) -> None:
        """Watch it for something else."""
        ...

    def unregister(self, fd: int, /) -> None:
        """Watch it no longer."""
        ...

    def poll(self, timeout: float, /) -> list[tuple[int, int]]:
        """What is ready, waiting for at most `timeout` seconds."""
        ...


class _Poll:
    def __init__(self) -> None:
        self._poll = select.poll()
        self.register = self._poll.register
        self.modify = self._poll.modify
        self.unregister = self._poll.unregister

    def poll(self, timeout: float, /) -> list[tuple[int, int]]:
        """Milliseconds here, seconds in epoll."""
        return self._poll.poll(timeout * 1000)


def new_poller() -> Poller:
    """The best that this system has."""
    return select.epoll() if hasattr(select, "epoll") else _Poll()
