"""Load from several machines: the same steps and counts as for the workers of one."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Final, Literal, Self

import msgspec

from chapiteau.core.errors import ChapiteauError
from chapiteau.load.cluster.cluster_backend import (
    ClockOffset,
    ClockProbe,
    ClusterBackend,
    estimate_offset,
)
from chapiteau.load.cluster.shipping import pack_scenario
from chapiteau.load.errors import HostLostError, ScenarioError
from chapiteau.load.scenario.shape import Shape
from chapiteau.load.workers.local_workers import LocalWorkers
from chapiteau.load.workers.messages import (
    Alive,
    ClockQuery,
    ClockReading,
    End,
    Go,
    Greeting,
    Hello,
    LoadStep,
    Lost,
    Order,
    Over,
    Prepare,
    Ready,
    Report,
    Reshape,
    Setup,
    Shared,
)
from chapiteau.load.workers.plan import Plan
from chapiteau.load.workers.worker_group import S, WorkerGroup

__all__ = ["DistributedWorkers", "OnLoss"]

OnLoss = Literal["stop", "continue"]
_AHEAD: Final = 2.0  # seconds between the orders and the common start, or a change of shape
_PROBES: Final = 5  # questions for the time, of which the fastest answer counts
_DRIFT: Final = 30.0  # seconds after which clocks are compared again: they drift apart
_LATE: Final = 0.01  # seconds of a late or unsure start that are worth a word
_READY: Final = 90.0  # seconds for hosts to come up, and for set-ups
_ALIVE: Final = 1.0  # seconds between two words to each relay, which answers them
_SILENT: Final = 4.0  # seconds after which a host that has said nothing is lost
_COMPARING: Final = 10.0  # seconds for all of the questions for the time
_GOODBYE: Final = 40.0  # seconds for tear-downs
_SLACK: Final = 20.0  # seconds beyond the plan that a host may take to say that it is over


@dataclass(frozen=True, slots=True)
class _Host:
    cores: int = 1
    processes: int = 1
    first: int = 0
    clock: ClockOffset = ClockOffset(0.0, 0.0)  # noqa: RUF009 — frozen


class DistributedWorkers(WorkerGroup):
    """One relay on each host. Use it with `async with`; `stop` and `run` are as in LocalWorkers.

    The run's own set-up and tear-down happen here, once, whoever is lost; so does all judging.
    """

    def __init__(
        self, cluster: ClusterBackend, plan: Plan, *, processes: int, on_loss: OnLoss
    ) -> None:
        super().__init__()
        self._cluster = cluster
        self._plan = plan
        self._processes = processes  # on each host; 0: one for each core
        self._on_loss = on_loss
        self._hosts: dict[str, _Host] = {}
        self._coordinator: LocalWorkers | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._prepared = False
        self._heard: dict[str, float] = {}  # host → when it last said something
        self._until = 0.0  # when the step must be over
        self._compared = float("-inf")  # when the clocks were
        self.ahead = _AHEAD

    async def __aenter__(self) -> Self:
        try:
            await self._gather()
            await self._set_up()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.close()

    @property
    def hosts(self) -> list[str]:
        """Who takes part."""
        return list(self._hosts)

    @property
    def clock_error(self) -> float:
        """Seconds by which the hosts' starts may differ from ours, at most."""
        return max((host.clock.error for host in self._hosts.values()), default=0.0)

    @property
    def gone(self) -> bool:
        """Whether hosts are lost, and the test with them."""
        return bool(self.lost) and (self._on_loss == "stop" or not self._left())

    # ── beginning ─────────────────────────────────────────────────────────────────────────────
    async def _gather(self) -> None:
        names = await self._cluster.hosts()
        self._hosts = {name: _Host() for name in names}
        self._tasks.append(asyncio.create_task(self._listen()))
        self._tasks.append(asyncio.create_task(self._keep_alive()))
        own = version("chapiteau")
        await self._tell_all(dict.fromkeys(names, Hello()))
        first = 0
        for name, greeting in (await self._answers(Greeting, names, _READY)).items():
            if greeting.version != own:
                raise ChapiteauError(
                    f"{name} has Chapiteau {greeting.version}, this machine {own}",
                    hint="counts of two versions don't add up: install the same one there",
                )
            processes = self._processes or greeting.cores
            self._hosts[name] = _Host(greeting.cores, processes, first)
            first += processes

    async def _set_up(self) -> None:
        total = sum(host.processes for host in self._hosts.values())
        self._coordinator = LocalWorkers(self._plan, 1, total=total)
        await self._coordinator.set_up()
        self.shared = self._coordinator.shared
        plan, files = pack_scenario(self._plan)
        await self._tell_all(
            {
                name: Setup(
                    plan=plan,
                    first=host.first,
                    total=total,
                    processes=host.processes,
                    coordinated=True,
                    files=files,
                )
                for name, host in self._hosts.items()
            }
        )
        await self._answers(Shared, self._hosts, _READY)
        await self._tell_all(dict.fromkeys(self._hosts, Prepare(self.shared)))
        await self._answers(Ready, self._hosts, _READY)
        self._prepared = True

    async def _compare_clocks(self) -> None:
        """Ask everybody for the time, five times; who doesn't answer keeps what is known of it."""
        probes: dict[str, list[ClockProbe]] = {name: [] for name in self._left()}
        sent: dict[str, float] = {}

        async def ask(name: str, number: int) -> None:
            sent[name] = time.monotonic()
            await self._cluster.launch(name, ClockQuery(number))

        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_COMPARING):
                for number in range(_PROBES):
                    await asyncio.gather(*(ask(name, number) for name in self._left()))
                    waiting = self._left()
                    while waiting:
                        name, report = await self._reports.get()
                        if isinstance(report, Lost):
                            self._record_loss(name, report.why, 0.0)
                        elif isinstance(report, ClockReading) and report.number == number:
                            probes[name].append(ClockProbe(sent[name], report.now, report.received))
                        else:
                            continue
                        waiting.discard(name)
        for name, found in probes.items():
            if found:
                self._hosts[name] = replace(self._hosts[name], clock=estimate_offset(found))
        self._compared = time.monotonic()

    # ── steps ─────────────────────────────────────────────────────────────────────────────────
    async def run(
        self, step: LoadStep, totals: S, on_second: Callable[[int, S], bool] | None = None
    ) -> float:
        """Carry out a step on all hosts, from the same instant on; the seconds that it took.

        A host that is lost is noted in `lost`; with `on_loss` "stop" that ends the step. Its share
        of the load is never moved to the others: that would be another test.
        """
        self._stopping = False
        self._turn += 1
        if time.monotonic() - self._compared > _DRIFT:
            await self._compare_clocks()
        if self.gone:
            return 0.0
        self.zero = time.monotonic() + _AHEAD
        self._until = self.zero + step.shape.seconds + step.drain + _SLACK
        left = self._left()
        orders: dict[str, Order] = {}
        for name in left:
            offset = self._hosts[name].clock.value
            orders[name] = Go(self._turn, self.zero + offset, step, self._until + offset)
        await self._tell_all(orders)
        if self._stopping:  # while the clocks were compared, or the orders went out
            await self._cluster.stop(self._turn)
        await self._collect(left, totals, on_second)
        return time.monotonic() - self.zero

    def reshape(self, shape: Shape) -> None:
        """Go on along this shape, which is as the step's was until `ahead` seconds from now."""
        orders = dict.fromkeys(self._left(), Reshape(self._turn, shape))
        self._tasks.append(asyncio.create_task(self._tell_all(orders)))

    def _send_stop(self) -> None:
        self._tasks.append(asyncio.create_task(self._cluster.stop(self._turn)))

    def _left(self) -> set[str]:
        return set(self._hosts) - set(self.lost)

    def _lose(self, name: str, why: str) -> None:
        self._record_loss(name, why, max(0.0, time.monotonic() - self.zero))
        if self._on_loss == "stop":
            self.stop()

    def _lose_before(self, name: str, why: str) -> None:
        self._record_loss(name, why, 0.0)
        raise HostLostError(f"{name} can't be used: {why}")

    def _record_loss(self, name: str, why: str, at: float) -> None:
        self.lost.setdefault(name, why)
        self.lost_at.setdefault(name, round(at, 1))
        total = sum(host.processes for host in self._hosts.values())
        self.lost_share.setdefault(name, self._hosts[name].processes / total)

    def _note_end(self, name: str, report: Over) -> None:
        if report.late > _LATE:
            what = f"{name} began {report.late * 1000:.0f} ms late: its order was"
            self.problems.append(f"{what} that long on its way")

    # ── messages ──────────────────────────────────────────────────────────────────────────────
    async def _listen(self) -> None:
        async for name, report in self._cluster.events():
            now = self._heard[name] = time.monotonic()
            timed = isinstance(report, ClockReading)
            stamped = msgspec.structs.replace(report, received=now) if timed else report
            self._reports.put_nowait((name, stamped))

    async def _keep_alive(self) -> None:
        """To each by itself: one that hangs must not keep the word from those that work, since
        they end their load without it."""
        async with asyncio.TaskGroup() as words:
            told: dict[str, asyncio.Task[None]] = {}
            while True:
                await asyncio.sleep(_ALIVE)
                for name in self._left():
                    if name not in told or told[name].done():
                        told[name] = words.create_task(self._cluster.launch(name, Alive()))

    async def _tell_all(self, orders: Mapping[str, Order]) -> None:
        """At once: twenty hosts must not wait for each other's network."""
        await asyncio.gather(*(self._cluster.launch(n, order) for n, order in orders.items()))

    def _not_ready(self, missing: list[str], seconds: float) -> ChapiteauError:
        return ScenarioError(
            f"not every host was ready within {seconds:.0f} s: {', '.join(missing)}",
            hint="is the machine busy with another test? What does the scenario do when it is "
            "imported, or in its set-up?",
        )

    async def _next(self, left: set[str]) -> tuple[str, Report]:
        """The next report of the load; a host that has been silent for too long is lost, however
        much the others have to say."""
        while True:
            now = time.monotonic()
            for name in left if self._reports.empty() else ():  # else it may have said something
                silent = now - max(self._heard.get(name, 0.0), self.zero)
                if silent > _SILENT or now > self._until:
                    return name, Lost(f"silent for {silent:.0f} s")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    return await self._reports.get()

    # ── ending ────────────────────────────────────────────────────────────────────────────────
    async def close(self) -> None:
        """Tear down everywhere, the run itself at the end; what goes wrong is kept."""
        if self._prepared:
            self._prepared = False
            left = self._left()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_GOODBYE):
                    await self._tell_all(dict.fromkeys(left, End()))
            await self._goodbyes(left, _GOODBYE)
            if self.clock_error > _LATE:
                ms = self.clock_error * 1000
                self.problems.append(f"the machines' clocks are known to within {ms:.0f} ms only")
        for task in self._tasks:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._cluster.close()
        if self._coordinator is not None:
            await self._coordinator.close()
            self.refused += [w for w in self._coordinator.refused if w not in self.refused]
            self.problems += self._coordinator.problems
            self._coordinator = None

    def _note_problem(self, name: str, what: str) -> None:
        self.problems.append(f"{name}: {what}")

    def _note_slow(self, name: str, seconds: float) -> None:
        self.problems.append(f"{name} took more than {seconds:.0f} s to tear down")
