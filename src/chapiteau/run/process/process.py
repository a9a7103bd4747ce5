"""One process that runs or has run: who it is, and the strings it hangs on."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from chapiteau.run.logs.stdin_pipe import StdinPipe

__all__ = ["Process"]

_LATE: Final = 0.5  # seconds: a timer that rings so late says that we, not the process, were away
_HEARING: Final = 1.0  # seconds to hear what was said meanwhile


@dataclass(slots=True, eq=False)
class Process:
    """A process under a number of a service. `key` names it for ever; `pid` may come again."""

    key: str
    service: str
    number: int
    pid: int
    start: int  # clock ticks since boot: with the pid, the process itself
    began: float  # on the clock of intervals
    began_wall: float
    generation: int
    cgroup: Path | None = None
    ready: bool = False
    asked: bool = False  # somebody wanted it to end
    refused: set[str] = field(default_factory=set)  # what it asked for in vain, told once
    on_terminal: bool = False  # all its streams are one terminal
    entry: "StdinPipe | None" = None  # its standard input, or that terminal
    unhealthy: str = ""  # why we ended it ourselves
    replaced: bool = False  # another one has taken its place; it finishes its work
    status_text: str = ""
    health: dict[str, Any] = field(default_factory=dict)  # its last probe: what, ok, why, ms
    extra: dict[str, Any] = field(default_factory=dict)  # of its hook `extended_stats`
    end: dict[str, Any] | None = None
    on_end: list[Callable[[], None]] = field(default_factory=list)
    on_ready: Callable[[], None] | None = None
    watchdog: asyncio.TimerHandle | None = None
    _timers: list[asyncio.TimerHandle] = field(default_factory=list)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def __repr__(self) -> str:
        state = "ended" if self.end is not None else "ready" if self.ready else "not ready"
        return f"<Instance {self.service}.{self.number} pid={self.pid} {state}>"

    @property
    def alive(self) -> bool:
        """Whether it has not ended, as far as we know."""
        return self.end is None

    def after(self, seconds: float, do: Callable[[], None]) -> asyncio.TimerHandle:
        """A timer that dies with the process, so that it can't ring into a later life."""
        handle = asyncio.get_running_loop().call_later(seconds, do)
        self._timers.append(handle)
        return handle

    def after_hearing(self, seconds: float, do: Callable[[], None]) -> asyncio.TimerHandle:
        """As `after`, for a time in which the process should have spoken.

        When it rings late we were halted or starved: what was said meanwhile is heard first.
        """
        loop = asyncio.get_running_loop()
        due = loop.time() + seconds

        def ring() -> None:
            if loop.time() - due > _LATE:
                self.after_hearing(min(seconds, _HEARING), do)
            else:
                do()

        return self.after(seconds, ring)

    def watch(self, seconds: float, silent: Callable[[], None]) -> None:
        """Begin (anew) the time in which the process must speak; then `silent` is called."""
        if self.watchdog is not None:
            self.watchdog.cancel()
        loop = asyncio.get_running_loop()
        due = loop.time() + seconds

        def ring() -> None:
            if loop.time() - due > _LATE:  # the fault was ours: as above
                self.watch(min(seconds, _HEARING), silent)
            else:
                silent()

        self.watchdog = loop.call_later(seconds, ring)

    def restart_timers(self) -> None:
        """Cancel its timers, but not its tasks."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()

    def task(self, task: "asyncio.Task[None]") -> None:
        """A task that is cancelled when the process ends."""
        self._tasks.append(task)

    def forget_timers(self) -> None:
        """Cancel timers and tasks."""
        for timer in self._timers:
            timer.cancel()
        for task in self._tasks:
            task.cancel()
        if self.watchdog is not None:
            self.watchdog.cancel()
            self.watchdog = None
        self._timers.clear()
        self._tasks.clear()
