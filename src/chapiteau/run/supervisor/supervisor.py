"""The supervisor: services, sockets and events put together, offered as a Port."""

import asyncio
import os
import resource
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chapiteau.core.clock import Clock
from chapiteau.core.errors import ChapiteauError, NotFoundError
from chapiteau.io.clock import SystemClock
from chapiteau.run.config.access import Access
from chapiteau.run.config.selection import select, with_needs
from chapiteau.run.config.spec import Logs, Service, Spec
from chapiteau.run.event_log import EventLog
from chapiteau.run.events import Event
from chapiteau.run.logs.collector import LogCollector
from chapiteau.run.logs.messages import Gap, LogLine, LogQuery, Outcome, PreviousPage
from chapiteau.run.process.fdstore import FdStore
from chapiteau.run.process.host import ProcessHost
from chapiteau.run.process.keeper_link import KeeperLink
from chapiteau.run.process.notify import NotifyHandler, NotifySocket
from chapiteau.run.process.process import Process
from chapiteau.run.process.spawn import SpawnContext, Spawner
from chapiteau.run.supervisor.attach import stream_output, write_stdin
from chapiteau.run.supervisor.background_tasks import BackgroundTasks
from chapiteau.run.supervisor.bootstrap import (
    adopt_processes,
    bind_sockets,
    emit_started,
    open_notify,
)
from chapiteau.run.supervisor.commands import COMMANDS, Command, merge_outcomes
from chapiteau.run.supervisor.desired_state import DesiredState
from chapiteau.run.supervisor.drain import Drain
from chapiteau.run.supervisor.process_registry import ProcessRegistry, kill_helpers, kill_orphans
from chapiteau.run.supervisor.reuseport import ReusePortSockets
from chapiteau.run.supervisor.sampler import StatsSampler
from chapiteau.run.supervisor.service_controller import ServiceController
from chapiteau.run.supervisor.shutdown import Shutdown, close_resources
from chapiteau.run.supervisor.status_snapshot import service_summaries
from chapiteau.run.system.cgroups import Cgroups, find_cgroups, unavailable_limits_text
from chapiteau.run.system.runtime_dirs import runtime_dir
from chapiteau.run.system.usage import Meter

if TYPE_CHECKING:
    from chapiteau.run.api.status import SocketHolders, SupervisorStatus

__all__ = ["Supervisor"]

_ABREAST = 16  # services that are started in one turn, when all are


class Supervisor:
    """Made by the brain; `begin` attaches to the keeper and starts what is wanted."""

    words: tuple[str, ...] = ()  # what a brain after us is started with
    owner: tuple[int, ...] = (0, 0)  # pid and start of who ends everything by its own end
    attached = False  # whether we know every process that the keeper has
    only_looks = ""  # why it does nothing (run/supervisor/safe_mode.py)

    def __init__(self, spec: Spec, config_path: Path, run_dir: Path, link: KeeperLink) -> None:
        self.spec, self.config_path, self.run_dir, self.link = spec, config_path, run_dir, link
        self.base = spec  # as the file has it; `overrides` is what was set on top of it
        self.overrides: dict[str, dict[str, Any]] = {}
        self.clock: Clock = SystemClock()
        self.events_log = EventLog(run_dir / "events.jsonl", self.clock)
        self.output = LogCollector(run_dir / "log", self.clock, self.events_log.say)
        name = f"{spec.project.name}-{_short(run_dir)}"
        self.cgroups: Cgroups = (
            Cgroups(None, None, "not used without a keeper") if link.alone else find_cgroups(name)
        )
        self.around = SpawnContext(
            folder=config_path.parent,
            run_dir=run_dir,
            notify_path=runtime_dir(run_dir) / "notify.sock",
            cgroups=self.cgroups,
            name=name,
        )
        self.spawner = Spawner(link, self.around, self.clock)
        self.spawner.on_missing = self._limits_missing
        self.ground = ProcessHost(link, self.spawner, self.output, self.events_log, self.clock)
        self.store = FdStore(link)
        self.around.left_by = self.store.names
        self.runners: dict[str, ServiceController] = {}
        self.bound: dict[str, socket.socket] = {}
        self.per_process = ReusePortSockets(self)
        self.around.provide = self.per_process.provide
        self.next_runs: dict[str, float] = {}
        self.generation = 1
        self.began = self.clock.now()
        self.started_wall = self.clock.wall()
        self.brain_restarts = self.keeper_pid = 0
        self.own_services: dict[str, Service] = {}  # ours, like the dashboard
        self.limits_missing: dict[str, str] = {}
        self.ending = Shutdown(self)
        self.on_roles: Callable[[Access], None] = lambda access: None  # others may steer us now
        self._configuring = asyncio.Lock()
        self._roll = ProcessRegistry(run_dir / "processes.json", name)
        self._meter, self._sampler = Meter(self.clock), StatsSampler(self.clock)
        self._notify: NotifySocket | None = None
        self._wanted: DesiredState | None = None
        self._beside: dict[str, BackgroundTasks] = {}
        self._listeners = 0  # who follow the statistics
        self._waiting: set[str] = set()  # services that wait for others
        self.drain = Drain(self)

    # ── beginning ───────────────────────────────────────────────────────────────────────────
    async def begin(self, only: tuple[str, ...] = ()) -> None:
        """Attach to the keeper, bind, adopt, start. Raises BindError (then nothing was started)."""
        self.words = (str(self.config_path), str(self.run_dir), *only)
        hello = await self.link.hello()
        self.keeper_pid = self.ground.hooks.keeper_pid = hello["pid"]
        self.brain_restarts = hello["brain_starts"] - 1
        self.owner = (*hello.get("owner", ()), 0, 0)[:2]
        self.around.keeper_no_new_privs = hello["no_new_privs"]
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        self.around.limit = (hello["nofile"], hard)
        self.link.base(self.around.inherited)
        self.started_wall = hello["notes"].get("started", self.started_wall)
        if self.brain_restarts == 0 or ProcessRegistry.UNKNOWN in hello["notes"]:
            if ended := await kill_orphans(self, self._roll):
                self.ground.say("supervisor.swept", f"{ended} processes of an earlier supervisor")
            self._roll.begin()
            self.link.tell("note", name="started", value=self.started_wall)
            self.link.tell("note", name=ProcessRegistry.UNKNOWN, value=None)
        elif ended := kill_helpers(self.keeper_pid):
            self.ground.say("supervisor.swept", f"{ended} hooks and probes of an earlier brain")
        if "null" not in hello["fds"]:  # a brain before us may have died before it did this
            self.ground.run(self.link.store("null", os.open(os.devnull, os.O_RDONLY)))
        self.link.on_exit, self.link.on_asked = self.ground.ended, self.asked
        self._wanted = DesiredState(self.run_dir / "state.json", self.link, hello["notes"])
        self.ground.rule_of = self.rule_of
        await bind_sockets(self, hello["fds"])
        await self.per_process.restore(hello["fds"])
        await self.store.restore(hello["fds"])
        for name, service in {**self.spec.service, **self.own_services}.items():
            self.add_runner(name, service)
        found = adopt_processes(self)
        self.attached = True
        # Not before: what was said while no brain lived must find the process that said it.
        self._notify = await open_notify(self, hello["fds"])
        self._notify.on_message = NotifyHandler(self.ground, self.store).heard
        emit_started(self, hello, found)
        self.ending.promise()
        if self.ending.go_on(hello):
            return
        await self._switch_on(set(only))
        for runner in self.runners.values():
            self.start_helpers(runner)
        self.drain.go_on()

    def add_runner(self, name: str, service: Service) -> ServiceController:
        """Make a service known; it does not start yet."""
        runner = ServiceController(name, service, self.ground)
        runner.needs_met = lambda: self._why_wait(runner)
        runner.leave = lambda numbers: self.per_process.leave(runner.spec, numbers)
        runner.needs_hopeless = lambda: any(
            need not in self.runners or self.runners[need].gave_up for need in runner.spec.needs
        )
        runner.watch(lambda: self._after_change(runner))
        self.runners[name] = runner
        known = self._wanted.found.get(name) if self._wanted is not None else None
        if known is not None:
            runner.wanted = int(known.get("wanted", runner.wanted))
            runner.generation = int(known.get("generation", 0))
        return runner

    def forget_runner(self, name: str) -> None:
        """A service that the configuration no longer has, and that has stopped."""
        del self.runners[name]
        self.store.forget(name)
        if (beside := self._beside.pop(name, None)) is not None:
            beside.end()
        self.next_runs.pop(name, None)
        if self._wanted is not None:
            self._wanted.put(name, None)

    def start_helpers(self, runner: ServiceController) -> None:
        """Begin (anew) what goes on beside a service: schedule, watching files, scaling."""
        if (before := self._beside.pop(runner.name, None)) is not None:
            before.end()
        if self.drain.begun:
            return
        self._beside[runner.name] = BackgroundTasks(runner, self)
        self._beside[runner.name].begin()

    async def give(self, verb: str, runner: ServiceController, who: str) -> Outcome:
        """A command as people give it, to one service."""
        return await self._one(COMMANDS[verb], runner, {}, verb, who)

    async def do(
        self, verb: str, runner: ServiceController, options: dict[str, Any], who: str
    ) -> None:
        """A command that no person gave."""
        if not self.ending.begun:
            await self._doing(COMMANDS[verb], runner, options, verb, who)

    def folder_of(self, runner: ServiceController) -> Path:
        """The service's working directory."""
        return (self.around.folder / runner.spec.cwd).absolute()

    async def extended(self, runner: ServiceController, instance: Process) -> dict[str, Any]:
        """What its hook `extended_stats` says of a process. Raises ValueError."""
        name, number = runner.name, instance.number
        return await self.ground.hooks.extended(name, runner.spec, number, instance.pid)

    async def _switch_on(self, only: set[str]) -> None:
        """Start what was wanted before us; on a first start what starts by itself, or `only`."""
        found = self._wanted.found if self._wanted is not None else {}
        needs = {name: service.needs for name, service in self.spec.service.items()}
        chosen = with_needs(only, needs) if only else None
        for index, (name, runner) in enumerate(list(self.runners.items())):
            if index and index % _ABREAST == 0:  # the keeper begins with these meanwhile
                for _ in range(2):  # each service's own turn, then that of its processes
                    await asyncio.sleep(0)
            if self.ending.begun or self.runners.get(name) is not runner:
                continue
            service = runner.spec
            by_itself = service.autostart and not service.schedule and not service.on_demand
            wish = found[name].get("on", by_itself) if name in found else by_itself
            if chosen is not None and name not in {**found, **self.own_services}:
                wish = name in chosen
            done = service.one_shot and name in found and found[name].get("completed")
            if done and self.brain_restarts:
                runner.restore_completed()
            elif runner.on and name in found and not wish:  # the brain before died over its stop
                runner.on = False
                self.ground.run(self.do("stop", runner, {}, "the brain before"))
            elif (runner.on or wish) and not self.drain.begun:
                runner.switch_on()
                if max(runner.slots, default=0) > runner.wanted:  # … or over its scaling down
                    fewer = {"processes": runner.wanted}
                    self.ground.run(self.do("scale", runner, fewer, "the brain before"))

    def _why_wait(self, runner: ServiceController) -> str:
        """What a service that wants to start must still wait for."""
        for name in runner.spec.needs:
            need = self.runners.get(name)
            if need is None or not need.satisfied:
                state = need.state if need is not None else "not there"
                return f"waits for {name}, which is {state}"
        for name in runner.spec.after:
            other = self.runners.get(name)
            if other is not None and other.on and not other.satisfied and not other.gave_up:
                return f"waits for {name}, which is {other.state}"
        return ""

    def _after_change(self, runner: ServiceController) -> None:
        self._roll.changed(self)
        self.per_process.look()
        self._wake_waiting(runner)
        if self._wanted is not None and not self.ending.begun:
            done = runner.spec.one_shot and runner.state == "completed"
            self._wanted.put(runner.name, {**runner.facts(), "completed": done})
        if runner.spec.fd_store and runner.quiet:
            self.store.forget(runner.name, runner.wanted if runner.on else 0)
        self.ending.look_at(runner)

    def _wake_waiting(self, runner: ServiceController) -> None:
        """Services that wait, and this one is among what they may wait for, look again."""
        if not runner.waiting:
            self._waiting.discard(runner.name)
        elif runner.name not in self._waiting:
            self._waiting.add(runner.name)
            runner.look_again()  # what it waits for may have come before we knew that it waits
        for name in tuple(self._waiting):
            other = self.runners.get(name)
            if other is None:
                self._waiting.discard(name)
            elif runner.name in other.spec.needs or runner.name in other.spec.after:
                other.look_again()

    @property
    def notify_fd(self) -> int:
        """The socket on which processes speak; -1 before it is open."""
        return self._notify.fileno() if self._notify is not None else -1

    # ── hearing ─────────────────────────────────────────────────────────────────────────────
    def asked(self, what: str) -> None:
        """The keeper passes on a signal, or the death of the terminal that started us."""
        if what == "reload":
            self.ground.run(self._reload_config())
        elif self.ending.begun and what == "stop":
            self.ending.hurry()
        else:
            gone = "whoever started it has gone"
            self.ending.begin("asked by a signal" if what == "stop" else gone)

    async def _reload_config(self) -> None:
        outcome = await self.apply_config(dry_run=False, who="SIGHUP")
        if not outcome.ok:
            self.ground.say("command.done", outcome.error, who="SIGHUP")

    def _limits_missing(self, name: str, files: list[str], why: str) -> None:
        """A limit that was asked for and can't be had here must not look as if it held."""
        self.limits_missing[name] = text = unavailable_limits_text(files, why)
        self.ground.say("service.unlimited", text, service=name, data={"files": files})

    def rule_of(self, name: str) -> Logs:
        """[log] of a service."""
        service = self.spec.service.get(name)
        return (service.log if service is not None else None) or self.spec.log

    def url_of(self, runner: ServiceController, what: str, own: str) -> str:
        """Where a service publishes `what`, as its label says; one of ours at the path `own`."""
        label = runner.spec.labels.get(what, own if runner.spec.app else "")
        if label.startswith(("http://", "https://")):
            return label
        if not label or not runner.spec.sockets:
            return ""
        fact = self.around.sockets.get(runner.spec.sockets[0])
        return f"http://{fact.address}{label}" if fact is not None and fact.port else ""

    # ── the Port ────────────────────────────────────────────────────────────────────────────
    def status(self) -> "SupervisorStatus":
        """The state now."""
        from chapiteau.run.supervisor.status_snapshot import status_snapshot

        return status_snapshot(self, self._meter)

    def services(self) -> dict[str, Any]:
        """The services in few words."""
        return service_summaries(self.runners.values())

    async def command(
        self, verb: str, service: str, options: Mapping[str, Any], who: str
    ) -> Outcome:
        """Do it on every service that is meant, side by side; say what happened."""
        if self.ending.begun and verb not in ("stop", "signal", "reopen"):
            return Outcome(ok=False, error="the supervisor is shutting down", exit_code=4)
        if (said := await self.drain.hear(verb, who)) is not None:
            return said
        try:
            names = select(service, list(self.runners), own=self.own_services)
            deed = COMMANDS[verb]
        except NotFoundError as exc:
            return Outcome(ok=False, error=exc.what, hint=exc.hint, exit_code=exc.exit_code)
        results = await asyncio.gather(
            *(self._one(deed, self.runners[name], options, verb, who) for name in names)
        )
        return merge_outcomes(dict(zip(names, results, strict=True)))

    async def _one(
        self,
        deed: Command,
        runner: ServiceController,
        options: Mapping[str, Any],
        verb: str,
        who: str,
    ) -> Outcome:
        if verb == "stop" and runner.lock.locked() and runner.on:
            # It does not queue behind the start or reload that it ends: that one is told so.
            await self.ground.hook("before_stop", runner.name, runner.spec)
            runner.switch_off()
        if not options.get("wait", True):
            self.ground.run(self._queued(deed, runner, options, verb, who))
            return Outcome(ok=True, text=f"{runner.name}: {verb} asked")
        return await self._doing(deed, runner, options, verb, who)

    async def _queued(self, *args: Any) -> None:
        await self._doing(*args)

    async def _doing(
        self,
        deed: Command,
        runner: ServiceController,
        options: Mapping[str, Any],
        verb: str,
        who: str,
    ) -> Outcome:
        async with runner.lock:
            try:
                outcome = await deed(self.ground, runner, options)
            except ChapiteauError as exc:
                outcome = Outcome(ok=False, error=exc.what, hint=exc.hint, exit_code=exc.exit_code)
        text = outcome.text if outcome.ok else outcome.error.splitlines()[0]
        self.ground.say("command.done", f"{verb}: {text}", service=runner.name, who=who,
                        data={"verb": verb, "ok": outcome.ok})  # fmt: skip
        return outcome

    async def apply_config(self, *, dry_run: bool, who: str) -> Outcome:
        """Read the file again and follow it, whole or not at all."""
        from chapiteau.run.supervisor.config_applier import apply_file

        async with self._configuring:
            try:
                return await apply_file(self, dry_run=dry_run, who=who)
            except ChapiteauError as exc:
                return Outcome(ok=False, error=exc.what, hint=exc.hint, exit_code=exc.exit_code)

    async def configure(
        self, service: str, settings: Mapping[str, Any], reset: Sequence[str], who: str
    ) -> Outcome:
        """Other settings for services, until the file is followed again."""
        from chapiteau.run.supervisor.runtime_settings import change_settings

        async with self._configuring:
            try:
                return await change_settings(self, service, settings, reset, who)
            except ChapiteauError as exc:
                return Outcome(ok=False, error=exc.what, hint=exc.hint, exit_code=exc.exit_code)

    async def upgrade(self, who: str) -> Outcome:
        """Keeper and brain become those that are installed now; services go on."""
        from chapiteau.run.supervisor.handover import reexec

        return await reexec(self, who)

    async def shutdown(self, who: str, *, force: bool = False) -> None:
        """Stop everything, then the supervisor. Returns at once; with `force` without grace."""
        self.ending.begin(f"asked by {who}")
        self.drain.forget()
        if force:
            self.ending.hurry()

    async def enter(self, service: str, text: str, options: Mapping[str, Any], who: str) -> Outcome:
        """Input for a process."""
        try:
            return write_stdin(self._named(service), text, options)
        except NotFoundError as exc:
            return Outcome(ok=False, error=exc.what, hint=exc.hint, exit_code=exc.exit_code)

    def screen(self, service: str, process: int) -> AsyncGenerator[bytes, None]:
        """What a process prints from now on. Raises NotFoundError."""
        return stream_output(self._named(service), self.output, process)

    async def holders(self, socket: str) -> "SocketHolders":
        """Every process that has this listening socket open. Raises NotFoundError."""
        from chapiteau.run.supervisor.status_snapshot import socket_holders

        return await socket_holders(self, socket)

    def _named(self, service: str) -> ServiceController:
        for name in select(service, list(self.runners), own=self.own_services):
            return self.runners[name]
        raise NotFoundError("there is no service")

    def message(self, text: str, service: str, data: Mapping[str, Any], who: str) -> None:
        """A plugin, or another program, has something to say."""
        self.ground.say("plugin.message", text, service=service, who=who, data=dict(data))

    def config(self) -> dict[str, Any]:
        """The running configuration; secrets are shown by their place only."""
        return asdict(self.spec) | {"set": self.overrides}

    async def events(self, after: int, *, follow: bool) -> AsyncIterator[Event | Gap]:
        """Kept happenings with a greater number, then new ones."""
        async for made in self.events_log.stream(after, follow=follow):
            yield made

    async def logs(self, query: LogQuery) -> AsyncIterator[LogLine | Gap | PreviousPage]:
        """Kept lines, then new ones."""
        async for line in self.output.lines(query):
            yield line

    async def stats(self) -> AsyncIterator[dict[str, Any]]:
        """One message a second; listeners share the work of one look."""
        self._listeners += 1
        try:
            while True:
                yield self._sampler.message(self)
                await asyncio.sleep(1.0)
        finally:
            self._listeners -= 1
            if not self._listeners:
                self._sampler.rest()

    # ── the end ─────────────────────────────────────────────────────────────────────────────
    def end_helpers(self) -> None:
        """Nothing begins by itself any more."""
        for beside in self._beside.values():
            beside.end()

    def forget_wishes(self) -> None:
        """A clean end: nothing is left to remember."""
        if self._wanted is not None:
            self._wanted.clear()
        self._roll.clear()

    def close(self) -> None:
        """Let go of everything; the processes have ended."""
        close_resources(self, self._notify)


def _short(path: Path) -> str:
    import hashlib

    return hashlib.sha256(str(path).encode()).hexdigest()[:8]
