"""The load processes of this machine: start them, give orders, collect, stop."""

import asyncio
import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NoReturn, Self

from chapiteau.core.errors import ChapiteauError
from chapiteau.io.json_lines import LineReader
from chapiteau.load.errors import ScenarioError, WorkerLostError
from chapiteau.load.scenario.shape import Shape
from chapiteau.load.workers.messages import (
    End,
    Go,
    LoadStep,
    Lost,
    Order,
    Prepare,
    Ready,
    Report,
    Reshape,
    Setup,
    Shared,
    Stop,
    encode_message,
    report_reader,
)
from chapiteau.load.workers.plan import Plan
from chapiteau.load.workers.worker_group import S, WorkerGroup

__all__ = ["LocalWorkers"]

_START_TIME: Final = 60.0  # seconds for imports and set-ups
_END_TIME: Final = 15.0  # seconds for tear-downs
_AHEAD: Final = 0.05  # seconds between the order and the common start
_CHANGE: Final = 0.25  # seconds between an order to change the shape and the change


@dataclass(frozen=True, slots=True)
class _Member:
    """One process."""

    process: subprocess.Popen[bytes]
    channel: socket.socket
    reader: LineReader[Report]


class LocalWorkers(WorkerGroup):
    """Worker processes that begin every step at the same instant. Use it with `async with`.

    They may be a part of more, on several machines: those from `first` on of `total`. With
    `coordinated`, the run's own set-up and tear-down happen elsewhere.
    """

    def __init__(
        self,
        plan: Plan,
        workers: int,
        *,
        first: int = 0,
        total: int | None = None,
        coordinated: bool = False,
    ) -> None:
        super().__init__()
        self._plan = plan
        self._workers = workers
        self._first = first
        self._total = workers if total is None else total
        self._coordinated = coordinated
        self._members: dict[str, _Member] = {}
        self._ended: set[str] = set()  # members whose process is gone
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
        return [member.process.pid for member in self._members.values()]

    # ── steps ─────────────────────────────────────────────────────────────────────────────────
    async def run(
        self,
        step: LoadStep,
        totals: S,
        on_second: Callable[[int, S], bool] | None = None,
        zero: float | None = None,
    ) -> float:
        """Carry out a step, adding to `totals`; the seconds that it took.

        `on_second(second, totals)` is called when all workers have reported a second; true ends
        the step. `zero`: when it begins, by this machine's monotonic clock; at once by default.
        """
        self._stopping = False
        self._turn += 1
        self.zero = time.monotonic() + _AHEAD if zero is None else zero
        self._tell_all(Go(self._turn, self.zero, step))
        for name in self._ended:
            self._lose(name, "")
        await self._collect(set(self._members), totals, on_second)
        return time.monotonic() - self.zero

    def reshape(self, shape: Shape) -> None:
        """Go on along this shape, which is as the step's was until `ahead` seconds from now."""
        self._tell_all(Reshape(self._turn, shape))

    def _send_stop(self) -> None:
        self._tell_all(Stop(self._turn))

    # ── members ───────────────────────────────────────────────────────────────────────────────
    def _start(self, name: str) -> _Member:
        ours, theirs = socket.socketpair()
        with theirs:
            process = subprocess.Popen(
                [sys.executable, "-m", "chapiteau.load.workers.worker", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
            )
        ours.setblocking(False)
        member = _Member(process, ours, report_reader())
        asyncio.get_running_loop().add_reader(ours, self._arrived, name, member)
        return member

    def _arrived(self, name: str, member: _Member) -> None:
        try:
            data = member.channel.recv(1 << 20)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            asyncio.get_running_loop().remove_reader(member.channel)
            self._ended.add(name)
            self._reports.put_nowait((name, Lost("")))
            return
        for report in member.reader.feed(data):
            self._reports.put_nowait((name, report))

    def _lose(self, name: str, why: str) -> NoReturn:
        code = self._members[name].process.poll()
        raise WorkerLostError(
            f"{name} ended by itself" + ("" if code is None else f" with {code}"),
            hint="its messages stand above; out of memory, or killed?",
        )

    _lose_before = _lose

    def _not_ready(self, _missing: list[str], seconds: float) -> ChapiteauError:
        return ScenarioError(
            f"the load processes were not ready within {seconds:.0f} s",
            hint="what does the scenario do when it is imported, or in its set-up?",
        )

    def _tell_all(self, order: Order) -> None:
        for member in self._members.values():
            self._tell(member, order)

    def _tell(self, member: _Member, order: Order) -> None:
        with contextlib.suppress(OSError):
            member.channel.setblocking(True)
            member.channel.sendall(encode_message(order))
            member.channel.setblocking(False)

    async def set_up(self) -> None:
        """Start the processes and read the scenario in each; `shared` is what the run's set-up
        returned, where the first worker of all is here."""
        names = [f"load process {n} of {self._workers}" for n in range(1, self._workers + 1)]
        self._members = {name: self._start(name) for name in names}
        for number, member in enumerate(self._members.values(), self._first):
            order = Setup(
                plan=self._plan, first=number, total=self._total, coordinated=self._coordinated
            )
            self._tell(member, order)
        answers = await self._answers(Shared, names, _START_TIME)
        self.shared = answers[names[0]].shared

    async def prepare(self, shared: Any) -> None:
        """Give every worker what the run's set-up returned, and let it make itself ready."""
        self._tell_all(Prepare(shared))
        await self._answers(Ready, self._members, _START_TIME)

    async def close(self) -> None:
        """Tear down and end every process; kill what doesn't end."""
        loop = asyncio.get_running_loop()
        # The first one tears the run down, after everything that belongs to the others.
        names = list(self._members)
        await self._end(names[1:])
        await self._end(names[:1])
        for member in self._members.values():
            loop.remove_reader(member.channel)
            member.channel.close()
            try:
                await asyncio.to_thread(member.process.wait, 5)
            except subprocess.TimeoutExpired:
                member.process.kill()
                await asyncio.to_thread(member.process.wait)
        self._members = {}

    def kill(self) -> None:
        """End every process at once, whatever it does: a scenario may hold its loop for ever."""
        for member in self._members.values():
            member.process.kill()

    async def _end(self, names: Sequence[str]) -> None:
        for name in names:
            self._tell(self._members[name], End(leave=True))
        for name in self._ended.intersection(names):
            self._note_lost(name, "")
        await self._goodbyes([name for name in names if name not in self._ended], _END_TIME)

    # ── what went wrong at the end ────────────────────────────────────────────────────────────
    def _note_lost(self, name: str, _why: str) -> None:
        try:
            self._lose(name, "")
        except WorkerLostError as exc:
            self._note_problem(name, exc.what)

    def _note_problem(self, _name: str, what: str) -> None:
        if what not in self.problems:
            self.problems.append(what)

    def _note_slow(self, name: str, seconds: float) -> None:
        what = f"a load process took more than {seconds:.0f} s to tear down"
        self._note_problem(name, what)
