"""A team that is spread over machines: the same orders and counts as for one machine's team."""

import asyncio
import base64
import contextlib
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Final, Literal, Self

from chapiteau.core.errors import ChapiteauError
from chapiteau.load.cluster.cluster_backend import (
    ClockOffset,
    ClockProbe,
    ClusterBackend,
    estimate_offset,
)
from chapiteau.load.cluster.count_frames import Opener
from chapiteau.load.cluster.shipping import pack_scenario
from chapiteau.load.errors import HostLostError, ScenarioError
from chapiteau.load.scenario.shape import Shape
from chapiteau.load.stats.totals import Totals
from chapiteau.load.workers.local_workers import LoadStep, LocalWorkers, error_from_report

__all__ = ["DistributedWorkers", "OnLoss"]

OnLoss = Literal["stop", "continue"]
_AHEAD: Final = 2.0  # seconds between the orders and the common start, or a change of shape
_PROBES: Final = 5  # questions for the time, of which the fastest answer counts
_DRIFT: Final = 30.0  # seconds after which clocks are compared again: they drift apart
_LATE: Final = 0.01  # seconds of a late or unsure start that are worth a word
_READY: Final = 90.0  # seconds for hosts to come up, and for set-ups
_ALIVE: Final = 3.0  # seconds between two words to each relay
_SILENT: Final = 10.0  # seconds after which a host that reports every second is lost
_GOODBYE: Final = 40.0  # seconds for tear-downs
_SLACK: Final = 20.0  # seconds beyond the plan that a host may take to say that it is over


@dataclass(slots=True)
class _Host:
    name: str
    cores: int = 1
    processes: int = 1
    first: int = 0
    clock: ClockOffset = ClockOffset(0.0, 0.0)  # noqa: RUF009 — frozen


class DistributedWorkers:
    """One relay on each host. Use it with `async with`; `stop` and `run` are as in Team.

    The run's own set-up and tear-down happen here, once, whoever is lost; so does all judging.
    """

    def __init__(
        self, cluster: ClusterBackend, plan: dict[str, Any], *, processes: int, on_loss: OnLoss
    ) -> None:
        self._cluster = cluster
        self._plan = plan
        self._processes = processes  # on each host; 0: one for each core
        self._on_loss = on_loss
        self._hosts: dict[str, _Host] = {}
        self._conductor: LocalWorkers | None = None
        self._reports: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = False
        self._prepared = False
        self._turn = 0  # counts the steps: an order to stop is meant for one of them
        self._openers: dict[str, Opener] = {}  # host → what its counts come in
        self._heard: dict[str, float] = {}  # host → when it last said something
        self.zero = 0.0  # when the step begins, by this machine's monotonic clock
        self.ahead = _AHEAD
        self._compared = float("-inf")  # when the clocks were
        self.shared: Any = None
        self.lost: dict[str, str] = {}  # host → why
        self.lost_at: dict[str, float] = {}  # host → seconds into the step
        self.refused: list[str] = []  # why the file itself calls the run a failure
        self.problems: list[str] = []  # what is to be known of the machines, and went wrong there

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
        self._hosts = {name: _Host(name) for name in names}
        self._openers = {name: Opener() for name in names}
        self._tasks.append(asyncio.create_task(self._listen()))
        self._tasks.append(asyncio.create_task(self._keep_alive()))
        own = version("chapiteau")
        for report in await self._ask_all({"do": "hello"}, "hello"):
            host = self._hosts[report["host"]]
            if report["version"] != own:
                raise ChapiteauError(
                    f"{host.name} has Chapiteau {report['version']}, this machine {own}",
                    hint="counts of two versions don't add up: install the same one there",
                )
            host.cores = report["cores"]
        first = 0
        for host in self._hosts.values():
            host.processes = self._processes or host.cores
            host.first, first = first, first + host.processes

    async def _set_up(self) -> None:
        total = sum(h.processes for h in self._hosts.values())
        self._conductor = LocalWorkers(self._plan, 1, total=total)
        await self._conductor.set_up()
        self.shared = self._conductor.shared
        plan = {**pack_scenario(self._plan), "conducted": True}
        await self._tell_all(
            {
                name: {
                    "do": "setup",
                    "plan": plan,
                    "processes": host.processes,
                    "first": host.first,
                    "total": total,
                }
                for name, host in self._hosts.items()
            }
        )
        await self._answers("shared")
        await self._ask_all({"do": "prepare", "shared": self.shared}, "ready")
        self._prepared = True

    async def _compare_clocks(self) -> None:
        """Ask everybody for the time, five times; who doesn't answer keeps what is known of it."""
        probes: dict[str, list[ClockProbe]] = {name: [] for name in self._left()}
        sent: dict[str, float] = {}

        async def ask(name: str, number: int) -> None:
            sent[name] = time.monotonic()
            await self._cluster.launch(name, {"do": "clock", "number": number})

        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_SILENT):
                for number in range(_PROBES):
                    await asyncio.gather(*(ask(name, number) for name in self._left()))
                    waiting = self._left()
                    while waiting:
                        report = await self._reports.get()
                        if report["is"] == "lost":
                            self._lose(report, 0.0)
                            waiting.discard(report["host"])
                        elif report["is"] == "clock" and report["number"] == number:
                            name = report["host"]
                            probes[name].append(
                                ClockProbe(sent[name], report["now"], report["_at"])
                            )
                            waiting.discard(name)
        for name, found in probes.items():
            if found:
                self._hosts[name].clock = estimate_offset(found)
        self._compared = time.monotonic()

    # ── steps ─────────────────────────────────────────────────────────────────────────────────
    async def run(
        self,
        order: LoadStep,
        totals: Totals,
        on_second: Callable[[int, Totals], bool] | None = None,
    ) -> float:
        """Carry out an order on all hosts, from the same instant on; the seconds that it took.

        A host that is lost is noted in `lost`; with `on_loss` "stop" that ends the step. Its share
        of the load is never moved to the others: that would be another test.
        """
        self._stopping = False
        self._turn += 1
        if time.monotonic() - self._compared > _DRIFT:
            await self._compare_clocks()
        if self.gone:
            return 0.0
        zero = self.zero = time.monotonic() + _AHEAD
        until = zero + order.shape.seconds + order.drain + _SLACK
        left = self._left()
        watched = [name for name in totals.series if name]
        orders = {name: self._go(order, self._hosts[name], zero, until) for name in left}
        await self._tell_all({n: {**told, "watched": watched} for n, told in orders.items()})
        if self._stopping:  # while the clocks were compared, or the orders went out
            await self._cluster.stop(self._turn)
        seen: Counter[int] = Counter()
        while left:
            report = await self._within(until, left)
            if "parcel" in report:
                self._open(report, totals)
            if report["is"] == "lost":
                left.discard(report["host"])
                self._lose_at_work(report)
            elif report["is"] == "over":
                left.discard(report["host"])
                self._note_late(report)
            elif report["is"] == "second":
                second = report["second"]
                seen[second] += 1
                whole = seen[second] >= len(left)
                if whole and on_second is not None and on_second(second, totals):
                    self.stop()
        return time.monotonic() - zero

    def _go(self, order: LoadStep, host: _Host, zero: float, until: float) -> dict[str, Any]:
        return {
            "do": "go",
            "turn": self._turn,
            "zero": zero + host.clock.value,
            "until": until + host.clock.value,  # the relay ends by itself then
            "shape": order.shape.to_list(),
            "open": order.open,
            "arrivals": order.arrivals,
            "drain": order.drain,
            "sessions": order.sessions,
            "step": order.step,
        }

    def _open(self, report: dict[str, Any], totals: Totals) -> None:
        """Add what a parcel brings."""
        host = report["host"]
        try:
            self._openers[host].add(base64.b64decode(report["parcel"]), totals)
        except ValueError as exc:
            why = f"its counts can't be read ({exc})"
            self._reports.put_nowait({"is": "lost", "host": host, "why": why})

    def stop(self) -> None:
        """End the step at hand; `run` then returns soon."""
        if not self._stopping:
            self._stopping = True
            self._tasks.append(asyncio.create_task(self._cluster.stop(self._turn)))

    def reshape(self, shape: Shape) -> None:
        """Go on along this shape, which is as the step's was until `ahead` seconds from now."""
        order = {"do": "shape", "turn": self._turn, "shape": shape.to_list()}
        orders = dict.fromkeys(self._left(), order)
        self._tasks.append(asyncio.create_task(self._tell_all(orders)))

    def _left(self) -> set[str]:
        return set(self._hosts) - set(self.lost)

    def _lose(self, report: dict[str, Any], at: float) -> None:
        self.lost.setdefault(report["host"], report["why"])
        self.lost_at.setdefault(report["host"], round(at, 1))

    def _lose_at_work(self, report: dict[str, Any]) -> None:
        self._lose(report, max(0.0, time.monotonic() - self.zero))
        if self._on_loss == "stop":
            self.stop()

    def _note_late(self, report: dict[str, Any]) -> None:
        if report["late"] > _LATE:
            what = f"{report['host']} began {report['late'] * 1000:.0f} ms late: its order was"
            self.problems.append(f"{what} that long on its way")

    # ── talking ───────────────────────────────────────────────────────────────────────────────
    async def _listen(self) -> None:
        async for report in self._cluster.events():
            report["_at"] = self._heard[report["host"]] = time.monotonic()
            self._reports.put_nowait(report)

    async def _keep_alive(self) -> None:
        while True:
            await asyncio.sleep(_ALIVE)
            await self._tell_all({name: {"do": "alive"} for name in self._left()})

    async def _tell_all(self, orders: dict[str, dict[str, Any]]) -> None:
        """At once: twenty hosts must not wait for each other's network."""
        await asyncio.gather(*(self._cluster.launch(n, order) for n, order in orders.items()))

    async def _ask_all(self, order: dict[str, Any], answer: str) -> list[dict[str, Any]]:
        await self._tell_all(dict.fromkeys(self._hosts, order))
        return await self._answers(answer)

    async def _answers(self, kind: str) -> list[dict[str, Any]]:
        """One report of this kind from each host, in the order of the hosts.

        Before the load begins, every host has to be there.
        """
        found: dict[str, dict[str, Any]] = {}
        try:
            async with asyncio.timeout(_READY):
                while len(found) < len(self._hosts):
                    report = await self._reports.get()
                    if report["is"] == "lost":
                        self._lose(report, 0.0)
                        raise HostLostError(f"{report['host']} can't be used: {report['why']}")
                    if report["is"] == "broken":
                        raise error_from_report(report)
                    if report["is"] == kind:
                        found[report["host"]] = report
        except TimeoutError:
            missing = ", ".join(name for name in self._hosts if name not in found)
            raise ScenarioError(
                f"not every host was ready within {_READY:.0f} s: {missing}",
                hint="is the machine busy with another test? What does the scenario do when it is "
                "imported, or in its set-up?",
            ) from None
        return [found[name] for name in self._hosts]

    async def _within(self, until: float, left: set[str]) -> dict[str, Any]:
        """The next report of the load; a host that has been silent for too long is lost."""
        while True:
            try:
                async with asyncio.timeout(1.0):
                    report = await self._reports.get()
            except TimeoutError:
                now = time.monotonic()
                for name in left:
                    silent = now - max(self._heard.get(name, 0.0), self.zero)
                    if silent > _SILENT or now > until:
                        return {"is": "lost", "host": name, "why": f"silent for {silent:.0f} s"}
                continue
            if report["is"] == "broken":
                self.stop()
                raise error_from_report(report)
            return report

    # ── ending ────────────────────────────────────────────────────────────────────────────────
    async def close(self) -> None:
        """Tear down everywhere, the run itself at the end; what goes wrong is kept."""
        if self._prepared:
            await self._part()
            if self.clock_error > _LATE:
                ms = self.clock_error * 1000
                self.problems.append(f"the machines' clocks are known to within {ms:.0f} ms only")
        for task in self._tasks:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._cluster.close()
        if self._conductor is not None:
            await self._conductor.close()
            self.refused += self._conductor.refused
            self.problems += self._conductor.problems
            self._conductor = None

    async def _part(self) -> None:
        """Let every host tear down, and hear what it has to say."""
        self._prepared = False
        waiting = self._left()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_GOODBYE):
                await self._tell_all({name: {"do": "end"} for name in waiting})
                while waiting:
                    report = await self._reports.get()
                    if report["is"] == "lost":
                        waiting.discard(report["host"])
                    elif report["is"] == "bye":
                        waiting.discard(report["host"])
                        self._take_leave(report)
        for name in sorted(waiting):
            self.problems.append(f"{name} took more than {_GOODBYE:.0f} s to tear down")

    def _take_leave(self, report: dict[str, Any]) -> None:
        self.refused += [why for why in report["refused"] if why not in self.refused]
        self.problems += [f"{report['host']}: {what}" for what in report["problems"]]
