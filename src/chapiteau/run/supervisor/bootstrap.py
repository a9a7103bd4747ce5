"""What a brain does first: take over from the keeper what was there before, make what was not."""

import hashlib
import os
import resource
import signal
import socket
from collections import defaultdict
from pathlib import Path

from chapiteau.io.clock import SystemClock
from chapiteau.run.event_log import EventLog
from chapiteau.run.keeper.frames import Child, Hello
from chapiteau.run.logs.collector import LogCollector
from chapiteau.run.process.environment import inheritable
from chapiteau.run.process.fdstore import FdStore
from chapiteau.run.process.host import ProcessHost
from chapiteau.run.process.keeper_link import KeeperLink
from chapiteau.run.process.notify import NotifySocket
from chapiteau.run.process.process import Process
from chapiteau.run.process.replica import Replica
from chapiteau.run.process.sockets import Sockets
from chapiteau.run.process.spawn import SpawnContext, Spawner
from chapiteau.run.supervisor.context import Context, Origin
from chapiteau.run.supervisor.process_registry import ProcessRegistry
from chapiteau.run.supervisor.running_config import RunningConfig
from chapiteau.run.supervisor.services import Services
from chapiteau.run.supervisor.sockets import inherited_sockets
from chapiteau.run.system.cgroups import Cgroups, find_cgroups, unavailable_limits_text
from chapiteau.run.system.runtime_dirs import runtime_dir
from chapiteau.run.system.sockets import bind_socket

__all__ = ["adopt_processes", "bind_sockets", "build_context", "found_process"]


async def build_context(
    link: KeeperLink, config: RunningConfig, argv: tuple[str, ...], safe_mode: str = ""
) -> tuple[Context, Hello]:
    """Greet the keeper and put together what every part of the brain is given."""
    run_dir, clock = config.run_dir, SystemClock()
    began, now = clock.now(), clock.wall()
    name = f"{config.spec.project.name}-{_short(run_dir)}"
    no_cgroups = Cgroups(None, None, "not used without a keeper")
    cgroups = no_cgroups if link.in_process else find_cgroups(name)
    events = EventLog(run_dir / "events.jsonl", clock)
    output = LogCollector(run_dir / "log", clock, events.emit)
    limits_missing: dict[str, str] = {}

    def report_missing(service: str, files: list[str], why: str) -> None:
        """A limit that was asked for and can't be had here must not look as if it held."""
        limits_missing[service] = text = unavailable_limits_text(files, why)
        events.emit("service.unlimited", text, service=service, data={"files": files})

    hello = await link.hello()
    notify = await _open_notify(link, runtime_dir(run_dir) / "notify.sock", hello["fds"])
    sockets, store = Sockets(link, config.folder, events.emit), FdStore(link)
    spawn_context = SpawnContext(
        folder=config.folder,
        run_dir=run_dir,
        notify_path=Path(notify.getsockname()),  # an older version's, perhaps
        cgroups=cgroups,
        name=name,
        inherited=inheritable(os.environ),
        withheld=config.withheld,
        keeper_pid=hello["pid"],
        no_new_privs=hello["no_new_privs"],
    )
    spawner = Spawner(link, spawn_context, sockets, store, clock, report_missing)
    host = ProcessHost(
        link, spawner, output, events, clock, config.log_rule, read_only=bool(safe_mode)
    )
    owner_pid, owner_start = (*hello.get("owner", ()), 0, 0)[:2]
    origin = Origin(
        argv=argv,
        keeper_pid=hello["pid"],
        restarts=hello["brain_starts"] - 1,
        owner=(owner_pid, owner_start),
        started_wall=hello["notes"].get("started", now),
        began=began,
        limit=(hello["nofile"], resource.getrlimit(resource.RLIMIT_NOFILE)[1]),
        safe_mode=safe_mode,
    )
    context = Context(
        origin=origin,
        config=config,
        link=link,
        clock=clock,
        events=events,
        output=output,
        cgroups=cgroups,
        sockets=sockets,
        store=store,
        host=host,
        spawning=spawn_context,
        registry=ProcessRegistry(run_dir / "processes.json", name, host.processes.values),
        notify=notify,
        limits_missing=limits_missing,
    )
    return context, hello


def _short(path: Path) -> str:
    return hashlib.sha256(str(path).encode()).hexdigest()[:8]


async def _open_notify(link: KeeperLink, path: Path, stored: list[str]) -> socket.socket:
    """The socket on which processes speak; messages sent while no brain lived are still in it."""
    if "notify" in stored and (fd := await link.fetch("notify")) is not None:
        return socket.socket(fileno=fd)
    made = NotifySocket.bind(path)
    await link.store("notify", made.fileno())
    return made


async def bind_sockets(context: Context, stored: list[str]) -> None:
    """Fetch the sockets that the keeper holds; bind the others, all of them or none.

    Raises BindError.
    """
    wanted, folder = context.config.spec.socket, context.config.folder
    made = inherited_sockets(wanted, folder)
    try:
        for name, spec in wanted.items():
            if name in made:
                continue
            if f"socket/{name}" in stored:
                fd = await context.link.fetch(f"socket/{name}")
                if fd is not None:
                    context.sockets.register(name, spec, socket.socket(fileno=fd))
                    continue
            made[name] = bind_socket(name, spec, folder)
    except Exception:
        for bound in made.values():
            bound.close()
        raise
    for name, bound in made.items():
        await context.sockets.add(name, wanted[name], bound)


def adopt_processes(context: Context, services: Services) -> int:
    """Take over the processes that the keeper tells of; those of unknown services are killed.

    How many are alive.
    """
    host = context.host
    found: defaultdict[Replica, list[Process]] = defaultdict(list)
    for child, pipes in context.link.children:
        memo = child["memo"]
        service = services.get(memo["service"]) if memo else None
        if memo is None or service is None:
            for fd in pipes:
                os.close(fd)
            if not host.read_only:
                _kill(context, child)
            continue
        replica = service.replica(int(memo.get("number", 1)))
        process = found_process(child, replica, host)
        host.adopt(process, dict(zip(child["pipes"], pipes, strict=True)))
        found[replica].append(process)
    for replica, processes in found.items():
        services[replica.name].adopt(replica, processes)
    ends = [(child["key"], end) for child, _ in context.link.children if (end := child["exit"])]
    context.link.children.clear()
    for key, end in ends:  # it ended while no brain lived: now it is judged as ever
        host.on_exit(key, end)
    return sum(one.alive for processes in found.values() for one in processes)


def found_process(child: Child, replica: Replica, host: ProcessHost) -> Process:
    """A process as the keeper's memo tells of it, with the time that it has left."""
    memo, clock = child["memo"], host.clock
    assert memo is not None  # noqa: S101 — for the type checker
    now, wall = clock.now(), float(memo.get("wall", clock.wall()))
    process = Process(
        key=child["key"],
        service=replica.name,
        number=replica.number,
        spec=replica.spec,
        generation=int(memo.get("generation", 0)),
        on_change=replica.process_changed,
        began=now - max(0.0, clock.wall() - wall),
        began_wall=wall,
        pid=child["pid"],
        start=child["start"],
        cgroup=Path(memo["cgroup"]) if memo.get("cgroup") else None,
        ready=bool(memo.get("ready")),
        candidate=bool(memo.get("candidate")),
    )
    if host.read_only:
        return process
    if not (process.ready or replica.spec.is_job):
        ready_by = memo.get("ready_by", wall + replica.spec.ready.start_timeout)
        process.extend(now + ready_by - clock.wall())
    if stop_by := memo.get("stop_by"):
        process.stopping(now + stop_by - clock.wall())
    return process


def _kill(context: Context, child: Child) -> None:
    if child["memo"] and (group := child["memo"].get("cgroup")):
        Cgroups.kill(Path(group))
    for scope in ("process", "group"):
        context.link.tell("signal", key=child["key"], signal=int(signal.SIGKILL), scope=scope)
    context.link.tell("ack", key=child["key"])
