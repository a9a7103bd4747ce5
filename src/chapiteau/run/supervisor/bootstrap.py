"""What a brain does first: take over from the keeper what was there before, make what was not."""

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chapiteau.run.config.command import BoundSocket
from chapiteau.run.process.notify import NotifySocket
from chapiteau.run.process.process import Process
from chapiteau.run.supervisor.sockets import inherited_sockets
from chapiteau.run.system.sockets import bind_socket, socket_address

if TYPE_CHECKING:
    from chapiteau.run.supervisor.supervisor import Supervisor

__all__ = [
    "adopt_processes",
    "bind_sockets",
    "emit_started",
    "open_notify",
    "register_socket",
    "store_socket",
]


async def open_notify(supervisor: "Supervisor", stored: list[str]) -> NotifySocket:
    """The socket on which processes speak; messages sent while no brain lived are still in it."""
    if "notify" in stored:
        fd = await supervisor.link.fetch("notify")
        if fd is not None:
            kept = socket.socket(fileno=fd)
            supervisor.around.notify_path = Path(kept.getsockname())  # an older version's, perhaps
            return NotifySocket(kept)
    made = NotifySocket.bind(supervisor.around.notify_path)
    await supervisor.link.store("notify", made.fileno())
    return NotifySocket(made)


async def bind_sockets(supervisor: "Supervisor", stored: list[str]) -> None:
    """Fetch the sockets that the keeper holds; bind the others, all of them or none.

    Raises BindError.
    """
    folder = supervisor.config_path.parent
    made = inherited_sockets(supervisor.spec.socket, folder)
    try:
        for name in supervisor.spec.socket:
            if name in made:
                continue
            if f"socket/{name}" in stored:
                fd = await supervisor.link.fetch(f"socket/{name}")
                if fd is not None:
                    register_socket(supervisor, name, socket.socket(fileno=fd))
                    continue
            made[name] = bind_socket(name, supervisor.spec.socket[name], folder)
    except Exception:
        for bound in made.values():
            bound.close()
        raise
    for name, bound in made.items():
        await store_socket(supervisor, name, bound)


async def store_socket(supervisor: "Supervisor", name: str, bound: socket.socket) -> None:
    """Hand a bound socket to the keeper and make it known."""
    await supervisor.link.store(f"socket/{name}", bound.fileno())
    register_socket(supervisor, name, bound)
    address = supervisor.around.sockets[name].address
    supervisor.ground.say("socket.bound", f"{name} on {address}", data={"socket": name})


def register_socket(supervisor: "Supervisor", name: str, bound: socket.socket) -> None:
    """Make a bound socket known under its name."""
    # Its mode stays: services share it, and may have set the one that they want.
    supervisor.bound[name] = bound
    address, port = socket_address(bound)
    fact = BoundSocket(address=address, port=port, stored=f"socket/{name}")
    supervisor.around.sockets[name] = fact


def adopt_processes(supervisor: "Supervisor") -> int:
    """Take over the processes that the keeper tells of; those of unknown services are ended."""
    clock = supervisor.clock
    ends: list[tuple[str, dict[str, Any]]] = []
    alive = 0
    for child, fds in supervisor.link.children:
        memo = child["memo"] or {}
        group = memo.get("cgroup", "")
        wall = float(memo.get("wall", clock.wall()))
        instance = Process(
            key=child["key"],
            service=str(memo.get("service", "")),
            number=int(memo.get("number", 1)),
            pid=child["pid"],
            start=child["start"],
            began=clock.now() - max(0.0, clock.wall() - wall),
            began_wall=wall,
            generation=int(memo.get("generation", 0)),
            cgroup=Path(group) if group else None,
            ready=bool(memo.get("ready")),
            on_terminal=bool(memo.get("tty")),
        )
        runner = supervisor.runners.get(instance.service)
        if runner is None:
            _close(fds)
            if supervisor.only_looks:
                continue
            supervisor.ground.kill(instance)
            supervisor.link.tell("ack", key=instance.key)
            continue
        supervisor.ground.attach(instance, dict(zip(child["pipes"], fds, strict=True)))
        runner.adopt(instance)
        if child["exit"] is not None:
            ends.append((child["key"], child["exit"]))
        else:
            alive += 1
    supervisor.link.children.clear()
    for key, end in ends:  # it ended while no brain lived: now it is judged as ever
        supervisor.ground.ended(key, end)
    return alive


def emit_started(supervisor: "Supervisor", hello: dict[str, Any], attached: int) -> None:
    """How the brain before ended, unless it left by itself; and that this one is there."""
    if how := hello.get("brain_died"):
        supervisor.ground.say("supervisor.brain_died", how)
    data = {"attached": attached, "brain_starts": hello["brain_starts"]}
    supervisor.ground.say("supervisor.started", data=data)


def _close(fds: list[int]) -> None:
    for fd in fds:
        os.close(fd)
