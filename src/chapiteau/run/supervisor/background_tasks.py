"""What goes on beside a service while it is known: schedule, file watch, scaling, age, on demand.

Each is one task per service; a changed configuration ends them and begins them anew.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from chapiteau.core.clock import Clock
from chapiteau.run.config.cron import parse_schedule
from chapiteau.run.config.hook_rules import hook_at
from chapiteau.run.config.spec import Scaling
from chapiteau.run.process.process import Process
from chapiteau.run.supervisor.reuseport import ReusePortSockets
from chapiteau.run.supervisor.service_controller import ServiceController
from chapiteau.run.system.file_watch import Snapshot, changed_files, take_snapshot
from chapiteau.run.system.sockets import ArrivalMonitor, connections_to
from chapiteau.run.system.usage import Meter

__all__ = ["BackgroundTasks", "LoadTrend", "ServiceContext", "scaling_step"]


# One process more, one fewer, or as it is.


@dataclass(frozen=True, slots=True)
class LoadTrend:
    """Since when the load has been beyond a bound without a break."""

    above_since: float | None = None
    below_since: float | None = None


def scaling_step(
    rule: Scaling, trend: LoadTrend, now: float, processes: int, load: float
) -> tuple[LoadTrend, int]:
    """The new trend and +1, 0 or -1.

    A change needs the load beyond a bound for the whole of `hold`, and begins the wait anew.
    Fewer only when the others could carry the load without going above `high`: else it would
    come back at once.
    """
    if processes < rule.min:
        return LoadTrend(), 1
    if processes > rule.max:
        return LoadTrend(), -1
    above = (
        (trend.above_since if trend.above_since is not None else now) if load > rule.high else None
    )
    below = (
        (trend.below_since if trend.below_since is not None else now) if load < rule.low else None
    )
    if above is not None and now - above >= rule.hold and processes < rule.max:
        return LoadTrend(), 1
    fits = processes > rule.min and load * processes / max(1, processes - 1) < rule.high
    if below is not None and now - below >= rule.hold and fits:
        return LoadTrend(), -1
    return LoadTrend(above, below), 0


_LOOK = 1.0  # seconds between two looks at load, memory and age
_GLANCE = 0.25  # seconds between two looks at files


class ServiceContext(Protocol):
    """What these tasks need of the supervisor."""

    clock: Clock
    bound: dict[str, socket.socket]
    next_runs: dict[str, float]
    per_process: ReusePortSockets

    async def do(
        self, verb: str, runner: ServiceController, options: dict[str, Any], who: str
    ) -> None:
        """A command as anybody could give it: queued, and told in the events."""
        ...

    def folder_of(self, runner: ServiceController) -> Path:
        """The service's working directory."""
        ...

    async def extended(self, runner: ServiceController, instance: Process) -> dict[str, Any]:
        """What its hook `extended_stats` says of a process. Raises ValueError."""
        ...


class BackgroundTasks:
    """The tasks of one service."""

    def __init__(self, runner: ServiceController, around: ServiceContext) -> None:
        self._runner, self._around = runner, around
        self._meter = Meter(around.clock)
        self._tasks: list[asyncio.Task[None]] = []

    def begin(self) -> None:
        """Start those that the settings ask for."""
        spec = self._runner.spec
        wanted: list[Callable[[], Coroutine[Any, Any, None]]] = []
        if spec.schedule:
            wanted.append(self._schedule)
        if spec.watch is not None and spec.watch.paths:
            wanted.append(self._watch)
        if spec.on_demand:
            wanted.append(self._on_demand)
        if spec.scaling is not None:
            wanted.append(self._scale)
        if spec.max_age or spec.limits.memory_soft:
            wanted.append(self._renew)
        if "extended_stats" in spec.hooks:
            wanted.append(self._extend)
        self._tasks = [asyncio.ensure_future(work()) for work in wanted]
        for task in self._tasks:
            task.add_done_callback(_complain)

    def end(self) -> None:
        """Cancel them."""
        for task in self._tasks:
            task.cancel()
        self._tasks.clear()
        self._around.next_runs.pop(self._runner.name, None)

    # ── schedule ────────────────────────────────────────────────────────────────────────────
    async def _schedule(self) -> None:
        """Start the service at its times; `overlap` says what when it is still at it."""
        runner, clock = self._runner, self._around.clock
        rule = parse_schedule(runner.spec.schedule)
        while True:
            now = datetime.fromtimestamp(clock.wall(), UTC).astimezone()
            due = rule.next_after(now).timestamp()
            self._around.next_runs[runner.name] = due
            await self._moment(due)
            busy = any(True for _ in runner.instances())
            if busy and runner.spec.overlap == "skip":
                self._runner.ground.say(
                    "command.done", "skipped: the last run is still going",
                    service=runner.name, who="schedule", data={"verb": "start", "ok": False},
                )  # fmt: skip
                continue
            if busy and runner.spec.overlap == "kill":
                await self._around.do("stop", runner, {}, "schedule")
            elif busy:
                await runner.until(lambda: not any(True for _ in runner.instances()))
            runner.rest()
            runner.switch_on()  # not waited for: the next time may come before its end
            self._runner.ground.say("command.done", "start: it is time", service=runner.name,
                                    who="schedule", data={"verb": "start", "ok": True})  # fmt: skip

    async def _moment(self, due: float) -> None:
        """Until this moment of the wall clock, in short steps: it may be set while we sleep."""
        while True:
            left = due - self._around.clock.wall()
            if left <= 0:
                return
            await asyncio.sleep(min(left, 30.0))

    # ── files ───────────────────────────────────────────────────────────────────────────────
    async def _watch(self) -> None:
        """Reload when files have changed and then been quiet for `debounce`."""
        runner = self._runner
        rule = runner.spec.watch
        if rule is None:
            return
        roots = [self._around.folder_of(runner) / path for path in rule.paths]
        seen: Snapshot = await asyncio.to_thread(take_snapshot, roots, rule)
        while True:
            await asyncio.sleep(_GLANCE)
            found = await asyncio.to_thread(take_snapshot, roots, rule)
            if found == seen:
                continue
            changed = changed_files(seen, found)
            quiet = found
            while True:
                await asyncio.sleep(rule.debounce)
                found = await asyncio.to_thread(take_snapshot, roots, rule)
                if found == quiet:
                    break
                quiet = found
            seen = found
            if runner.on:
                await self._around.do(
                    "reload", runner, {}, f"file change: {', '.join(changed[:3])}"
                )

    # ── load ────────────────────────────────────────────────────────────────────────────────
    async def _scale(self) -> None:
        """One process more or fewer when the load stays beyond a bound."""
        runner = self._runner
        rule = runner.spec.scaling
        if rule is None:
            return
        trend = LoadTrend()
        while True:
            await asyncio.sleep(_LOOK)
            if not runner.on or runner.reload is not None or runner.lock.locked():
                continue
            now = self._around.clock.now()
            trend, change = scaling_step(rule, trend, now, runner.wanted, self._load())
            if change:
                options = {"processes": runner.wanted + change}
                await self._around.do("scale", runner, options, f"load ({rule.metric})")

    def _load(self) -> float:
        """CPU percent per process, or connections waiting per process."""
        runner = self._runner
        instances = [i for i in runner.instances() if i.alive]
        if runner.spec.scaling is not None and runner.spec.scaling.metric == "queue":
            return float(sum(map(self._around.per_process.queued, runner.spec.sockets)))
        now = self._around.clock.now()
        used = [self._meter.look(i.pid, now - i.began).cpu_percent for i in instances]
        return sum(used) / len(used) if used else 0.0

    # ── age and memory ──────────────────────────────────────────────────────────────────────
    async def _renew(self) -> None:
        """Replace, one at a time, a process that is too old or uses too much memory."""
        runner, clock = self._runner, self._around.clock
        spec = runner.spec
        lives: dict[str, float] = {}  # each process's own allowed age, drawn once
        while True:
            await asyncio.sleep(_LOOK)
            for slot in list(runner.slots.values()):
                instance = slot.instance
                if instance is None or not instance.ready or runner.reload is not None:
                    continue
                if instance.key not in lives:
                    spread = runner.ground.chance.uniform(0, spec.max_age_spread)
                    lives[instance.key] = spec.max_age + spread
                age = clock.now() - instance.began
                rss = self._meter.look(instance.pid, age).rss_bytes
                if spec.max_age and age >= lives[instance.key]:
                    why = f"older than {lives[instance.key]:.0f} s"
                elif spec.limits.memory_soft and rss > spec.limits.memory_soft:
                    why = f"uses {rss >> 20} MiB, more than {spec.limits.memory_soft >> 20}"
                else:
                    continue
                options = {"process": slot.number}
                await self._around.do("renew", runner, options, f"policy: {why}")
            alive = {i.key for i in runner.instances()}
            lives = {key: life for key, life in lives.items() if key in alive}

    # ── extended stats ──────────────────────────────────────────────────────────────────────
    async def _extend(self) -> None:
        """Ask the owner's command about each process; a new complaint is told, an old one not."""
        runner, told = self._runner, ""
        hook = hook_at(runner.spec, "extended_stats")
        while hook is not None:
            why = ""
            asked = [i for i in runner.instances() if i.ready]
            for instance in asked:
                try:
                    instance.extra = await self._around.extended(runner, instance)
                except ValueError as exc:
                    why, instance.extra = str(exc), {}
            if why and why != told:
                data = {"hook": "extended_stats", "why": why, "outcome": "ignore"}
                text = f"extended_stats: {why}"
                runner.ground.say("hook.failed", text, service=runner.name, data=data)
            told = why
            await asyncio.sleep(hook.interval if asked else min(hook.interval, _LOOK))

    # ── on demand ───────────────────────────────────────────────────────────────────────────
    async def _on_demand(self) -> None:
        """Start at the first connection to one of its own sockets; stop when nobody came."""
        runner = self._runner
        while True:
            if not runner.on:
                await self._first_connection()
                await self._around.do("start", runner, {}, "first connection")
            await self._idle()
            if runner.on:
                await self._around.do("stop", runner, {}, "idle")

    async def _first_connection(self) -> None:
        loop = asyncio.get_running_loop()
        came = asyncio.Event()
        watched = [one.dup() for one in self._bound()]
        for one in watched:
            loop.add_reader(one, came.set)
        try:
            await came.wait()
        finally:
            for one in watched:
                loop.remove_reader(one)
                one.close()

    async def _idle(self) -> None:
        """Until there was no connection for `idle_stop`; for ever when that is 0."""
        runner, clock = self._runner, self._around.clock
        with ArrivalMonitor(self._bound() if runner.spec.idle_stop else []) as arrivals:
            since = clock.now()
            while runner.on:
                await asyncio.sleep(_LOOK)
                bound = self._bound()
                came = arrivals.some() or any(connections_to(one) for one in bound)
                if came or not runner.spec.idle_stop:
                    since = clock.now()
                elif clock.now() - since >= runner.spec.idle_stop:
                    return

    def _bound(self) -> list[socket.socket]:
        """Its sockets, wherever it is given them."""
        spec, bound = self._runner.spec, self._around.bound
        return [bound[name] for name in (*spec.sockets, spec.stdin_socket) if name in bound]


def _complain(task: "asyncio.Task[None]") -> None:
    with contextlib.suppress(asyncio.CancelledError):
        if (error := task.exception()) is not None:
            loop = asyncio.get_running_loop()
            loop.call_exception_handler({"message": "beside a service", "exception": error})
