"""A team that is spread over machines: the same orders and counts as for one machine's team."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Final, Literal, Self, TypeVar

from chapiteau.core.errors import ChapiteauError
from chapiteau.load.engine.cluster.port import Cluster
from chapiteau.load.engine.cluster.shipping import packed
from chapiteau.load.engine.team import Order, Sink, raised
from chapiteau.load.errors import HostLostError, ScenarioError
from chapiteau.load.logic.cluster.clocks import Offset, Probe, offset

__all__ = ["OnLoss", "Spread"]

OnLoss = Literal["stop", "continue"]
_S = TypeVar("_S", bound=Sink)
_AHEAD: Final = 2.0  # seconds between the orders and the common start
_PROBES: Final = 5  # questions for the time, of which the fastest answer counts
_READY: Final = 90.0  # seconds for hosts to come up, and for set-ups
_ALIVE: Final = 3.0  # seconds between two words to each relay
_SILENT: Final = 10.0  # seconds after which a host that reports every second is lost
_SLACK: Final = 20.0  # seconds beyond the plan that a host may take to say that it is over


@dataclass(slots=True)
class _Host:
    name: str
    cores: int = 1
    processes: int = 1
    first: int = 0
    clock: Offset = Offset(0.0, 0.0)  # noqa: RUF009 — frozen


class Spread:
    """One relay on each host. Use it with `async with`; `stop` and `run` are as in Team."""

    def __init__(
        self, cluster: Cluster, plan: dict[str, Any], *, processes: int, on_loss: OnLoss
    ) -> None:
        self._cluster = cluster
        self._plan = plan
        self._processes = processes  # on each host; 0: one for each core
        self._on_loss = on_loss
        self._hosts: dict[str, _Host] = {}
        self._reports: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = False
        self._heard: dict[str, float] = {}  # host → when it last said something
        self._zero = 0.0  # when the step begins
        self.shared: Any = None
        self.lost: dict[str, str] = {}  # host → why
        self.refused: list[str] = []  # as a Team's; hosts don't tell
        self.problems: list[str] = []

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

    # ── beginning ─────────────────────────────────────────────────────────────────────────────
    async def _gather(self) -> None:
        names = await self._cluster.hosts()
        self._hosts = {name: _Host(name) for name in names}
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
            host.clock = await self._clock(host)

    async def _clock(self, host: _Host) -> Offset:
        probes = []
        for number in range(_PROBES):
            sent = time.monotonic()
            await self._cluster.launch(host.name, {"do": "clock", "number": number})
            report = await self._report("clock")
            probes.append(Probe(sent, report["now"], report["_at"]))
        return offset(probes)

    async def _set_up(self) -> None:
        plan, total = packed(self._plan), sum(h.processes for h in self._hosts.values())
        for host in self._hosts.values():
            await self._cluster.launch(
                host.name,
                {
                    "do": "setup",
                    "plan": plan,
                    "processes": host.processes,
                    "first": host.first,
                    "total": total,
                },
            )
        made = {r["host"]: r["shared"] for r in await self._answers("shared")}
        self.shared = made[next(iter(self._hosts))]
        await self._ask_all({"do": "prepare", "shared": self.shared}, "ready")

    # ── steps ─────────────────────────────────────────────────────────────────────────────────
    async def run(
        self,
        order: Order,
        totals: _S,
        on_second: Callable[[int, _S], bool] | None = None,
    ) -> float:
        """Carry out an order on all hosts, from the same instant on; the seconds that it took.

        A host that is lost is noted in `lost`; with `on_loss` "stop" that ends the step. Its share
        of the load is never moved to the others: that would be another test.
        """
        self._stopping = False
        zero = self._zero = time.monotonic() + _AHEAD
        left = set(self._hosts) - set(self.lost)
        for name in left:
            host = self._hosts[name]
            await self._cluster.launch(name, self._go(order, zero + host.clock.value))
        seen: Counter[int] = Counter()
        until = zero + order.shape.seconds + order.drain + _SLACK
        while left:
            report = await self._within(until, left)
            if report["is"] == "lost":
                left.discard(report["host"])
                self.lost[report["host"]] = report["why"]
                if self._on_loss == "stop":
                    self.stop()
            elif report["is"] == "over":
                totals.add(report)
                left.discard(report["host"])
            elif report["is"] == "second":
                totals.add(report)
                second = report["second"]
                seen[second] += 1
                whole = seen[second] >= len(left)
                if whole and on_second is not None and on_second(second, totals):
                    self.stop()
        return time.monotonic() - zero

    def _go(self, order: Order, zero: float) -> dict[str, Any]:
        return {
            "do": "go",
            "zero": zero,
            "shape": order.shape.to_list(),
            "open": order.open,
            "arrivals": order.arrivals,
            "drain": order.drain,
            "sessions": order.sessions,
            "step": order.step,
        }

    def stop(self) -> None:
        """End the step at hand; `run` then returns soon."""
        if not self._stopping:
            self._stopping = True
            self._tasks.append(asyncio.create_task(self._cluster.stop()))

    # ── talking ───────────────────────────────────────────────────────────────────────────────
    async def _listen(self) -> None:
        async for report in self._cluster.events():
            report["_at"] = self._heard[report["host"]] = time.monotonic()
            self._reports.put_nowait(report)

    async def _keep_alive(self) -> None:
        while True:
            await asyncio.sleep(_ALIVE)
            for name in set(self._hosts) - set(self.lost):
                await self._cluster.launch(name, {"do": "alive"})

    async def _ask_all(self, order: dict[str, Any], answer: str) -> list[dict[str, Any]]:
        for name in self._hosts:
            await self._cluster.launch(name, order)
        return await self._answers(answer)

    async def _answers(self, kind: str) -> list[dict[str, Any]]:
        """One report of this kind from each host, in the order of the hosts."""
        found: dict[str, dict[str, Any]] = {}
        while len(found) < len(self._hosts):
            report = await self._report(kind)
            found[report["host"]] = report
        return [found[name] for name in self._hosts]

    async def _report(self, kind: str) -> dict[str, Any]:
        """The next report of this kind; before the load begins, every host has to be there."""
        try:
            async with asyncio.timeout(_READY):
                while True:
                    report = await self._reports.get()
                    if report["is"] == "lost":
                        self.lost[report["host"]] = report["why"]
                        raise HostLostError(f"{report['host']} can't be used: {report['why']}")
                    if report["is"] == "broken":
                        raise raised(report)
                    if report["is"] == kind:
                        return report
        except TimeoutError:
            raise ScenarioError(
                f"not every host was ready within {_READY:.0f} s",
                hint="what does the scenario do when it is imported, or in its set-up?",
            ) from None

    async def _within(self, until: float, left: set[str]) -> dict[str, Any]:
        """The next report of the load; a host that has been silent for too long is lost."""
        while True:
            try:
                async with asyncio.timeout(1.0):
                    report = await self._reports.get()
            except TimeoutError:
                now = time.monotonic()
                for name in left:
                    silent = now - max(self._heard.get(name, 0.0), self._zero)
                    if silent > _SILENT or now > until:
                        return {"is": "lost", "host": name, "why": f"silent for {silent:.0f} s"}
                continue
            if report["is"] == "broken":
                self.stop()
                raise raised(report)
            return report

    async def close(self) -> None:
        """Tear down everywhere."""
        for task in self._tasks:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._cluster.close()
