"""A supervisor in memory behind the real control server, in a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING, Any

from chapiteau.io.clock import SystemClock
from chapiteau.io.unix_http import control_path
from chapiteau.run.testing import MemorySupervisor, control_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class Memory:
    """What a test holds: the supervisor, and `do` to act in its loop."""

    def __init__(self, folder: Path, services: dict[str, int]) -> None:
        self.folder = folder
        self.supervisor: MemorySupervisor
        self._services = services
        self._loop = asyncio.new_event_loop()
        self._up = threading.Event()
        self._down = asyncio.Event()

    def do(self, deed: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call something of the supervisor in its own thread, and give its answer."""

        async def call() -> Any:
            return deed(*args, **kwargs)

        return asyncio.run_coroutine_threadsafe(call(), self._loop).result(60)

    def run(self) -> None:
        """The thread: serve until the test or a shutdown ends it."""
        with contextlib.closing(self._loop):
            self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        self.supervisor = MemorySupervisor(self._services, SystemClock())
        path = control_path(self.folder / ".chapiteau", create=True)
        async with control_server(self.supervisor, path):
            self._up.set()
            ends = [asyncio.ensure_future(e.wait()) for e in (self._down, self.supervisor.stopping)]
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            for end in ends:
                end.cancel()

    def wait_until_up(self) -> None:
        """Until it answers."""
        assert self._up.wait(60)

    def end(self) -> None:
        """Stop serving, if it still does."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._down.set)


@contextlib.contextmanager
def memory_supervisor(folder: Path, services: dict[str, int]) -> Iterator[Memory]:
    """A chapiteau.toml with these services in the folder, and somebody who answers for it."""
    text = "".join(
        f'[service.{name}]\ncommand = "x"\nprocesses = {n}\n' for name, n in services.items()
    )
    (folder / "chapiteau.toml").write_text(text)
    memory = Memory(folder, services)
    thread = threading.Thread(target=memory.run)
    thread.start()
    try:
        memory.wait_until_up()
        yield memory
    finally:
        memory.end()
        thread.join(60)
