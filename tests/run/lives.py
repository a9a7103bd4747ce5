"""A process host in memory, for tests of lives: processes end when the test says so."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any

from chapiteau.core.clock import ManualClock
from chapiteau.run.errors import SpawnError
from chapiteau.run.process.exits import ProcessExit
from chapiteau.run.process.process import Process
from chapiteau.run.process.spawn import deadlines_of, memo_of

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from chapiteau.run.config.spec import Service
    from chapiteau.run.keeper.frames import Memo

__all__ = ["Host", "end", "settle"]


class Host:
    """Starts processes and notes what is done to them; `memos` is what a keeper has of each."""

    read_only = False

    def __init__(self, clock: ManualClock | None = None) -> None:
        self.clock = clock or ManualClock()
        self.random = random.Random(1)
        self.started: list[Process] = []
        self.stops: list[Process] = []
        self.kills: list[Process] = []
        self.memos: dict[str, Memo] = {}
        self.broken = False

    async def spawn(
        self, name: str, spec: Service, number: int, generation: int,
        on_change: Callable[..., None], *, candidate: bool = False,
    ) -> Process:  # fmt: skip
        await asyncio.sleep(0)
        if self.broken:
            raise SpawnError("no such program")
        pid = len(self.started) + 1
        made = Process(
            key=str(pid), service=name, number=number, spec=spec, generation=generation,
            on_change=on_change, began=0.0, began_wall=self.clock.wall() + pid / 1000,
            candidate=candidate,
        )  # fmt: skip
        made.started(pid, 0, self.clock.now())
        self.started.append(made)
        self.memos[made.key] = memo_of(made)
        return made

    def alive(self) -> list[Process]:
        return [one for one in self.started if one.alive]

    def request_stop(self, process: Process) -> None:
        self.stops.append(process)
        process.request_stop(self.clock.now())
        self.note_deadlines(process)

    def note_deadlines(self, process: Process) -> None:
        self.memos[process.key].update(deadlines_of(process, self.clock))

    def note_owner(self, process: Process) -> None:
        self.memos[process.key]["candidate"] = False

    def kill(self, process: Process) -> None:
        self.kills.append(process)
        process.killed()
        self.note_deadlines(process)

    async def hook(self, *_: Any) -> str:
        return ""

    def emit(self, *_: Any, **__: Any) -> None:
        pass

    emit_of = emit

    def report(self, error: BaseException) -> None:
        raise error

    def run(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        return asyncio.ensure_future(work)


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def end(process: Process, code: int = 1) -> None:
    process.ended(ProcessExit(code=code, asked=process.stop_requested))
