"""Starts, watches, signals and kills processes through the keeper, and learns of their exits."""

import asyncio
import contextlib
import os
import random
import signal
import sys
from collections import deque
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any, Final

from chapiteau.core.clock import Clock
from chapiteau.run.config.command import shown_command
from chapiteau.run.config.spec import Logs, Service
from chapiteau.run.errors import SpawnError
from chapiteau.run.event_log import EventLog
from chapiteau.run.keeper.frames import ExitFrame
from chapiteau.run.logs.collector import STREAMS, LogCollector
from chapiteau.run.logs.messages import OutputStream
from chapiteau.run.logs.stdin_pipe import StdinPipe, Terminal
from chapiteau.run.process.exits import ProcessExit, diagnose_exit, port_in_use
from chapiteau.run.process.hooks import HookRunner
from chapiteau.run.process.keeper_link import KeeperLink
from chapiteau.run.process.probes import ProbeContext, until_ready, until_unhealthy
from chapiteau.run.process.process import Process
from chapiteau.run.process.spawn import Spawner, deadlines_of
from chapiteau.run.system.cgroups import Cgroups
from chapiteau.run.system.port_owner import port_owner_note
from chapiteau.run.system.process_tree import find_orphans, processes_with_key, thread_stacks
from chapiteau.run.system.signal_numbers import signal_number

__all__ = ["ProcessHost"]

_DAEMONISED_WITHIN: Final = 10.0  # seconds: a main process that exits so soon and leaves others
_REMEMBERED: Final = 60.0  # seconds after its end that a process's last lines can be asked for
_MAX_REMEMBERED: Final = 500  # processes for which that holds
_DUMP_TIME: Final = 1.0  # seconds that an unhealthy process has to print its stacks
_STALL: Final = 0.5  # seconds: a timeout that comes so late says that we were away
_CATCH_UP: Final = 1.0  # seconds to hear what was said meanwhile
_CGROUP_LINGERS: Final = 0.2  # seconds until an empty cgroup can be removed


class ProcessHost:
    """`processes` are those that are alive, by key.

    `read_only`: nothing is watched, and exits are left for the next brain to judge.
    """

    def __init__(
        self,
        link: KeeperLink,
        spawner: Spawner,
        output: LogCollector,
        events: EventLog,
        clock: Clock,
        log_rule: Callable[[str], Logs],
        *,
        read_only: bool = False,
    ) -> None:
        self.clock, self.read_only = clock, read_only
        self.random = random.Random()  # noqa: S311 — jitter, not secrets
        self.processes: dict[str, Process] = {}
        self.emit = events.emit
        self.hooks = HookRunner(spawner, self.emit, clock)
        self._link, self._spawner, self._output = link, spawner, output
        self._log_rule = log_rule
        self._tasks: set[asyncio.Task[None]] = set()
        self._environ = dict(os.environ)  # of probes
        self._ended: deque[tuple[float, str]] = deque()  # (when, key), oldest first

    def leave_read_only(self) -> None:
        """The shutdown has begun: exits are judged again."""
        self.read_only = False

    # ── starts ──────────────────────────────────────────────────────────────────────────────
    async def spawn(
        self,
        name: str,
        spec: Service,
        number: int,
        generation: int,
        on_change: Callable[[Process], None],
        *,
        candidate: bool = False,
    ) -> Process:
        """Start a process, attach its output and watch it. Raises SpawnError."""
        if why := await self.hook("before_spawn", name, spec, number):
            raise SpawnError(f"{name}: {why}", hint="the event hook.failed has its last lines")
        process = Process(
            key=self._spawner.new_key(name, number), service=name, number=number, spec=spec,
            generation=generation, on_change=on_change, candidate=candidate,
            began=self.clock.now(), began_wall=self.clock.wall(),
        )  # fmt: skip
        self.processes[process.key] = process  # before the answer: its exit may come in one read
        try:
            pipes = await self._spawner.spawn(process)
        except Exception:
            del self.processes[process.key]
            raise
        self._attach(process, pipes)
        self.emit_of(process, "process.spawned", f"pid {process.pid}")
        self._watch(process)
        if "after_spawn" in spec.hooks:
            self.run(self._after_spawn(process))
        if process.early_exit is not None:
            self.on_exit(process.key, process.early_exit)
        return process

    async def _after_spawn(self, process: Process) -> None:
        why = await self.hook_of(process, "after_spawn", pid=process.pid)
        if why and process.alive:
            process.doomed(why)
            self.kill(process)

    async def hook(
        self, point: str, name: str, spec: Service, number: int = 0, **facts: Any
    ) -> str:
        """Run the service's hook at this point; "" when it may go on, else why not."""
        return await self.hooks.passes(point, name, spec, number, **facts) if spec.hooks else ""

    async def hook_of(self, process: Process, point: str, **facts: Any) -> str:
        """As `hook`, of a process."""
        return await self.hook(point, process.service, process.spec, process.number, **facts)

    def adopt(self, process: Process, pipes: dict[str, int]) -> None:
        """Take over a process that a brain before us has left."""
        self.processes[process.key] = process
        self._attach(process, pipes)
        self._watch(process)

    def _attach(self, process: Process, pipes: dict[str, int]) -> None:
        """Connect its standard input, or its terminal, and its output."""
        outputs = {name: pipe for name, pipe in pipes.items() if name != "in"}
        if "in" in pipes:
            drop = partial(self._link.tell, "drop", name=f"pipe/{process.key}/in")
            process.connected(StdinPipe(pipes["in"], drop))
        elif process.on_terminal and "out" in pipes:
            terminal = Terminal(pipes["out"])
            process.connected(terminal)
            outputs["out"] = terminal.reader
        rule = self._log_rule(process.service)
        for name, pipe in outputs.items():
            stream = OutputStream(process.service, process.number, STREAMS[name])
            self._output.attach(process.key, stream, pipe, rule)

    # ── readiness and health ────────────────────────────────────────────────────────────────
    def _watch(self, process: Process) -> None:
        if not process.spec.is_job:
            process.run(self._watched(process))

    async def _watched(self, process: Process) -> None:
        """From its start until it is unhealthy."""
        spec, was_ready = process.spec, process.ready
        context = ProbeContext(
            addresses=self._spawner.addresses(), env=self._environ,
            cwd=str(self._spawner.cwd(spec)), pid=process.pid,
        )  # fmt: skip
        if self.read_only:  # it may say so itself; nothing is probed
            await process.until(lambda: process.ready)
        elif not was_ready:
            await until_ready(process, context, self._output)
        self._link.tell("memo", key=process.key, memo={"ready": True})
        if self.read_only:
            return
        self.emit_of(process, "process.ready")
        watches = []
        if spec.live is not None:
            watches.append(until_unhealthy(process, spec.live, context))
        if spec.watchdog:
            watches.append(self._until_silent(process))
        if watches:
            waiting = [asyncio.ensure_future(one) for one in watches]
            try:
                done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for one in waiting:
                    one.cancel()
            self.run(self._unhealthy(process, done.pop().result()))

    async def _until_silent(self, process: Process) -> str:
        """Until it has not said WATCHDOG=1 for the time that it has; why it is unhealthy."""
        limit = process.spec.watchdog
        process.beat(self.clock.now())
        while (left := process.heartbeat + limit - self.clock.now()) > 0:
            due = self.clock.now() + left
            await asyncio.sleep(left)
            if self.clock.now() - due > _STALL:  # we were away: what it said is not read yet
                process.beat(self.clock.now() + min(limit, _CATCH_UP) - limit)
        return f"no WATCHDOG=1 for {limit:g} s"

    async def _unhealthy(self, process: Process, why: str) -> None:
        """Before it is replaced: what is it doing? The kernel's view, then its own."""
        if not process.alive or process.unhealthy:
            return
        process.doomed(why)  # many end at the SIGABRT: their exit must have this reason
        stacks = thread_stacks(process.pid)
        self.signal(process, signal.SIGABRT)  # Python's faulthandler prints every thread's stack
        await process.until_ended(_DUMP_TIME)
        data = {"stacks": stacks, "lines": self.last_lines(process)}
        self.emit_of(process, "process.unhealthy", why, data=data)
        process.condemn(why)

    # ── signals ─────────────────────────────────────────────────────────────────────────────
    def signal(
        self, process: Process, number: int, *, whole: bool = False, grace: float = 0.0
    ) -> None:
        """Send a signal to a process, or to its process group.

        With `grace` those of a group have so many seconds, also after their leader has ended.
        """
        rest: dict[str, Any] = {"scope": "group", "grace": grace} if whole else {"scope": "process"}
        self._link.tell("signal", key=process.key, signal=int(number), **rest)

    async def deliver(
        self, process: Process, number: int, *, whole: bool = False, grace: float = 0.0
    ) -> str:
        """Send a signal between its hooks; why it was not sent, else ""."""
        facts = {"pid": process.pid, "signal": number}
        why = await self.hook_of(process, "before_signal", **facts)
        if why and number != signal.SIGKILL:
            return why
        if process.alive:
            self.signal(process, number, whole=whole, grace=grace)
            await self.hook_of(process, "after_signal", **facts)
        return ""

    def request_stop(self, process: Process) -> None:
        """Send the stop signal, and CONT, since a stopped process would not act on it."""
        process.request_stop(self.clock.now())
        self.note_deadlines(process)
        self.emit_of(process, "process.stopping")
        if process.spec.hooks.keys() & {"before_signal", "after_signal"}:
            self.run(self._request_stop(process))
        else:
            self._send_stop(process)

    async def _request_stop(self, process: Process) -> None:
        """A hook that keeps the stop signal back keeps nothing alive: the grace time runs."""
        spec = process.spec
        await self.deliver(
            process, signal_number(spec.stop_signal), whole=spec.stops_whole,
            grace=spec.stop_timeout,
        )  # fmt: skip
        self.signal(process, signal.SIGCONT, whole=spec.stops_whole)

    def _send_stop(self, process: Process) -> None:
        spec = process.spec
        number, whole = signal_number(spec.stop_signal), spec.stops_whole
        self.signal(process, number, whole=whole, grace=spec.stop_timeout)
        self.signal(process, signal.SIGCONT, whole=whole)

    def note_deadlines(self, process: Process) -> None:
        """Let a later brain know until when it has time to become ready, or to end."""
        self._link.tell("memo", key=process.key, memo=deadlines_of(process, self.clock))

    def note_owner(self, process: Process) -> None:
        """Let a later brain know that the number is this one's."""
        self._link.tell("memo", key=process.key, memo={"candidate": False})

    def kill(self, process: Process) -> None:
        """SIGKILL to everything of it."""
        process.killed()
        self.note_deadlines(process)
        if process.cgroup is not None:
            Cgroups.kill(process.cgroup)
        self.signal(process, signal.SIGKILL)
        self.signal(process, signal.SIGKILL, whole=True)

    # ── exits ───────────────────────────────────────────────────────────────────────────────
    def on_exit(self, key: str, frame: ExitFrame) -> None:
        """The keeper reports an exit: take the last output, kill what is left, find the cause."""
        process = self.processes.get(key)
        if process is None:
            self._link.tell("ack", key=key)
            return
        if not process.pid:  # the answer to its start comes later
            process.ended_early(frame)
            return
        if process.stdin is not None:
            process.stdin.drain()
        self._output.drain(key)
        del self.processes[key]
        if self.read_only:  # neither judged nor acknowledged: the next brain is told again
            process.ended(ProcessExit(code=frame["code"], signal=frame["signal"]))
            return
        if process.stdin is not None:
            process.stdin.close()
        end = self._exit_of(process, frame)
        self._emit_exit(process, end)
        if process.spec.hooks.keys() & {"before_reap", "after_reap"}:
            self.run(self._reaped(process, end))
        process.ended(end)
        self._link.tell("ack", key=key)  # now: it travels with the start that may follow
        self._forget_older(key)
        if process.cgroup is not None:
            loop = asyncio.get_running_loop()
            loop.call_later(_CGROUP_LINGERS, Cgroups.remove, process.cgroup)

    def _exit_of(self, process: Process, frame: ExitFrame) -> ProcessExit:
        code, number, asked = frame["code"], frame["signal"], process.stop_requested
        group = process.cgroup
        left = frame["left"] if group is not None else self._kill_orphans(process, frame)
        ran_for = self.clock.now() - process.began
        oom = number == signal.SIGKILL and group is not None and _out_of_memory(group)
        detached = bool(left and code == 0 and not asked and ran_for < _DAEMONISED_WITHIN)
        lines: list[str] = []
        cause = hint = ""
        if not asked:
            lines = self.last_lines(process)
            cause, hint = diagnose_exit(code, number, oom=oom, detached=detached, lines=lines)
            if port := port_in_use(lines, shown_command(process.spec)):
                cause = f"its port {port} is in use{port_owner_note(port)}"
        return ProcessExit(
            code=code, signal=number, core=frame["core"], oom=oom, detached=detached,
            unhealthy=process.unhealthy, asked=asked, ran_for=ran_for, time=self.clock.wall(),
            cause=cause, hint=hint, lines=tuple(lines),
        )  # fmt: skip

    def _emit_exit(self, process: Process, end: ProcessExit) -> None:
        how = f"signal {end.signal}" if end.signal is not None else f"exit {end.code}"
        data: dict[str, Any] = {
            key: value
            for key in ("code", "signal", "oom", "cause", "hint", "asked")
            if (value := getattr(end, key)) or (key == "code" and value is not None)
        }
        if end.lines and (end.signal is not None or end.code != 0):
            data["lines"] = list(end.lines)
        self.emit_of(process, "process.exited", how, data=data)

    async def _reaped(self, process: Process, end: ProcessExit) -> None:
        """Both hooks in order, without delaying a restart."""
        code = -end.signal if end.signal is not None else end.code
        for point in ("before_reap", "after_reap"):
            await self.hook_of(process, point, pid=process.pid, exit_code=code)

    def _kill_orphans(self, process: Process, frame: ExitFrame) -> list[int]:
        """Without cgroups: kill what left the process's group; their pids.

        Orphans of another keeper's child have gone to the machine's init, not to our keeper.
        """
        if "unknown" in frame:
            left = processes_with_key("CHAPITEAU_KEY", process.key)
        else:
            known = {one.pid for one in self.processes.values()}
            left = find_orphans(self._spawner.context.keeper_pid, process.key, known)
        for pid in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        return left

    def _forget_older(self, key: str) -> None:
        """Where in its files a process began is remembered for a while, for not too many."""
        now = self.clock.now()
        self._ended.append((now, key))
        while len(self._ended) > _MAX_REMEMBERED or now - self._ended[0][0] > _REMEMBERED:
            self._output.forget(self._ended.popleft()[1])

    # ── reports and tasks ───────────────────────────────────────────────────────────────────
    def emit_of(self, process: Process, kind: str, text: str = "", **facts: Any) -> None:
        """Record an event of a process."""
        self.emit(
            kind, text, service=process.service, process=process.number, pid=process.pid, **facts
        )

    def last_lines(self, process: Process) -> list[str]:
        """Its last lines of output."""
        return self._output.tail(process.key)

    def cwd(self, spec: Service) -> Path:
        """A service's working directory."""
        return self._spawner.cwd(spec)

    def reopen_logs(self) -> None:
        """Open every log file anew, after somebody moved them."""
        self._output.reopen()

    def run(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """A task whose error is reported, not lost."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.report(error)

    @staticmethod
    def report(error: BaseException) -> None:
        """A defect of ours: into the supervisor's log."""
        loop = asyncio.get_running_loop()
        loop.call_exception_handler({"message": "a task failed", "exception": error})
        print(f"task failed: {error!r}", file=sys.stderr, flush=True)  # noqa: T201 — its log


def _out_of_memory(group: Path) -> bool:
    return Cgroups.oom_kills(group) > 0 or Cgroups.oom_kills(group.parent) > 0
