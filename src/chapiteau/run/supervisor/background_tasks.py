"""What runs in the background of a service: schedule, file watch, scaling, age, on demand.

Each is one task; a changed configuration ends them and begins them anew.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Final

from chapiteau.run.config.cron import next_run, parse_schedule
from chapiteau.run.config.hook_rules import hook_at
from chapiteau.run.config.spec import Scaling
from chapiteau.run.logs.messages import Outcome
from chapiteau.run.process.host import ProcessHost
from chapiteau.run.process.sockets import Sockets
from chapiteau.run.supervisor.service_controller import ServiceController
from chapiteau.run.system.file_watch import Snapshot, changed_files, take_snapshot
from chapiteau.run.system.sockets import ArrivalMonitor, connections_to
from chapiteau.run.system.usage import Meter

__all__ = ["BackgroundTasks", "LoadTrend", "scaling_step"]

_INTERVAL: Final = 1.0  # seconds between two looks at load, memory and age
_WATCH_INTERVAL: Final = 0.25  # … at files
_MAX_SLEEP: Final = 30.0  # seconds: the wall clock may be set while we sleep
RunCommand = Callable[[str, ServiceController, Mapping[str, Any], str], Awaitable[Outcome]]


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


class BackgroundTasks:
    """Those that the settings of a service ask for."""

    def __init__(
        self,
        service: ServiceController,
        host: ProcessHost,
        sockets: Sockets,
        run_command: RunCommand,
    ) -> None:
        self.next_run = 0.0  # of its schedule, seconds since 1970
        self._service, self._host, self._sockets = service, host, sockets
        self._run_command = run_command
        self._meter = Meter(host.clock)
        spec = service.spec
        wanted: list[tuple[object, Callable[[], Coroutine[Any, Any, None]]]] = [
            (spec.schedule, self._schedule),
            (spec.watch is not None and spec.watch.paths, self._watch),
            (spec.on_demand, self._on_demand),
            (spec.scaling, self._scale),
            (spec.max_age or spec.limits.memory_soft, self._renew),
            ("extended_stats" in spec.hooks, self._extend),
        ]
        self._tasks = [host.run(work()) for given, work in wanted if given]

    def end(self) -> None:
        """Cancel them."""
        for task in self._tasks:
            task.cancel()

    async def _run(self, verb: str, actor: str, **options: Any) -> None:
        await self._run_command(verb, self._service, options, actor)

    # ── schedule ────────────────────────────────────────────────────────────────────────────
    async def _schedule(self) -> None:
        """Start the service at its times; `overlap` says what when it is still at it."""
        service, clock = self._service, self._host.clock
        rule = parse_schedule(service.spec.schedule)
        while True:
            self.next_run = due = next_run(rule, clock.wall())
            await self._sleep_until(due)
            busy = any(service.processes())
            if busy and service.spec.overlap == "skip":
                self._host.emit(
                    "command.done", "skipped: the last run is still going",
                    service=service.name, who="schedule", data={"verb": "start", "ok": False},
                )  # fmt: skip
                continue
            if busy and service.spec.overlap == "kill":
                await self._run("stop", "schedule")
            elif busy:
                await service.until(lambda: not any(service.processes()))
            service.reset()
            service.switch_on()  # not waited for: the next time may come before its end
            self._host.emit("command.done", "start: it is time", service=service.name,
                                    who="schedule", data={"verb": "start", "ok": True})  # fmt: skip

    async def _sleep_until(self, due: float) -> None:
        """Until this moment of the wall clock, in short steps: it may be set while we sleep."""
        while True:
            left = due - self._host.clock.wall()
            if left <= 0:
                return
            await asyncio.sleep(min(left, _MAX_SLEEP))

    # ── files ───────────────────────────────────────────────────────────────────────────────
    async def _watch(self) -> None:
        """Reload when files have changed and then been quiet for `debounce`."""
        service = self._service
        rule = service.spec.watch
        if rule is None:
            return
        roots = [self._host.cwd(service.spec) / path for path in rule.paths]
        seen: Snapshot = await asyncio.to_thread(take_snapshot, roots, rule)
        while True:
            await asyncio.sleep(_WATCH_INTERVAL)
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
            if service.on:
                await self._run("reload", f"file change: {', '.join(changed[:3])}")

    # ── load ────────────────────────────────────────────────────────────────────────────────
    async def _scale(self) -> None:
        """One process more or fewer when the load stays beyond a bound."""
        service = self._service
        rule = service.spec.scaling
        if rule is None:
            return
        trend = LoadTrend()
        while True:
            await asyncio.sleep(_INTERVAL)
            if not service.on or service.reload is not None or service.lock.locked():
                continue
            now = self._host.clock.now()
            trend, change = scaling_step(rule, trend, now, service.wanted, self._load())
            if change:
                wanted = service.wanted + change
                await self._run("scale", f"load ({rule.metric})", processes=wanted)

    def _load(self) -> float:
        """CPU percent per process, or connections waiting per process."""
        service = self._service
        if service.spec.scaling is not None and service.spec.scaling.metric == "queue":
            return float(sum(map(self._sockets.queued, service.spec.sockets)))
        now = self._host.clock.now()
        used = [self._meter.look(i.pid, now - i.began).cpu_percent for i in service.processes()]
        return sum(used) / len(used) if used else 0.0

    # ── age and memory ──────────────────────────────────────────────────────────────────────
    async def _renew(self) -> None:
        """Replace, one at a time, a process that is too old or uses too much memory."""
        service, clock = self._service, self._host.clock
        spec = service.spec
        lives: dict[str, float] = {}  # each process's own allowed age, drawn once
        while True:
            await asyncio.sleep(_INTERVAL)
            for replica in list(service.replicas.values()):
                process = replica.process
                if process is None or not process.ready or service.reload is not None:
                    continue
                if process.key not in lives:
                    spread = self._host.random.uniform(0, spec.max_age_spread)
                    lives[process.key] = spec.max_age + spread
                age = clock.now() - process.began
                rss = self._meter.look(process.pid, age).rss_bytes
                if spec.max_age and age >= lives[process.key]:
                    why = f"older than {lives[process.key]:.0f} s"
                elif spec.limits.memory_soft and rss > spec.limits.memory_soft:
                    why = f"uses {rss >> 20} MiB, more than {spec.limits.memory_soft >> 20}"
                else:
                    continue
                await self._run("renew", f"policy: {why}", process=replica.number)
            alive = {i.key for i in service.processes()}
            lives = {key: life for key, life in lives.items() if key in alive}

    # ── extended stats ──────────────────────────────────────────────────────────────────────
    async def _extend(self) -> None:
        """Ask the hook `extended_stats` about each process; a new failure is an event, once."""
        service, reported = self._service, ""
        hook = hook_at(service.spec, "extended_stats")
        while hook is not None:
            why = ""
            asked = [i for i in service.processes() if i.ready]
            for process in asked:
                facts: dict[str, Any] = {}
                try:
                    facts = await self._host.hooks.extended(process)
                except ValueError as exc:
                    why = str(exc)
                process.report_extra(facts)
            if why and why != reported:
                data = {"hook": "extended_stats", "why": why, "outcome": "ignore"}
                text = f"extended_stats: {why}"
                self._host.emit("hook.failed", text, service=service.name, data=data)
            reported = why
            await asyncio.sleep(hook.interval if asked else min(hook.interval, _INTERVAL))

    # ── on demand ───────────────────────────────────────────────────────────────────────────
    async def _on_demand(self) -> None:
        """Start at the first connection to one of its own sockets; stop when nobody came."""
        service = self._service
        while True:
            if not service.on:
                await self._first_connection()
                await self._run("start", "first connection")
            await self._idle()
            if service.on:
                await self._run("stop", "idle")

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
        service, clock = self._service, self._host.clock
        with ArrivalMonitor(self._bound() if service.spec.idle_stop else []) as arrivals:
            since = clock.now()
            while service.on:
                await asyncio.sleep(_INTERVAL)
                bound = self._bound()
                came = arrivals.some() or any(connections_to(one) for one in bound)
                if came or not service.spec.idle_stop:
                    since = clock.now()
                elif clock.now() - since >= service.spec.idle_stop:
                    return

    def _bound(self) -> list[socket.socket]:
        """Its sockets, wherever it is given them."""
        spec, bound = self._service.spec, self._sockets.bound
        return [bound[name] for name in (*spec.sockets, spec.stdin_socket) if name in bound]
