"""The deeds that services stand on: start, watch, signal, kill, and what happens at an end."""

import asyncio
import contextlib
import os
import random
import signal
import sys
from collections import deque
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from chapiteau.core.clock import Clock
from chapiteau.run.config.command import shown_command
from chapiteau.run.config.spec import Logs, Service
from chapiteau.run.errors import SpawnError
from chapiteau.run.event_log import EventLog
from chapiteau.run.logs.collector import STREAMS, LogCollector
from chapiteau.run.logs.messages import OutputStream
from chapiteau.run.logs.stdin_pipe import StdinPipe, Terminal
from chapiteau.run.process.diagnosis import diagnose_exit, port_in_use
from chapiteau.run.process.hooks import HookRunner
from chapiteau.run.process.keeper_link import KeeperLink
from chapiteau.run.process.probes import (
    ProbeContext,
    effective_ready,
    watch_liveness,
    watch_readiness,
)
from chapiteau.run.process.process import Process
from chapiteau.run.process.replica import Replica
from chapiteau.run.process.spawn import Spawner
from chapiteau.run.system.cgroups import Cgroups
from chapiteau.run.system.port_owner import port_owner_note
from chapiteau.run.system.process_tree import find_orphans, processes_with_key, thread_stacks
from chapiteau.run.system.signal_numbers import signal_number

__all__ = ["ProcessHost"]

_DAEMONISED_WITHIN = 10.0  # seconds: a first process that ends this soon and leaves others behind
_REMEMBERED = 60.0  # seconds after its end that the last lines of a process can be asked for
_MOST_DEAD = 500  # processes for which that holds
_DUMP_TIME = 1.0  # seconds that a sick process has to print its stacks


class ProcessHost:
    """Implements what slots ask for (run/process/replica.py: Ground)."""

    def __init__(
        self,
        link: KeeperLink,
        spawner: Spawner,
        output: LogCollector,
        events: EventLog,
        clock: Clock,
    ) -> None:
        self.clock = clock
        self.chance = random.Random()  # noqa: S311 — jitter, not secrets
        self.by_key: dict[str, tuple[Process, Replica | None]] = {}
        self.rule_of: Callable[[str], Logs] = lambda name: Logs()
        self.hooks = HookRunner(spawner, self.say)
        self._link, self._spawner, self._output, self._events = link, spawner, output, events
        self._tasks: set[asyncio.Task[None]] = set()
        self._environ = dict(os.environ)  # of probes
        self._dead: deque[tuple[float, str]] = deque()  # when they ended, oldest first
        self._spawning = 0
        self._early: dict[str, dict[str, Any]] = {}  # ends of processes that `spawn` still awaits

    # ── beginnings ──────────────────────────────────────────────────────────────────────────
    async def spawn(self, name: str, spec: Service, number: int, generation: int) -> Process:
        """Start a process and attach its output. Raises SpawnError."""
        if why := await self.hook("before_spawn", name, spec, number):
            raise SpawnError(f"{name}: {why}", hint="the event hook.failed has its last lines")
        self._spawning += 1
        try:
            instance, pipes = await self._spawner.spawn(name, spec, number, generation)
            self.attach(instance, pipes)
            self.say("process.spawned", f"pid {instance.pid}", service=name, process=number,
                     pid=instance.pid)  # fmt: skip
            if "after_spawn" in spec.hooks:
                self.run(self._after_spawn(instance, spec))
            # A process may end before we hear that it began: both words can come in one read.
            if (end := self._early.pop(instance.key, None)) is not None:
                self.ended(instance.key, end)
            return instance
        finally:
            self._spawning -= 1
            if not self._spawning:
                for key in self._early:
                    self._link.tell("ack", key=key)
                self._early.clear()

    async def _after_spawn(self, instance: Process, spec: Service) -> None:
        why = await self.hook(
            "after_spawn", instance.service, spec, instance.number, pid=instance.pid
        )
        if why and instance.alive:
            instance.unhealthy = why
            self.kill(instance)

    async def hook(
        self, point: str, name: str, spec: Service, process: int = 0, **facts: Any
    ) -> str:
        """Run the service's hook at this point; "" when it may go on, else why not."""
        return await self.hooks.passes(point, name, spec, process, **facts) if spec.hooks else ""

    def claim(self, instance: Process, slot: Replica) -> bool:
        """The slot hears of this process from now on; False when it has ended already."""
        if instance.end is not None:
            slot.ended(instance, instance.end)
            return False
        self.by_key[instance.key] = (instance, slot)
        return True

    def attach(self, instance: Process, pipes: dict[str, int]) -> None:
        """Take over a process: one just started, or one found alive."""
        self.by_key[instance.key] = (instance, None)
        rule = self.rule_of(instance.service)
        for name, pipe in self._taken_in(instance, pipes).items():
            stream = OutputStream(instance.service, instance.number, STREAMS[name])
            self._output.attach(instance.key, stream, pipe, rule)

    def _taken_in(self, instance: Process, pipes: dict[str, int]) -> dict[str, int]:
        """Take its standard input, or its terminal, out of its pipes; those that are its output."""
        out = {name: pipe for name, pipe in pipes.items() if name != "in"}
        if "in" in pipes:
            instance.entry = StdinPipe(pipes["in"])
            name = f"pipe/{instance.key}/in"
            instance.entry.on_end = lambda: self._link.tell("drop", name=name)
        elif instance.on_terminal and "out" in pipes:
            terminal = Terminal(pipes["out"])
            instance.entry, out["out"] = terminal, terminal.reader
        return out

    def watch(self, instance: Process, spec: Service, slot: Replica) -> None:
        """Look for readiness and health, age, watchdog."""
        if not self.claim(instance, slot):
            return
        context = self._context(instance, spec)
        if instance.ready:
            self._after_ready(instance, spec, slot, context)
        elif not spec.is_job:

            def ready(ready_one: Process) -> None:
                slot.became_ready(ready_one)

            instance.on_ready = lambda: self._after_ready(instance, spec, slot, context)
            watch_readiness(instance, effective_ready(spec), context, self._output, ready)

    def _context(self, instance: Process, spec: Service) -> ProbeContext:
        around = self._spawner.around
        return ProbeContext(
            addresses={name: fact.address for name, fact in around.sockets.items()},
            env=self._environ,
            cwd=str(self._spawner.cwd(spec)),
            pid=instance.pid,
        )

    def _after_ready(
        self, instance: Process, spec: Service, slot: Replica, context: ProbeContext
    ) -> None:
        self._link.tell("memo", key=instance.key, memo={"ready": True})
        self.say("process.ready", service=instance.service, process=instance.number,
                 pid=instance.pid)  # fmt: skip
        if spec.live is not None:
            work = watch_liveness(
                instance, spec.live, context, lambda i, why: self.run(self._sick(i, slot, why))
            )
            instance.task(asyncio.ensure_future(work))
        if spec.watchdog:
            self.feed_watchdog(instance, spec, slot)

    def feed_watchdog(self, instance: Process, spec: Service, slot: Replica) -> None:
        """WATCHDOG=1 came, or the watch begins: it has `watchdog` seconds until the next."""
        why = f"no WATCHDOG=1 for {spec.watchdog:g} s"
        instance.watch(spec.watchdog, lambda: self.run(self._sick(instance, slot, why)))

    async def _sick(self, instance: Process, slot: Replica, why: str) -> None:
        """Before a sick process is ended: what is it doing? Kernel's view, then its own."""
        if not instance.alive or instance.unhealthy:
            return
        instance.unhealthy = why  # many end at the SIGABRT below: their end must have this reason
        stacks = thread_stacks(instance.pid)
        with contextlib.suppress(ProcessLookupError):
            # Python with faulthandler prints every thread's stack at SIGABRT, and ends.
            self.signal(instance, signal.SIGABRT)
        ended = asyncio.Event()
        instance.on_end.append(ended.set)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_DUMP_TIME):
                await ended.wait()
        self.say(
            "process.unhealthy", why, service=instance.service, process=instance.number,
            pid=instance.pid, data={
                "stacks": stacks,
                "lines": self.last_lines(instance),
            },
        )  # fmt: skip
        slot.found_unhealthy(instance, why)

    # ── ends ────────────────────────────────────────────────────────────────────────────────
    def signal(
        self, instance: Process, number: int, *, whole: bool = False, grace: float = 0.0
    ) -> None:
        """Send a signal to a process, or to its process group.

        With `grace` those of a group have so many seconds from now, also after its first has ended.
        """
        rest = {"scope": "group", "grace": grace} if whole else {"scope": "process"}
        self._link.tell("signal", key=instance.key, signal=int(number), **rest)

    def ask_to_end(self, instance: Process, spec: Service) -> None:
        """The stop signal; and CONT, since a stopped process would sleep over it."""
        self.say("process.stopping", service=instance.service, process=instance.number,
                 pid=instance.pid)  # fmt: skip
        number = signal_number(spec.stop_signal)
        if spec.hooks.keys() & {"before_signal", "after_signal"}:
            self.run(self._ask_between_hooks(instance, spec, number))
        else:
            self.signal(instance, number, whole=spec.stops_whole, grace=spec.stop_timeout)
            self.signal(instance, signal.SIGCONT, whole=spec.stops_whole)

    async def _ask_between_hooks(self, instance: Process, spec: Service, number: int) -> None:
        """A hook that keeps the stop signal back keeps nothing alive: the grace time runs."""
        await self.deliver(instance, spec, number, whole=spec.stops_whole, grace=spec.stop_timeout)
        self.signal(instance, signal.SIGCONT, whole=spec.stops_whole)

    async def deliver(
        self, instance: Process, spec: Service, number: int, *, whole: bool = False,
        grace: float = 0.0,
    ) -> str:  # fmt: skip
        """Send a signal between its hooks; why it was not sent, else ""."""
        facts = {"pid": instance.pid, "signal": number}
        why = await self.hook("before_signal", instance.service, spec, instance.number, **facts)
        if why and number != signal.SIGKILL:
            return why
        if instance.alive:
            self.signal(instance, number, whole=whole, grace=grace)
            await self.hook("after_signal", instance.service, spec, instance.number, **facts)
        return ""

    def kill(self, instance: Process) -> None:
        """SIGKILL to everything of it."""
        if instance.cgroup is not None:
            Cgroups.kill(instance.cgroup)
        self.signal(instance, signal.SIGKILL)
        self.signal(instance, signal.SIGKILL, whole=True)

    def ended(self, key: str, end: dict[str, Any]) -> None:
        """The keeper tells of an end: take its last output, end what it left, find the cause."""
        instance, slot = self.by_key.get(key, (None, None))
        if instance is None:
            if self._spawning:
                self._early[key] = end
            else:
                self._link.tell("ack", key=key)
            return
        if instance.entry is not None:
            instance.entry.drain()
        self._output.drain(key)
        if instance.entry is not None:
            instance.entry.close()
        foster = "unknown" in end  # of a keeper before this one
        left = end["left"] if instance.cgroup is not None else self._strays(instance, foster)
        ran_for = self.clock.now() - instance.began
        facts = dict(end)
        if instance.cgroup is not None:
            facts["oom"] = end["signal"] == signal.SIGKILL and self._oom(instance.cgroup)
        facts["detached"] = bool(
            left and end["code"] == 0 and not instance.asked and ran_for < _DAEMONISED_WITHIN
        )
        lines = facts["lines"] = [] if instance.asked else self.last_lines(instance)
        if not instance.asked:
            self._find_cause(facts, lines, slot)
        self._tell_end(instance, facts, lines)
        del self.by_key[key]
        instance.end = facts
        if slot is not None:
            if slot.spec.hooks.keys() & {"before_reap", "after_reap"}:
                self.run(self._reaped(instance, slot.spec, facts))
            slot.ended(instance, facts)
        self._link.tell("ack", key=key)  # now: it goes with the start that may follow
        self._forget_older(key)
        if instance.cgroup is not None:
            asyncio.get_running_loop().call_later(0.2, Cgroups.remove, instance.cgroup)

    @staticmethod
    def _find_cause(end: dict[str, Any], lines: list[str], slot: Replica | None) -> None:
        end["cause"], end["hint"] = diagnose_exit(
            end["code"], end["signal"], oom=end.get("oom", False),
            detached=end["detached"], lines=lines,
        )  # fmt: skip
        if slot is not None and (port := port_in_use(lines, shown_command(slot.spec))):
            end["cause"] = f"its port {port} is in use{port_owner_note(port)}"

    def _forget_older(self, key: str) -> None:
        """Remember where in its files a dead process began, for a while, and not for too many."""
        now = self.clock.now()
        self._dead.append((now, key))
        while len(self._dead) > _MOST_DEAD or now - self._dead[0][0] > _REMEMBERED:
            self._output.forget(self._dead.popleft()[1])

    async def _reaped(self, instance: Process, spec: Service, end: dict[str, Any]) -> None:
        """Both in order, beside what comes next: no hook delays a restart."""
        code = -end["signal"] if end["signal"] is not None else end["code"]
        facts = {"pid": instance.pid, "exit_code": code}
        for point in ("before_reap", "after_reap"):
            await self.hook(point, instance.service, spec, instance.number, **facts)

    def _tell_end(self, instance: Process, end: dict[str, Any], lines: list[str]) -> None:
        number = end["signal"]
        how = f"signal {number}" if number is not None else f"exit {end['code']}"
        data = {k: end[k] for k in ("code", "signal", "oom", "cause", "hint") if end.get(k)}
        if end["code"] is not None:
            data["code"] = end["code"]
        if instance.asked:
            data["asked"] = True
        if lines and (number is not None or end["code"] != 0):
            data["lines"] = lines
        self.say("process.exited", how, service=instance.service, process=instance.number,
                 pid=instance.pid, data=data)  # fmt: skip

    def _strays(self, instance: Process, foster: bool) -> list[int]:
        """Without cgroups: kill what left the process's group; who that was.

        Orphans of a foster child have come to the first process of the machine, not to our keeper.
        """
        known = {one.pid for one, _ in self.by_key.values()}
        if foster:
            left = processes_with_key("CHAPITEAU_KEY", instance.key)
        else:
            left = find_orphans(self.hooks.keeper_pid, instance.key, known)
        for pid in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        return left

    @staticmethod
    def _oom(group: Path) -> bool:
        return Cgroups.oom_kills(group) > 0 or Cgroups.oom_kills(group.parent) > 0

    # ── words ───────────────────────────────────────────────────────────────────────────────
    def say(self, kind: str, text: str = "", **facts: Any) -> None:
        """Record a happening."""
        self._events.say(kind, text, **facts)

    def last_lines(self, instance: Process) -> list[str]:
        """Its last lines of output."""
        return self._output.tail(instance.key)

    def reopen_logs(self) -> None:
        """Open every log file anew, after somebody moved them."""
        self._output.reopen()

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        """A task that is looked after: an error in it is reported, not lost."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            loop = asyncio.get_running_loop()
            loop.call_exception_handler({"message": "a task failed", "exception": error})
            print(f"task failed: {error!r}", file=sys.stderr, flush=True)  # noqa: T201 — its log
