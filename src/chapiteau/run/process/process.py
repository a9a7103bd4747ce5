"""One process of a service, from the request to start it until its exit."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chapiteau.run.config.spec import Service
from chapiteau.run.keeper.frames import ExitFrame
from chapiteau.run.logs.stdin_pipe import StdinPipe
from chapiteau.run.process.exits import ProcessExit

__all__ = ["Changes", "Process"]


# Waiting for facts: who changes something notifies, who waits looks again.


class Changes:
    """Wakes everybody who waits, whenever something has changed."""

    __slots__ = ("_waiters",)

    def __init__(self) -> None:
        self._waiters: list[asyncio.Future[None]] = []

    def notify(self) -> None:
        """Something has changed."""
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def wait(self, timeout: float | None = None) -> bool:
        """Wait for the next change; False when there was none within `timeout` seconds."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            async with asyncio.timeout(timeout):
                await waiter
        except TimeoutError:
            return waiter.done() and not waiter.cancelled()
        finally:
            if waiter in self._waiters:
                self._waiters.remove(waiter)
        return True

    async def until(self, fact: Callable[[], bool], timeout: float | None = None) -> bool:
        """Wait for a fact; False when it did not become true within `timeout` seconds."""
        if fact():
            return True
        try:
            async with asyncio.timeout(None if timeout == float("inf") else timeout):
                while not fact():
                    await self.wait()
        except TimeoutError:
            return fact()
        return True


NEVER = float("inf")


@dataclass(slots=True, eq=False, kw_only=True)
class Process:
    """`key` names it for ever; `pid` may be another process's later. Times: the host's clock."""

    key: str
    service: str
    number: int
    spec: Service  # with which it was started
    generation: int
    on_change: Callable[["Process"], None]
    began_wall: float
    began: float
    pid: int = 0  # 0: the keeper has not answered yet
    start: int = 0  # clock ticks since boot
    cgroup: Path | None = None
    candidate: bool = False  # of a reload: another process still has the number
    ready: bool = False
    ready_by: float = NEVER
    stop_by: float = NEVER  # then it is killed
    stop_sent: bool = False
    stop_requested: bool = False  # its end is what somebody wanted
    condemned: bool = False  # it is to be replaced: see `unhealthy`
    unhealthy: str = ""  # why we end it ourselves
    stdin: StdinPipe | None = None
    status_text: str = ""
    health: dict[str, Any] = field(default_factory=dict)  # its last probe: what, ok, why, ms
    extra: dict[str, Any] = field(default_factory=dict)  # of its hook `extended_stats`
    refused: set[str] = field(default_factory=set)  # what it asked for in vain, reported once
    heartbeat: float = 0.0  # when it said WATCHDOG=1 last
    early_exit: ExitFrame | None = None  # it ended before the answer to its start came
    exit: ProcessExit | None = None
    _changes: Changes = field(default_factory=Changes)
    _tasks: list["asyncio.Task[None]"] = field(default_factory=list)

    def __repr__(self) -> str:
        state = "ended" if self.exit is not None else "ready" if self.ready else "not ready"
        return f"<Process {self.service}.{self.number} pid={self.pid} {state}>"

    @property
    def alive(self) -> bool:
        """Whether it has not ended, as far as we know."""
        return self.exit is None

    @property
    def on_terminal(self) -> bool:
        """Whether all its streams are one terminal."""
        return self.spec.stdin == "tty"

    def placed(self, cgroup: Path | None) -> None:
        """It will run in this cgroup."""
        self.cgroup = cgroup

    def connected(self, stdin: StdinPipe) -> None:
        """Its standard input, or its terminal, is open."""
        self.stdin = stdin

    def ended_early(self, frame: ExitFrame) -> None:
        """It has ended, and the answer to its start has not come yet."""
        self.early_exit = frame

    def started(self, pid: int, start: int, now: float) -> None:
        """The keeper has started it."""
        self.pid, self.start, self.began = pid, start, now
        if not self.spec.is_job:
            self.ready_by = now + self.spec.ready.start_timeout

    def mark_ready(self) -> None:
        """Its probe passed, or it said so."""
        if self.alive and not self.ready:
            self.ready, self.status_text, self.ready_by = True, "", NEVER
            self._changed()

    def request_stop(self, now: float) -> None:
        """The stop signal is sent: from now on it has `stop_timeout`."""
        self.stop_sent, self.stop_by = True, now + self.spec.stop_timeout
        self.stop_requested = self.stop_requested or not self.unhealthy

    def stopping(self, until: float) -> None:
        """A brain before us has sent the stop signal."""
        self.stop_sent, self.stop_by, self.stop_requested = True, until, True

    def took_over(self) -> None:
        """The number is its own from now on."""
        self.candidate = False

    def replaced(self) -> None:
        """Another has taken its number: its end is wanted."""
        self.stop_requested = True

    def extend(self, until: float) -> None:
        """It needs longer to become ready, or to end."""
        if self.stop_sent:
            self.stop_by = until
        elif not self.ready:
            self.ready_by = until
        self._changed()

    def killed(self) -> None:
        """It was sent SIGKILL: nothing is left to be done but to wait."""
        self.stop_by = NEVER

    def report_status(self, text: str) -> None:
        """What it says of itself, or why it is not ready."""
        self.status_text = text

    def report_health(self, facts: dict[str, Any]) -> None:
        """Its last probe."""
        self.health = facts

    def report_extra(self, facts: dict[str, Any]) -> None:
        """What its hook `extended_stats` says."""
        self.extra = facts

    def beat(self, now: float) -> None:
        """It said WATCHDOG=1, or the watch begins."""
        self.heartbeat = now

    def doomed(self, why: str) -> None:
        """It will be ended by us, for this reason, whatever its exit then says."""
        self.unhealthy = why

    def condemn(self, why: str) -> None:
        """It is not healthy and must be replaced."""
        self.unhealthy, self.condemned = why, True
        self._changed()

    def ended(self, exit_: ProcessExit) -> None:
        """It has ended."""
        self.exit = exit_
        for task in self._tasks:
            task.cancel()
        self._tasks.clear()
        self._changed()

    def run(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """A task that ends with the process."""
        task = asyncio.ensure_future(work)
        self._tasks.append(task)
        return task

    async def until(self, fact: Callable[[], bool], timeout: float | None = None) -> bool:
        """Wait for a fact about it; False when it did not come true in time."""
        return await self._changes.until(fact, timeout)

    async def until_ended(self, timeout: float | None = None) -> bool:
        """Wait for its end."""
        return await self.until(lambda: not self.alive, timeout)

    def _changed(self) -> None:
        self._changes.notify()
        self.on_change(self)
