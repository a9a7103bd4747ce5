"""The load processes of this machine as one: start, give orders, collect, stop."""

import asyncio
import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Self

from chapiteau.core.errors import ChapiteauError, UsageError
from chapiteau.io.json_lines import LineReader, encode_line
from chapiteau.load.errors import ScenarioError, TargetNotAllowedError, WorkerLostError
from chapiteau.load.scenario.arrivals import share
from chapiteau.load.scenario.shape import Shape
from chapiteau.load.stats.totals import Totals

__all__ = ["LoadStep", "LocalWorkers", "error_from_report"]

_START_TIME: Final = 60.0  # seconds for imports and set-ups
_END_TIME: Final = 15.0  # seconds for tear-downs
_AHEAD: Final = 0.05  # seconds between the order and the common start
_CHANGE: Final = 0.25  # seconds between an order to change the shape and the change
_ERRORS: Final[dict[str, type[ChapiteauError]]] = {
    "TargetNotAllowedError": TargetNotAllowedError,
    "UsageError": UsageError,
    "InvalidInputError": UsageError,
    "ScenarioError": ScenarioError,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadStep:
    """A piece of load: a shape, the model it is meant in, and what happens at its end."""

    shape: Shape
    open: bool = True
    arrivals: str = "poisson"
    drain: float = 30.0  # seconds that sessions on their way may take at the end
    sessions: int | None = None  # closed model: stop after so many
    step: int = 0  # makes each step's chance its own


@dataclass(slots=True)
class _Member:
    """One process."""

    number: int
    process: subprocess.Popen[bytes]
    channel: socket.socket
    reader: LineReader = field(default_factory=lambda: LineReader(64 << 20))
    reports: "asyncio.Queue[dict[str, Any]]" = field(default_factory=asyncio.Queue)


class LocalWorkers:
    """Worker processes that begin every step at the same instant. Use it with `async with`.

    A team may be a part of a larger one, spread over machines: its workers are then those from
    `first` on of `total`.
    """

    def __init__(
        self, plan: dict[str, Any], workers: int, *, first: int = 0, total: int | None = None
    ) -> None:
        self._plan = plan
        self._workers = workers
        self._first = first
        self._total = workers if total is None else total
        self._members: list[_Member] = []
        self._stopping = False
        self._turn = 0  # counts the steps: an order to stop is meant for one of them
        self.shared: Any = None
        self.refused: list[str] = []  # why the file itself calls the run a failure
        self.problems: list[str] = []  # what went wrong after the load
        self.lost: dict[str, str] = {}  # a team on one machine loses nobody: it fails whole
        self.lost_at: dict[str, float] = {}
        self.gone = False
        self.zero = 0.0  # when the step at hand began, by this machine's monotonic clock
        self.ahead = _CHANGE

    async def __aenter__(self) -> Self:
        try:
            await self.set_up()
            await self.prepare(self.shared)
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.close()

    @property
    def pids(self) -> list[int]:
        """The processes' ids."""
        return [member.process.pid for member in self._members]

    # ── steps ─────────────────────────────────────────────────────────────────────────────────
    async def run(
        self,
        order: LoadStep,
        totals: Totals,
        on_second: Callable[[int, Totals], bool] | None = None,
        zero: float | None = None,
    ) -> float:
        """Carry out an order, adding to `totals`; the seconds that it took.

        `on_second(second, totals)` is called when all workers have reported a second; true ends
        the step. `zero`: when it begins, by this machine's monotonic clock; at once by default.
        """
        self._stopping = False
        self._turn += 1
        zero = self.zero = time.monotonic() + _AHEAD if zero is None else zero
        for member in self._members:
            self._tell(member, self._go(order, zero, member.number))
        seen: dict[int, int] = {}
        left = set(range(self._workers))
        try:
            async with asyncio.TaskGroup() as group:
                for member in self._members:
                    group.create_task(self._collect(member, totals, seen, left, on_second))
        except BaseExceptionGroup as several:
            # Every worker meets the same broken scenario: one of them says it.
            raise several.exceptions[0] from None
        return time.monotonic() - zero

    def _go(self, order: LoadStep, zero: float, number: int) -> dict[str, Any]:
        part, parts, sessions = self._first + number, self._total, order.sessions
        if sessions is not None:
            sessions = share(sessions, part, parts)
        return {
            "do": "go",
            "turn": self._turn,
            "zero": zero,
            "model": "open" if order.open else "closed",
            "shape": order.shape.to_list(),
            "part": part,
            "parts": parts,
            "arrivals": order.arrivals,
            "drain": order.drain,
            "sessions": sessions,
            "step": order.step,
        }

    async def _collect(
        self,
        member: _Member,
        totals: Totals,
        seen: dict[int, int],
        left: set[int],
        on_second: Callable[[int, Totals], bool] | None,
    ) -> None:
        while True:
            report = await self._next(member)
            totals.add(report)
            if report["is"] == "over":
                left.discard(member.number)
                return
            second = report["second"]
            seen[second] = seen.get(second, 0) + 1
            if seen[second] >= len(left) and on_second is not None and on_second(second, totals):
                self.stop()

    def stop(self) -> None:
        """End the step at hand; `run` then returns soon."""
        if not self._stopping:
            self._stopping = True
            for member in self._members:
                self._tell(member, {"do": "stop", "turn": self._turn})

    def reshape(self, shape: Shape) -> None:
        """Go on along this shape, which is as the step's was until `ahead` seconds from now."""
        for member in self._members:
            self._tell(member, {"do": "shape", "turn": self._turn, "shape": shape.to_list()})

    # ── members ───────────────────────────────────────────────────────────────────────────────
    def _start(self, number: int) -> _Member:
        ours, theirs = socket.socketpair()
        with theirs:
            process = subprocess.Popen(
                [sys.executable, "-m", "chapiteau.load.workers.worker", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
            )
        ours.setblocking(False)
        member = _Member(number, process, ours)
        asyncio.get_running_loop().add_reader(ours, self._arrived, member)
        return member

    def _arrived(self, member: _Member) -> None:
        try:
            data = member.channel.recv(1 << 20)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            asyncio.get_running_loop().remove_reader(member.channel)
            member.reports.put_nowait({"is": "lost"})
            return
        for report in member.reader.feed(data):
            member.reports.put_nowait(report)

    async def _next(self, member: _Member) -> dict[str, Any]:
        report = await member.reports.get()
        if report["is"] == "lost":
            member.reports.put_nowait(report)  # whoever asks again must not wait for the dead
            code = member.process.poll()
            raise WorkerLostError(
                f"load process {member.number + 1} of {self._workers} ended by itself"
                + ("" if code is None else f" with {code}"),
                hint="its messages stand above; out of memory, or killed?",
            )
        if report["is"] == "broken":
            raise error_from_report(report)
        return report

    def _tell(self, member: _Member, order: dict[str, Any]) -> None:
        with contextlib.suppress(OSError):
            member.channel.setblocking(True)
            member.channel.sendall(encode_line(order))
            member.channel.setblocking(False)

    async def set_up(self) -> None:
        """Start the processes and read the scenario in each; `shared` is what the run's set-up
        made, where this team has the first worker of all."""
        self._members = [self._start(number) for number in range(self._workers)]
        for member in self._members:
            number = self._first + member.number
            plan = {**self._plan, "worker": number, "workers": self._total}
            self._tell(member, {"do": "setup", "plan": plan})
        first, *_others = await self._everybody()
        self.shared = first["shared"]

    async def prepare(self, shared: Any) -> None:
        """Give every worker what the run's set-up made, and let it make itself ready."""
        for member in self._members:
            self._tell(member, {"do": "prepare", "shared": shared})
        await self._everybody()

    async def _everybody(self) -> list[dict[str, Any]]:
        try:
            async with asyncio.timeout(_START_TIME):
                return [await self._next(member) for member in self._members]
        except TimeoutError:
            raise ScenarioError(
                f"the load processes were not ready within {_START_TIME:.0f} s",
                hint="what does the scenario do when it is imported, or in its set-up?",
            ) from None

    async def close(self) -> None:
        """Tear down and end every process; kill what doesn't end."""
        loop = asyncio.get_running_loop()
        # The first one tears the run down, after everything that belongs to the others.
        await self._end(self._members[1:])
        await self._end(self._members[:1])
        for member in self._members:
            loop.remove_reader(member.channel)
            member.channel.close()
            try:
                await asyncio.to_thread(member.process.wait, 5)
            except subprocess.TimeoutExpired:
                member.process.kill()
                await asyncio.to_thread(member.process.wait)
        self._members = []

    def kill(self) -> None:
        """End every process at once, whatever it does: a scenario may hold its loop for ever."""
        for member in self._members:
            member.process.kill()

    async def _end(self, members: list[_Member]) -> None:
        """Let these tear down; what goes wrong is kept for the report."""
        for member in members:
            self._tell(member, {"do": "end"})
        for member in members:
            try:
                async with asyncio.timeout(_END_TIME):
                    while (last := await self._next(member))["is"] != "bye":
                        pass
                self.refused += [w for w in last.get("refused", ()) if w not in self.refused]
                for what in last.get("problems", ()):
                    self._regret(what)
            except TimeoutError:
                self._regret(f"a load process took more than {_END_TIME:.0f} s to tear down")
            except ChapiteauError as exc:
                self._regret(exc.what)

    def _regret(self, what: str) -> None:
        if what not in self.problems:
            self.problems.append(what)


def error_from_report(report: dict[str, Any]) -> ChapiteauError:
    """The error that a worker met, as one of ours."""
    return _ERRORS.get(report["kind"], ScenarioError)(report["what"], hint=report["hint"])
