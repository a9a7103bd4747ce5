"""`up` in the foreground: everybody's output on one terminal, and Ctrl-C that means it."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

from chapiteau.core.errors import ChapiteauError
from chapiteau.io.console import use_colour
from chapiteau.io.files import lock_owner
from chapiteau.run.api.async_client import AsyncClient
from chapiteau.run.api.client import lock_path
from chapiteau.run.cli.lines import LinePrinter, event_line
from chapiteau.run.cli.options import message
from chapiteau.run.cli.waiting import pending_and_failed, ready_lines
from chapiteau.run.config.spec import Spec
from chapiteau.run.errors import NotRunningError
from chapiteau.run.events import Event
from chapiteau.run.logs.messages import Gap, LogLine, LogQuery

__all__ = ["follow_supervisor", "run_in_foreground"]

_PATIENCE: Final = 10.0  # seconds in which a (new) brain must answer
_KEEPERLESS: Final = 1.0  # seconds in which a keeper that was killed must have its successor
_LAST_WORDS: Final = 1.0  # seconds for output that is still on its way at the end
# Every process's coming and going is told by its output or by these.
_QUIET: Final = frozenset({"command.done", "process.spawned", "process.status", "socket.bound"})


def follow_supervisor(run_dir: Path, spec: Spec, begun: float) -> int:
    """Follow from this moment (seconds since 1970) until the supervisor has ended.

    Gives the exit code: 0 when somebody ended it, 1 when a service failed for good, 130 when
    Ctrl-C was needed twice.
    """
    return asyncio.run(_Foreground(run_dir, spec, begun).follow())


def run_in_foreground(
    config: Path, run_dir: Path, spec: Spec, begun: float, only: Sequence[str]
) -> int:
    """Be the supervisor as well, in this one process. Raises as `run_alone` does."""
    from chapiteau.run.supervisor.keeperless import run_without_keeper

    async def both() -> int:
        shown = _Foreground(run_dir, spec, begun, alone=True)
        showing = asyncio.create_task(shown.follow())
        code = await run_without_keeper(config, spec, run_dir, only)
        shown.over()
        return await showing or code

    return asyncio.run(both())


class _Foreground:
    def __init__(self, run_dir: Path, spec: Spec, begun: float, *, alone: bool = False) -> None:
        self._client, self._alone = AsyncClient.at(run_dir), alone
        self._run_dir, self._lock = run_dir, lock_path(run_dir)
        self._begun = begun
        width = max((len(name) for name, _ in spec.named()), default=0) + 2
        self._printer = LinePrinter(colour=use_colour(), width=width)
        self._colour = use_colour(sys.stderr)
        self._asked = 0  # how often somebody wanted it to end
        self._failed: set[str] = set()
        self._was_ready = False
        self._tasks: set[asyncio.Task[None]] = set()

    async def follow(self) -> int:
        """Until the supervisor has ended."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._stop)
        if os.getpid() == 1 and not self._alone:  # a container's orphans: nobody else reaps them
            loop.add_signal_handler(signal.SIGCHLD, _reap)
        lines = asyncio.create_task(self._lines())
        try:
            await self._events()
        finally:
            with contextlib.suppress(TimeoutError, asyncio.CancelledError):
                await asyncio.wait_for(lines, _LAST_WORDS)
        if self._failed and not self._asked:
            return 1
        return 128 + signal.SIGINT if self._asked > 1 else 0

    def over(self) -> None:
        """The supervisor has ended: so does the showing."""
        self._asked = self._asked or 1

    def _stop(self) -> None:
        self._asked += 1
        message(
            "stopping … (again: faster)" if self._asked == 1 else "stopping at once",
            colour="yellow",
        )
        task = asyncio.get_running_loop().create_task(self._shutdown())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _shutdown(self) -> None:
        with contextlib.suppress(ChapiteauError):
            await self._client.shutdown(force=self._asked > 1)

    async def _events(self) -> None:
        last, deadline, loop = 0, self._deadline(), asyncio.get_running_loop()
        while loop.time() < deadline:
            with contextlib.suppress(NotRunningError):
                async for event in self._client.events(last, follow=True):
                    deadline = self._deadline()
                    if isinstance(event, Event):
                        last = event.seq
                        if event.time >= self._begun:  # older ones are of an earlier life
                            await self._happened(event)
            if self._asked:
                return  # it was to end, and now it has
            if not lock_owner(self._lock):  # all too fast for us, or another keeper is made
                deadline = min(deadline, loop.time() + _KEEPERLESS)
            await asyncio.sleep(0.05)

    def _deadline(self) -> float:
        return asyncio.get_running_loop().time() + _PATIENCE

    async def _happened(self, event: Event) -> None:
        if event.kind not in _QUIET:
            message(event_line(event, colour=self._colour))
        if event.kind == "supervisor.stopping":
            self._asked = self._asked or 1
        if event.kind == "service.failed":
            self._failed.add(event.service)
        elif event.kind in {"service.ready", "service.recovered", "service.completed"}:
            self._failed.discard(event.service)
            await self._look()

    async def _look(self) -> None:
        """Say once that everything is there."""
        if self._was_ready:
            return
        with contextlib.suppress(ChapiteauError):
            status = await self._client.status()
            pending, failed = pending_and_failed(status)
            if not pending and not failed:
                self._was_ready = True
                message("\n".join(ready_lines(status, self._run_dir)), colour="green")

    async def _lines(self) -> None:
        places: dict[str, int] = {}  # where we are in each log file: the next brain goes on there
        while True:
            with contextlib.suppress(NotRunningError):
                query = LogQuery(follow=True, last=10_000, since=self._begun, after=dict(places))
                async for item in self._client.logs(query):
                    if isinstance(item, LogLine):
                        places[item.source] = item.at
                    self._print(item)
            await asyncio.sleep(0.05)

    def _print(self, item: LogLine | Gap) -> None:
        click.echo(self._printer.line(item), color=True)


def _reap() -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
