"""The supervisor: everything of a brain put together, as its control API sees it."""

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from chapiteau.core.errors import ChapiteauError, NotFoundError
from chapiteau.io.unix_http import remove_control_socket
from chapiteau.run.config.access import Access
from chapiteau.run.config.selection import with_needs
from chapiteau.run.config.spec import Service
from chapiteau.run.events import Event
from chapiteau.run.keeper.frames import ExitFrame, Hello
from chapiteau.run.logs.messages import Gap, LogLine, LogQuery, Outcome, PreviousPage
from chapiteau.run.process.notify import NotifyHandler, NotifySocket
from chapiteau.run.supervisor.bootstrap import adopt_processes, bind_sockets
from chapiteau.run.supervisor.commands import merge_outcomes, stream_output, write_stdin
from chapiteau.run.supervisor.context import Context
from chapiteau.run.supervisor.desired_state import APPLYING, DesiredState
from chapiteau.run.supervisor.drain import Drain
from chapiteau.run.supervisor.handover import recover_keeper, reexec
from chapiteau.run.supervisor.process_registry import UNKNOWN, kill_helpers, kill_orphans
from chapiteau.run.supervisor.sampler import StatsSampler
from chapiteau.run.supervisor.service_controller import ServiceController
from chapiteau.run.supervisor.services import Services
from chapiteau.run.supervisor.shutdown import Shutdown
from chapiteau.run.supervisor.status_snapshot import StatusReader, service_summaries
from chapiteau.run.system.runtime_dirs import remove_runtime_dir

if TYPE_CHECKING:
    from chapiteau.run.api.status import (
        ServiceSummaries,
        SocketHolders,
        StatsMessage,
        SupervisorStatus,
    )
    from chapiteau.run.supervisor.config_applier import ConfigApplier

__all__ = ["Supervisor"]

_AT_ONCE: Final = 16  # services that are started in one turn, when all are
_WHILE_STOPPING: Final = ("stop", "signal", "reopen")  # commands that are taken then
_EARLIER: Final = "the brain before"  # who gave a command that it did not live to carry out


class Supervisor:
    """Made by the brain; `begin` adopts what runs and starts what is wanted."""

    def __init__(self, context: Context, internal: Mapping[str, Service]) -> None:
        """`internal`: services of Chapiteau's own, like the dashboard."""
        self._context, self._internal = context, internal
        run_dir = context.config.run_dir
        self._desired = DesiredState(run_dir / "state.json", context.link)
        self._services = Services(
            context.host, context.sockets, context.store, self._desired, self._on_change
        )
        self._drain = Drain(context, self._services)
        self._shutdown = Shutdown(context, self._services, self._forget)
        self._status = StatusReader(context, self._services, self._drain)
        self._sampler = StatsSampler(context, self._services)
        self._listeners = 0  # who follow the statistics
        self._notify: NotifySocket | None = None
        self._applier: ConfigApplier | None = None
        self._access_listeners: list[Callable[[Access], None]] = []
        self._applying: dict[str, Any] | None = None  # what the brain before was about to apply

    # ── the start ───────────────────────────────────────────────────────────────────────────
    async def begin(self, hello: Hello, only: tuple[str, ...] = ()) -> None:
        """Bind, adopt, start. Raises BindError (then nothing was started)."""
        context = self._context
        link, host = context.link, context.host
        link.base(context.spawning.inherited)
        await self._clean_up(hello)
        if "null" not in hello["fds"]:  # a brain before us may have died before it did this
            host.run(link.store("null", os.open(os.devnull, os.O_RDONLY)))
        await bind_sockets(context, hello["fds"])
        await context.sockets.restore(hello["fds"])
        await context.store.restore(hello["fds"])
        for name, spec in context.config.spec.service.items():
            self._services.add(name, spec)
        for name, spec in self._internal.items():
            self._services.add(name, spec, internal=True)
        found = adopt_processes(context, self._services)
        # Not before: what was said while no brain lived must find the process that said it.
        handler = NotifyHandler(host, context.store)
        self._notify = NotifySocket(context.notify, handler.on_message)
        link.listen(self)
        if how := hello.get("brain_died"):
            host.emit("supervisor.brain_died", how)
        data = {"attached": found, "brain_starts": hello["brain_starts"]}
        host.emit("supervisor.started", data=data)
        if self._shutdown.resume(hello):
            return
        self._applying = hello["notes"].get(APPLYING)
        await self._switch_on(set(only))
        if self._applying is not None and not context.host.read_only:
            host.run(self._resume_apply(self._applying))

    async def _clean_up(self, hello: Hello) -> None:
        """Kill what nobody looks after any more."""
        context = self._context
        origin, link, host = context.origin, context.link, context.host
        if origin.restarts == 0 or UNKNOWN in hello["notes"]:
            run_dir = context.config.run_dir
            killed = await kill_orphans(
                context.registry, context.cgroups, run_dir, origin.keeper_pid
            )
            text = f"killed {killed} processes left by a previous supervisor"
            context.registry.begin()
            link.note("started", origin.started_wall)
            link.note(UNKNOWN, None)
        else:
            killed = kill_helpers(origin.keeper_pid)
            text = f"killed {killed} hooks and probes left by a previous brain"
        if killed:
            host.emit("supervisor.swept", text)

    async def _switch_on(self, only: set[str]) -> None:
        """Start what was wanted before us; on a first start what starts by itself, or `only`."""
        needs = {one.name: one.spec.needs for one in self._services.configured()}
        chosen = with_needs(only, needs) if only else None
        for index, service in enumerate(self._services):
            if index and index % _AT_ONCE == 0:  # the keeper begins with these meanwhile
                for _ in range(2):  # each service's own turn, then that of its processes
                    await asyncio.sleep(0)
            if not self._shutdown.begun and self._services.get(service.name) is service:
                await self._switch_on_one(service, chosen)
        if self._drain.begun:
            self._services.pause()
            self._drain.resume()
        else:
            self._services.resume()

    async def _switch_on_one(self, service: ServiceController, chosen: set[str] | None) -> None:
        before = self._desired.found.get(service.name)
        wanted = service.spec.starts_by_itself if before is None else before.on
        if before is None and chosen is not None and service.name not in self._services.internal:
            wanted = service.name in chosen
        over = not service.on and not service.quiet
        if over and before is not None and not wanted:  # the brain before died over its stop
            await self._services.run("stop", service, {"wait": False}, _EARLIER)
        elif service.on and service.spec.is_job:
            return  # the brain before had started it: it runs, is over, or its exit is judged
        elif (service.on or wanted) and not self._drain.begun:
            service.switch_on(inherited=before is not None)
            if max(service.replicas, default=0) > service.wanted:  # … or over its scaling down
                options = {"processes": service.wanted, "wait": False}
                await self._services.run("scale", service, options, _EARLIER)
            if before is not None and before.reload_to and not self._applying:
                self._services.resume_reload(service, before.reload_to, _EARLIER)

    def _on_change(self, service: ServiceController) -> None:
        """Something about a service has changed."""
        self._context.registry.changed()
        if self._context.host.read_only:
            return
        if not self._shutdown.begun:
            self._desired.put(service.name, service.wish())
        self._shutdown.check(service)

    # ── what the keeper says (KeeperListener) ───────────────────────────────────────────────
    def on_exit(self, key: str, frame: ExitFrame) -> None:
        """A process has ended."""
        self._context.host.on_exit(key, frame)

    def on_asked(self, what: str) -> None:
        """A signal came, or the terminal that started us has gone."""
        if what == "reload":
            self._context.host.run(self._reload_config())
        elif self._shutdown.begun and what == "stop":
            self._shutdown.force()
        else:
            gone = "whoever started it has gone"
            self._shutdown.begin("asked by a signal" if what == "stop" else gone)

    def on_keeper_gone(self) -> None:
        """It was killed: another is made, and this brain ends."""
        recover_keeper(self._context)

    async def _reload_config(self) -> None:
        outcome = await self.apply_config(dry_run=False, who="SIGHUP")
        if not outcome.ok:
            self._context.host.emit("command.done", outcome.error, who="SIGHUP")

    # ── the control API (SupervisorApi) ─────────────────────────────────────────────────────
    def status(self) -> "SupervisorStatus":
        """The state now."""
        return self._status.snapshot()

    def services(self) -> "ServiceSummaries":
        """The services in few words."""
        return service_summaries(self._services)

    async def command(
        self, verb: str, service: str, options: Mapping[str, Any], who: str
    ) -> Outcome:
        """Run it on every service that is meant, side by side; what came of it."""
        if self._shutdown.begun and verb not in _WHILE_STOPPING:
            return Outcome(ok=False, error="the supervisor is shutting down", exit_code=4)
        if (outcome := await self._drain.run(verb, who)) is not None:
            return outcome
        try:
            return merge_outcomes(await self._services.run_all(verb, service, options, who))
        except NotFoundError as exc:
            return Outcome.failed(exc)

    async def apply_config(self, *, dry_run: bool, who: str) -> Outcome:
        """Read the file again and follow it, whole or not at all."""
        return await self._config_applier().apply_file(dry_run=dry_run, actor=who)

    async def configure(
        self, service: str, settings: Mapping[str, Any], reset: Sequence[str], who: str
    ) -> Outcome:
        """Other settings for services, until the file is followed again."""
        return await self._config_applier().change_settings(service, settings, reset, who)

    async def _resume_apply(self, noted: dict[str, Any]) -> None:
        """Complete the change of the configuration that the brain before died over."""
        if noted:
            outcome = await self.configure(**noted, who=_EARLIER)
        else:
            outcome = await self.apply_config(dry_run=False, who=_EARLIER)
        self._context.host.emit(
            "command.done", f"reload: {outcome.text if outcome.ok else outcome.error}",
            who=_EARLIER, data={"verb": "reload", "ok": outcome.ok},
        )  # fmt: skip

    def _config_applier(self) -> "ConfigApplier":
        if self._applier is None:
            from chapiteau.run.supervisor.config_applier import ConfigApplier

            self._applier = ConfigApplier(
                self._context, self._services, self._drain, self._access_changed
            )
        return self._applier

    def on_access(self, listener: Callable[[Access], None]) -> None:
        """Call it when a changed file lets others in."""
        self._access_listeners.append(listener)

    def _access_changed(self, access: Access) -> None:
        for listener in self._access_listeners:
            listener(access)

    async def upgrade(self, who: str) -> Outcome:
        """Keeper and brain become those that are installed now; services go on."""
        return await reexec(self._context, who)

    async def shutdown(self, who: str, *, force: bool = False) -> None:
        """Stop everything, then the supervisor. Returns at once; with `force` without grace."""
        self._shutdown.begin(f"asked by {who}")
        self._drain.forget()
        if force:
            self._shutdown.force()

    async def enter(self, service: str, text: str, options: Mapping[str, Any], who: str) -> Outcome:
        """Input for a process."""
        try:
            return write_stdin(self._services.named(service), text, options)
        except NotFoundError as exc:
            return Outcome.failed(exc)

    def screen(self, service: str, process: int) -> AsyncGenerator[bytes, None]:
        """What a process prints from now on. Raises NotFoundError."""
        return stream_output(self._services.named(service), self._context.output, process)

    async def holders(self, socket: str) -> "SocketHolders":
        """Every process that has this listening socket open. Raises NotFoundError."""
        return await self._status.holders(socket)

    def message(self, text: str, service: str, data: Mapping[str, Any], who: str) -> None:
        """A plugin, or another program, has something to say."""
        host = self._context.host
        host.emit("plugin.message", text, service=service, who=who, data=dict(data))

    def config(self) -> dict[str, Any]:
        """The running configuration; secrets are shown by their place only."""
        config = self._context.config
        return asdict(config.spec) | {"set": config.overrides}

    async def events(self, after: int, *, follow: bool) -> AsyncIterator[Event | Gap]:
        """Kept events with a greater number, then new ones."""
        async for event in self._context.events.stream(after, follow=follow):
            yield event

    async def logs(self, query: LogQuery) -> AsyncIterator[LogLine | Gap | PreviousPage]:
        """Kept lines, then new ones."""
        async for line in self._context.output.lines(query):
            yield line

    async def stats(self) -> AsyncIterator["StatsMessage"]:
        """One message a second; listeners share the work of one look."""
        self._listeners += 1
        try:
            while True:
                yield self._sampler.message()
                await asyncio.sleep(1.0)
        finally:
            self._listeners -= 1
            if not self._listeners:
                self._sampler.close()

    # ── the end ─────────────────────────────────────────────────────────────────────────────
    async def ended(self) -> tuple[int, ChapiteauError | None]:
        """Wait until everything has ended; the exit code, and why it ended by itself."""
        await self._shutdown.finished.wait()
        return self._shutdown.code, self._shutdown.error

    def _forget(self) -> None:
        """A clean end: nothing is left to remember."""
        self._desired.clear()
        self._context.registry.clear()

    def close(self) -> None:
        """Close files and sockets, remove what they have on disk and in the cgroups."""
        context = self._context
        if self._notify is not None:
            self._notify.close()
        context.output.close()
        context.output.dropped.close()
        context.events.close()
        context.cgroups.remove_all()
        context.sockets.close()
        run_dir, notify = context.config.run_dir, context.spawning.notify_path
        remove_runtime_dir(run_dir)
        remove_control_socket(run_dir, beside=(notify.name,))
