"""gevent's names over threads: in our load processes nothing is patched, so nothing breaks."""

import queue
import threading
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any

from chapiteau.migrate.shims import shim_module

__all__ = ["gevent_modules"]


class _Greenlet:
    """A greenlet's stand-in: a function in a thread."""

    def __init__(self, function: Callable[..., Any], *args: Any, **more: Any) -> None:
        self.value: Any = None
        self.exception: BaseException | None = None
        self._call = (function, args, more)
        self._thread = threading.Thread(target=self._live, daemon=True)
        self._thread.start()

    def _live(self) -> None:
        function, args, more = self._call
        try:
            self.value = function(*args, **more)
        except Exception as exc:  # noqa: BLE001 — given to whoever asks for the value
            self.exception = exc

    def join(self, timeout: float | None = None) -> None:
        """Wait for its end."""
        self._thread.join(timeout)

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """Its value; raises what it raised."""
        if block:
            self.join(timeout)
        if self.exception is not None:
            raise self.exception
        return self.value

    def ready(self) -> bool:
        """Whether it has ended."""
        return not self._thread.is_alive()

    def kill(self, *_more: Any, **_options: Any) -> None:
        """Threads can't be killed; it is a daemon and ends with the process."""


class _Pool:
    """gevent.pool.Pool: at most so many at once."""

    def __init__(self, size: int | None = None) -> None:
        self._room = threading.Semaphore(size or 1000)
        self._all: list[_Greenlet] = []

    def spawn(self, function: Callable[..., Any], *args: Any, **more: Any) -> _Greenlet:
        """Start one as soon as there is room."""
        self._room.acquire()

        def run() -> Any:
            try:
                return function(*args, **more)
            finally:
                self._room.release()

        made = _Greenlet(run)
        self._all.append(made)
        return made

    def map(self, function: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
        """The values for all items, in their order."""
        return [one.get() for one in [self.spawn(function, item) for item in items]]

    def imap(self, function: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
        """The same."""
        return self.map(function, items)

    imap_unordered = imap

    def join(self, timeout: float | None = None) -> None:
        """Wait for all."""
        for one in self._all:
            one.join(timeout)


class _Semaphore(threading.Semaphore):
    """gevent.lock.Semaphore: one can also wait for it without taking it."""

    def wait(self, timeout: float | None = None) -> bool:
        """Until it can be acquired."""
        free = self.acquire(timeout=timeout)
        if free:
            self.release()
        return free


def _sleep(seconds: float = 0, ref: bool = True) -> None:
    threading.Event().wait(max(0.0, seconds))


def _joinall(
    many: Iterable[_Greenlet], timeout: float | None = None, **_more: Any
) -> list[_Greenlet]:
    listed = list(many)
    for one in listed:
        one.join(timeout)
    return listed


def gevent_modules() -> dict[str, ModuleType]:
    """`gevent` and its parts, for scenario files that import them."""
    contents: dict[str, dict[str, object]] = {
        "gevent": {
            "sleep": _sleep,
            "spawn": _Greenlet,
            "joinall": _joinall,
            "wait": _joinall,
            "Greenlet": _Greenlet,
            "Timeout": TimeoutError,
        },
        "gevent.monkey": {"patch_all": lambda *_a, **_m: None, "patch_socket": lambda: None},
        "gevent.pool": {"Pool": _Pool, "Group": _Pool},
        "gevent.lock": {
            "Semaphore": _Semaphore,
            "BoundedSemaphore": _Semaphore,
            "RLock": threading.RLock,
        },
        "gevent._semaphore": {"Semaphore": _Semaphore},
        "gevent.event": {"Event": threading.Event},
        "gevent.queue": {"Queue": queue.Queue, "Empty": queue.Empty, "Full": queue.Full},
    }
    return {name: shim_module(name, part) for name, part in contents.items()}
