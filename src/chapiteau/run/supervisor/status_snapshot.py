"""Builds what `status`, the dashboard and the metrics show."""

import asyncio
import json
import os
import socket
from collections.abc import Container, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chapiteau.core.errors import NotFoundError
from chapiteau.core.problems import Problem, did_you_mean
from chapiteau.io.version import own_version
from chapiteau.run.api.status import (
    Holder,
    ProcessStatus,
    ServiceStatus,
    SocketHolders,
    SocketStatus,
    SupervisorStatus,
)
from chapiteau.run.config.command import shown_command
from chapiteau.run.config.overrides import drift
from chapiteau.run.process.process import Process
from chapiteau.run.process.replica import Replica
from chapiteau.run.process.states import State
from chapiteau.run.supervisor.service_controller import ServiceController
from chapiteau.run.system.port_owner import socket_owners
from chapiteau.run.system.process_tree import parent_of
from chapiteau.run.system.sockets import socket_mode
from chapiteau.run.system.usage import Meter, Usage, fds_of

if TYPE_CHECKING:
    from chapiteau.run.supervisor.supervisor import Supervisor

__all__ = [
    "dashboard_url",
    "service_summaries",
    "socket_holders",
    "status_snapshot",
    "supervisor_usage",
]


def status_snapshot(supervisor: "Supervisor", meter: Meter) -> SupervisorStatus:
    """The state now; reads /proc for every process."""
    services = tuple(_service(runner, supervisor, meter) for runner in supervisor.runners.values())
    own = supervisor_usage(supervisor, meter)
    return SupervisorStatus(
        project=supervisor.spec.project.name,
        node=socket.gethostname(),
        pid=os.getpid(),
        keeper_pid=supervisor.keeper_pid,
        version=own_version(),
        config=str(supervisor.config_path),
        generation=supervisor.generation,
        started_at=supervisor.started_wall,
        brain_restarts=supervisor.brain_restarts,
        services=services,
        sockets=tuple(_sockets(supervisor)),
        problems=(*_whole(supervisor), *_problems(services), *_unlimited(supervisor)),
        cpu_percent=own.cpu_percent,
        rss_bytes=own.rss_bytes,
        cgroups=supervisor.cgroups.summary,
        dashboard=dashboard_url(supervisor.run_dir),
        last_event=supervisor.events_log.seq,
        drained=supervisor.drain.facts(),
        labels=supervisor.spec.project.labels,
    )


def supervisor_usage(supervisor: "Supervisor", meter: Meter) -> Usage:
    """What keeper and brain use together, without the services below them."""
    age = supervisor.clock.now() - supervisor.began
    brain = meter.look(os.getpid(), age, alone=True)
    if supervisor.keeper_pid == os.getpid():  # without a keeper both are one
        return brain
    older = supervisor.clock.wall() - supervisor.started_wall
    keeper = meter.look(supervisor.keeper_pid, max(age, older), alone=True)
    return Usage(
        brain.cpu_seconds + keeper.cpu_seconds,
        brain.rss_bytes + keeper.rss_bytes,
        brain.threads + keeper.threads,
        round(brain.cpu_percent + keeper.cpu_percent, 2),
    )


def dashboard_url(run_dir: Path) -> str:
    """Where the dashboard says that it is; "" when there is none."""
    try:
        facts: dict[str, Any] = json.loads((run_dir / "dash.json").read_text())
        return str(facts.get("url", ""))
    except (OSError, ValueError, AttributeError):
        return ""


def _service(runner: ServiceController, supervisor: "Supervisor", meter: Meter) -> ServiceStatus:
    slots = [runner.slots[number] for number in sorted(runner.slots)]
    return ServiceStatus(
        name=runner.name,
        state=_shown(runner),
        reason=runner.reason,
        wanted=runner.wanted,
        ready=runner.ready_count,
        processes=tuple(p for slot in slots for p in _processes(slot, supervisor, meter)),
        command=shown_command(runner.spec),
        one_shot=runner.spec.one_shot,
        sockets=runner.spec.sockets,
        needs=runner.spec.needs,
        restarts=sum(slot.restarts for slot in slots),
        dropped_bytes=supervisor.output.dropped.totals[runner.name],
        schedule=runner.spec.schedule,
        next_run=supervisor.next_runs.get(runner.name, 0.0),
        openapi=supervisor.url_of(runner, "openapi", "/openapi.json"),
        # Who asks a service that sleeps when nobody comes would keep it awake.
        metrics=supervisor.url_of(runner, "metrics", "" if runner.spec.idle_stop else "/metrics"),
        labels=runner.spec.labels,
        drift=_drift(runner, supervisor),
    )


def _shown(runner: ServiceController) -> str:
    """A job never gets ready: while it works people call it running."""
    works = runner.spec.is_job and any(True for _ in runner.instances())
    return "running" if works and runner.state == "starting" else runner.state


def _drift(runner: ServiceController, supervisor: "Supervisor") -> tuple[str, ...]:
    """What runs otherwise than the file says: set at run time, or scaled."""
    base, own = supervisor.base.service.get(runner.name), supervisor.overrides.get(runner.name)
    found = tuple(drift(base, runner.spec, own)) if own else ()
    if base is None or runner.wanted == runner.spec.processes or runner.spec.scaling is not None:
        return found
    back = f"chapiteau scale {runner.name}={base.processes}"
    return (*found, f"scaled to {runner.wanted} (file: {base.processes}; `{back}` goes back)")


def _processes(slot: Replica, supervisor: "Supervisor", meter: Meter) -> list[ProcessStatus]:
    """The number's own process, then those that it replaced and that still finish their work."""
    now = supervisor.clock.now()
    reason = slot.reason
    if slot.state is State.BACKOFF and slot.retry_at:
        left = max(0.0, slot.retry_at - supervisor.clock.wall())
        reason = f"{reason}; next try in {left:.0f} s"
    works = slot.spec.is_job and slot.instance is not None and slot.state is State.STARTING
    state = State.RUNNING if works else slot.state
    first = _process(slot, slot.instance, state.value, reason, now, meter)
    retiring = [
        _process(slot, old, "draining", "replaced, finishes its work", now, meter)
        for old in slot.retiring
    ]
    return [first, *retiring]


def _process(
    slot: Replica, instance: Process | None, state: str, reason: str, now: float, meter: Meter
) -> ProcessStatus:
    if instance is None:
        return ProcessStatus(
            number=slot.number,
            pid=0,
            state=state,
            reason=reason,
            restarts=slot.restarts,
            generation=slot.generation,
            last_exit=slot.last_exit,
        )
    usage = meter.look(instance.pid, now - instance.began)
    if usage.halted and not reason:
        reason = f"halted by SIGSTOP or a debugger; `kill -CONT {instance.pid}` lets it go on"
    return ProcessStatus(
        number=slot.number,
        pid=instance.pid,
        state=state,
        reason=reason,
        ready=instance.ready,
        started_at=instance.began_wall,
        restarts=slot.restarts,
        generation=instance.generation,
        cpu_percent=usage.cpu_percent,
        rss_bytes=usage.rss_bytes,
        threads=usage.threads,
        fds=fds_of(instance.pid),
        status_text=instance.status_text,
        health=instance.health,
        extra=instance.extra,
        last_exit=slot.last_exit,
    )


async def socket_holders(supervisor: "Supervisor", name: str) -> SocketHolders:
    """Who has the socket open: looked for in a thread, since all of /proc is read."""
    bound = supervisor.bound.get(name)
    if bound is None:
        hint = did_you_mean(name, supervisor.bound)
        raise NotFoundError(f"no socket {name!r} is bound", hint=hint)
    inodes = {os.fstat(s.fileno()).st_ino for s in (bound, *supervisor.per_process.of(name))}
    known = {i.pid: i for runner in supervisor.runners.values() for i in runner.instances()}
    parts = {os.getpid(): "brain", supervisor.keeper_pid: "keeper"}

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


def _nearest(pid: int, known: Container[int]) -> int:
    """The process itself or its nearest ancestor that is known; 0 when there is none."""
    while pid > 1 and pid not in known:
        pid = parent_of(pid)
    return pid if pid in known else 0


def _sockets(supervisor: "Supervisor") -> list[SocketStatus]:
    found = []
    for name, spec in supervisor.spec.socket.items():
        bound = supervisor.bound.get(name)
        users = tuple(
            runner.name
            for runner in supervisor.runners.values()
            if name in (*runner.spec.sockets, runner.spec.stdin_socket)
        )
        address = supervisor.around.sockets[name].address if bound else ""
        found.append(
            SocketStatus(
                name=name,
                address=address or f"{spec.host}:{spec.port} (not bound)",
                type=spec.type,
                backlog=spec.backlog,
                queued=supervisor.per_process.queued(name),
                services=users,
                rights=socket_mode(supervisor.config_path.parent / spec.path) if spec.path else "",
            )
        )
    return found


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


def _whole(supervisor: "Supervisor") -> list[Problem]:
    """First of all: nothing is started or restarted any more."""
    found = []
    if why := supervisor.only_looks:
        hint = "see supervisor.log; `chapiteau run upgrade` lets it act again"
        found.append(Problem("supervisor", f"only looks (safe mode): {why}", hint))
    if drained := supervisor.drain.facts():
        left = f"; still at work: {', '.join(drained['left'])}" if drained["left"] else ""
        what = f"drained by {drained['who']}: nothing starts{left}"
        found.append(Problem("", what, "`chapiteau undrain` lets it work again"))
    return found


def _unlimited(supervisor: "Supervisor") -> list[Problem]:
    """Limits that the configuration asks for and this machine can't give."""
    return [
        Problem(name, what, "`chapiteau check` tells what there is instead")
        for name, what in supervisor.limits_missing.items()
    ]


# Builds the shortest answer to "what runs?": from memory alone, nothing of /proc.


def service_summaries(runners: Iterable[ServiceController]) -> dict[str, Any]:
    """As run/api/status.py has it, as plain values: five hundred services in a millisecond."""
    return {"services": [_brief_service(runner) for runner in runners]}


def _brief_service(runner: ServiceController) -> dict[str, Any]:
    ready, pids = 0, []
    for slot in runner.slots.values():
        if (now := slot.instance) is not None:
            ready += now.ready
            pids.append(now.pid)
        if slot.retiring:
            pids += [old.pid for old in slot.retiring]
    if runner.reload is not None:
        pids += [new.pid for new in runner.reload.candidates]
    return {
        "name": runner.name,
        "state": runner.state,
        "ready": ready,
        "wanted": runner.wanted,
        "pids": pids,
        "reason": runner.reason,
    }
