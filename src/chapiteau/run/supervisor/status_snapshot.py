"""Builds what `status`, the dashboard and the metrics show."""

import asyncio
import os
import socket
from collections.abc import Container, Iterable

from chapiteau.core.errors import NotFoundError
from chapiteau.core.problems import Problem, did_you_mean
from chapiteau.io.version import own_version
from chapiteau.run.api.status import (
    Holder,
    ProcessStatus,
    ServiceStatus,
    ServiceSummaries,
    ServiceSummary,
    SocketHolders,
    SocketStatus,
    SupervisorStatus,
)
from chapiteau.run.config.command import shown_command
from chapiteau.run.config.overrides import drift
from chapiteau.run.process.process import NEVER, Process
from chapiteau.run.process.replica import Replica
from chapiteau.run.process.states import State
from chapiteau.run.supervisor.context import Context
from chapiteau.run.supervisor.drain import Drain
from chapiteau.run.supervisor.service_controller import ServiceController
from chapiteau.run.supervisor.services import Services
from chapiteau.run.system.port_owner import socket_owners
from chapiteau.run.system.process_tree import parent_of
from chapiteau.run.system.runtime_dirs import dashboard_facts
from chapiteau.run.system.sockets import socket_mode
from chapiteau.run.system.usage import Meter, Usage, fds_of

__all__ = ["StatusReader", "service_summaries", "supervisor_usage"]


class StatusReader:
    """Reads what runs and changes nothing."""

    def __init__(self, context: Context, services: Services, drain: Drain) -> None:
        self._context, self._services, self._drain = context, services, drain
        self._meter = Meter(context.clock)

    def snapshot(self) -> SupervisorStatus:
        """The state now; reads /proc for every process."""
        context = self._context
        services = tuple(self._service(one) for one in self._services)
        own = supervisor_usage(context, self._meter)
        return SupervisorStatus(
            project=context.config.spec.project.name,
            node=socket.gethostname(),
            pid=os.getpid(),
            keeper_pid=context.origin.keeper_pid,
            version=own_version(),
            config=str(context.config.path),
            generation=context.config.generation,
            started_at=context.origin.started_wall,
            brain_restarts=context.origin.restarts,
            services=services,
            sockets=tuple(self._sockets()),
            problems=(*self._whole(), *_problems(services), *self._unlimited()),
            cpu_percent=own.cpu_percent,
            rss_bytes=own.rss_bytes,
            cgroups=context.cgroups.summary,
            dashboard=str(dashboard_facts(context.config.run_dir).get("base", "")),
            last_event=context.events.seq,
            drained=self._drain.facts(),
            labels=context.config.spec.project.labels,
        )

    # ── services ────────────────────────────────────────────────────────────────────────────
    def _service(self, service: ServiceController) -> ServiceStatus:
        replicas = [service.replicas[number] for number in sorted(service.replicas)]
        idle_stop, held = service.spec.idle_stop, self._services.why_held(service.name)
        return ServiceStatus(
            name=service.name,
            state="reloading" if held and service.state == "running" else _shown(service),
            reason=service.reason or self._context.host.hooks.running(service.name) or held,
            wanted=service.wanted,
            ready=service.ready_count,
            processes=tuple(p for one in replicas for p in self._processes(one)),
            command=shown_command(service.spec),
            one_shot=service.spec.one_shot,
            sockets=service.spec.sockets,
            needs=service.spec.needs,
            restarts=sum(one.restarts for one in replicas),
            dropped_bytes=self._context.output.dropped.totals[service.name],
            schedule=service.spec.schedule,
            next_run=self._services.next_run(service.name),
            openapi=self._url_of(service, "openapi", "/openapi.json"),
            # Who asks a service that sleeps when nobody comes would keep it awake.
            metrics=self._url_of(service, "metrics", "" if idle_stop else "/metrics"),
            labels=service.spec.labels,
            drift=self._drift(service),
        )

    def _url_of(self, service: ServiceController, what: str, own: str) -> str:
        """Where a service publishes `what`, as its label says; one of ours at the path `own`."""
        label = service.spec.labels.get(what, own if service.spec.app else "")
        if label.startswith(("http://", "https://")):
            return label
        if not label or not service.spec.sockets:
            return ""
        fact = self._context.sockets.facts.get(service.spec.sockets[0])
        return f"http://{fact.address}{label}" if fact is not None and fact.port else ""

    def _drift(self, service: ServiceController) -> tuple[str, ...]:
        """What runs otherwise than the file says: set at run time, or scaled."""
        config, spec = self._context.config, service.spec
        base, own = config.base.service.get(service.name), config.overrides.get(service.name)
        found = tuple(drift(base, spec, own)) if own else ()
        if base is None or service.wanted == spec.processes or spec.scaling is not None:
            return found
        back = f"chapiteau scale {service.name}={base.processes}"
        return (*found, f"scaled to {service.wanted} (file: {base.processes}; `{back}` goes back)")

    def _processes(self, replica: Replica) -> list[ProcessStatus]:
        """The number's own process, then those that it has replaced, until they have ended."""
        reason = replica.reason
        if replica.state is State.BACKOFF and replica.retry_at:
            left = max(0.0, replica.retry_at - self._context.clock.wall())
            reason = f"{reason}; next try in {left:.0f} s"
        works = replica.spec.is_job and replica.process is not None
        state = State.RUNNING if works and replica.state is State.STARTING else replica.state
        first = self._process(replica, replica.process, state.value, reason)
        retiring = [
            self._process(replica, old, "draining", _why_draining(old, self._context.clock.now()))
            for old in replica.retiring
            if old.alive
        ]
        return [first, *retiring]

    def _process(
        self, replica: Replica, process: Process | None, state: str, reason: str
    ) -> ProcessStatus:
        last_exit = replica.last_exit.to_dict() if replica.last_exit is not None else {}
        if process is None or not process.alive:
            return ProcessStatus(
                number=replica.number,
                pid=0,
                state=state,
                reason=reason,
                restarts=replica.restarts,
                generation=replica.generation,
                last_exit=last_exit,
            )
        usage = self._meter.look(process.pid, self._context.clock.now() - process.began)
        if usage.halted and not reason:
            reason = f"halted by SIGSTOP or a debugger; `kill -CONT {process.pid}` lets it go on"
        return ProcessStatus(
            number=replica.number,
            pid=process.pid,
            state=state,
            reason=reason,
            ready=process.ready,
            started_at=process.began_wall,
            restarts=replica.restarts,
            generation=process.generation,
            cpu_percent=usage.cpu_percent,
            rss_bytes=usage.rss_bytes,
            threads=usage.threads,
            fds=fds_of(process.pid),
            status_text=process.status_text,
            health=process.health,
            extra=process.extra,
            last_exit=last_exit,
        )

    # ── sockets ─────────────────────────────────────────────────────────────────────────────
    def _sockets(self) -> list[SocketStatus]:
        sockets, config = self._context.sockets, self._context.config
        found = []
        for name, spec in config.spec.socket.items():
            users = tuple(
                one.name
                for one in self._services
                if name in (*one.spec.sockets, one.spec.stdin_socket)
            )
            fact = sockets.facts.get(name)
            found.append(
                SocketStatus(
                    name=name,
                    address=fact.address if fact else f"{spec.host}:{spec.port} (not bound)",
                    type=spec.type,
                    backlog=spec.backlog,
                    queued=sockets.queued(name),
                    services=users,
                    rights=socket_mode(config.folder / spec.path) if spec.path else "",
                )
            )
        return found

    async def holders(self, name: str) -> SocketHolders:
        """Who has the socket open: looked for in a thread, since all of /proc is read.

        Raises NotFoundError.
        """
        sockets = self._context.sockets
        if name not in sockets.bound:
            hint = did_you_mean(name, sockets.bound)
            raise NotFoundError(f"no socket {name!r} is bound", hint=hint)
        inodes = {os.fstat(one.fileno()).st_ino for one in sockets.all_of(name)}
        known = {one.pid: one for service in self._services for one in service.processes()}
        parts = {os.getpid(): "brain", self._context.origin.keeper_pid: "keeper"}

        def look() -> SocketHolders:
            found, hidden = socket_owners(inodes)
            made = []
            for pid, command in found:
                owner = known.get(_nearest(pid, known))
                made.append(
                    Holder(
                        pid=pid,
                        name=command,
                        service=owner.service if owner else "",
                        process=owner.number if owner else 0,
                        part=parts.get(pid, ""),
                    )
                )
            return SocketHolders(name=name, holders=tuple(made), hidden=hidden)

        return await asyncio.to_thread(look)

    # ── problems of the whole ───────────────────────────────────────────────────────────────
    def _whole(self) -> list[Problem]:
        """First of all: nothing is started or restarted any more."""
        found = []
        if why := self._context.origin.safe_mode:
            hint = "see supervisor.log; `chapiteau run upgrade` lets it act again"
            found.append(Problem("supervisor", f"is read-only (safe mode): {why}", hint))
        if drained := self._drain.facts():
            left = f"; still at work: {', '.join(drained['left'])}" if drained["left"] else ""
            what = f"drained by {drained['who']}: nothing starts{left}"
            found.append(Problem("", what, "`chapiteau undrain` lets it work again"))
        return found

    def _unlimited(self) -> list[Problem]:
        """Limits that the configuration asks for and this machine can't give."""
        return [
            Problem(name, what, "`chapiteau check` tells what there is instead")
            for name, what in self._context.limits_missing.items()
        ]


def supervisor_usage(context: Context, meter: Meter) -> Usage:
    """What keeper and brain use together, without the services below them."""
    origin, clock = context.origin, context.clock
    age = clock.now() - origin.began
    brain = meter.look(os.getpid(), age, alone=True)
    if origin.keeper_pid == os.getpid():  # without a keeper both are one
        return brain
    older = clock.wall() - origin.started_wall
    keeper = meter.look(origin.keeper_pid, max(age, older), alone=True)
    return Usage(
        brain.cpu_seconds + keeper.cpu_seconds,
        brain.rss_bytes + keeper.rss_bytes,
        brain.threads + keeper.threads,
        round(brain.cpu_percent + keeper.cpu_percent, 2),
    )


def _why_draining(old: Process, now: float) -> str:
    """What a process beside the number's own is, since when, and what ends it."""
    what = "of a reload that its brain died over" if old.candidate else "replaced"
    if not old.stop_sent:
        return f"{what}, gets its stop signal after `drain` ({old.spec.drain:g} s)"
    if old.stop_by == NEVER:
        return f"{what} and killed; it ends when its I/O does (see /proc/{old.pid}/stack)"
    left = max(0.0, old.stop_by - now)
    ago = max(0.0, old.spec.stop_timeout - left)
    return f"{what}, finishes its work: asked to end {ago:.0f} s ago, killed in {left:.0f} s"


def _shown(service: ServiceController) -> str:
    """A job never gets ready: while it works people call it running."""
    works = service.spec.is_job and any(True for _ in service.processes())
    return "running" if works and service.state == "starting" else service.state


def _nearest(pid: int, known: Container[int]) -> int:
    """The process itself or its nearest ancestor that is known; 0 when there is none."""
    while pid > 1 and pid not in known:
        pid = parent_of(pid)
    return pid if pid in known else 0


def _problems(services: tuple[ServiceStatus, ...]) -> list[Problem]:
    """What a person should look at, worst first."""
    found = []
    for service in services:
        if service.state in ("failed", "backoff"):
            exits = [p.last_exit for p in service.processes if p.last_exit]
            last = max(exits, key=lambda e: e.get("time", 0.0)) if exits else {}
            cause = last.get("cause") or service.reason or last.get("text", "")
            hint = last.get("hint") or f"chapiteau logs {service.name}"
            word = "gave up" if service.state == "failed" else "restarts in a loop"
            found.append(Problem(service.name, f"{word}: {cause}", hint))
        elif service.state == "waiting":
            found.append(Problem(service.name, service.reason, ""))
    found.sort(key=lambda p: "gave up" not in p.what)
    return found


# Builds the shortest answer to "what runs?": from memory alone, nothing of /proc.


def service_summaries(services: Iterable[ServiceController]) -> ServiceSummaries:
    """As run/api/status.py has it, as plain values: five hundred services in a millisecond."""
    return {"services": [_summary(one) for one in services]}


def _summary(service: ServiceController) -> ServiceSummary:
    ready, pids = 0, []
    for replica in service.replicas.values():
        if (now := replica.process) is not None:
            ready += now.ready
            pids.append(now.pid)
        if replica.retiring:
            pids += [old.pid for old in replica.retiring if old.alive]
    if service.reload is not None:
        pids += [new.pid for new in service.reload.candidates]
    return {
        "name": service.name,
        "state": service.state,
        "ready": ready,
        "wanted": service.wanted,
        "pids": pids,
        "reason": service.reason,
    }
