"""What travels between hub and nodes: commands, desired states, leases, and their rules."""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypedDict, cast

import msgspec
from msgspec import Struct

from chapiteau.core.errors import RefusedError
from chapiteau.dash.errors import BadRequestError, NotAllowedError
from chapiteau.dash.fleet.node import ServiceWish
from chapiteau.dash.fleet.status import NodeStatus
from chapiteau.run.api.commands import node_commands
from chapiteau.run.config.spec import MAX_PROCESSES
from chapiteau.run.events import EventMessage
from chapiteau.run.logs.messages import Outcome

__all__ = [
    "CommandAnswer",
    "CommandChannel",
    "ControlPlane",
    "DesiredServices",
    "DesiredStateStore",
    "Lease",
    "LeaseHeldError",
    "LeaseStore",
    "NodeCommand",
    "StaleGenerationError",
    "check_command",
    "drift",
    "parse_desired",
    "reconcile_steps",
]

_MAX_SERVICES: Final = 1_000

Wishes = dict[str, ServiceWish]  # by service


class NodeCommand(Struct, frozen=True, kw_only=True):
    """One command to one node. The same id is the same command, however often it arrives."""

    id: str
    verb: str
    service: str
    options: dict[str, Any] = {}
    who: str = ""
    ttl: float = 30.0  # seconds in which a node must accept it, from when it was sent
    fence: int = 0  # of the lease under which the hub acts


class CommandAnswer(TypedDict, total=False):
    """What a node says of a command: at first that it has accepted it, then how it ended."""

    accepted: bool
    outcome: Outcome


class DesiredServices(Struct, frozen=True, kw_only=True):
    """How a node's services should be; the generation only ever grows, over all nodes of a hub."""

    node: str
    generation: int = 0  # 0: no desired state was ever set
    services: Wishes = {}
    who: str = ""

    @classmethod
    def from_json(cls, raw: object) -> "DesiredServices":
        """Of decoded JSON, checked. Raises msgspec.ValidationError, BadRequestError."""
        found = msgspec.convert(raw, cls)
        parse_desired(found.services)
        return found


class Lease(Struct, frozen=True, kw_only=True):
    """Who may act now. The fence grows with every new holder: whoever acts shows it."""

    name: str
    holder: str
    fence: int
    ttl: float  # seconds without a renewal after which another may take it


def check_command(command: NodeCommand, fence_seen: int) -> None:
    """Raises NotAllowedError when a node must not even begin with it."""
    if command.verb not in node_commands():
        raise NotAllowedError(f"{command.verb!r} is no command of a node")
    if command.ttl <= 0:
        raise NotAllowedError("the command has expired")
    if command.fence < fence_seen:
        raise NotAllowedError(
            f"another hub is the leader (lease {fence_seen}, this one has {command.fence})",
            hint="look at the hub's problems; a restored hub: chapiteau hub take-over",
        )


def parse_desired(raw: object) -> Wishes:
    """{"web": {"processes": 4}, "mailer": {"running": false}}, checked. Raises BadRequestError."""
    if not isinstance(raw, Mapping) or len(raw) > _MAX_SERVICES:
        raise BadRequestError(f"services: expected an object of at most {_MAX_SERVICES} services")
    found: Wishes = {}
    for name, wish in raw.items():
        if not isinstance(name, str) or not name or not isinstance(wish, Mapping):
            raise BadRequestError(f"services: {name!r}: expected an object")
        for key, value in wish.items():
            _check_wish(f"{name}.{key}", key, value)
        found[name] = cast("ServiceWish", dict(wish))
    return found


def _check_wish(where: str, key: str, value: object) -> None:
    if key == "processes":
        if type(value) is not int or not 0 <= value <= MAX_PROCESSES:
            raise BadRequestError(f"{where}: expected 0 to {MAX_PROCESSES}, got {value!r}")
    elif key != "running":
        raise BadRequestError(f"{where}: unknown setting", hint="processes = 4, running = true")
    elif not isinstance(value, bool):
        raise BadRequestError(f"{where}: expected true or false, got {value!r}")


def drift(desired: DesiredServices, status: NodeStatus) -> list[str]:
    """Where the node's services differ from their desired state, one line each."""
    set_to = {service["name"]: service["wanted"] for service in status.get("services", ())}
    found = []
    for name, verb, options in reconcile_steps(desired, status):
        if verb == "missing":
            found.append(f"{name}: not declared on this node")
        elif verb == "scale":
            found.append(f"{name}: expected {options['processes']} processes, set {set_to[name]}")
        else:
            found.append(f"{name}: should be {'running' if verb == 'start' else 'stopped'}")
    return found


def reconcile_steps(
    desired: DesiredServices, status: NodeStatus
) -> list[tuple[str, str, dict[str, int]]]:
    """(service, verb, options) that lead from the status to the wish; "missing" is no verb."""
    known = {service["name"]: service for service in status.get("services", ())}
    found: list[tuple[str, str, dict[str, int]]] = []
    for name, wish in sorted(desired.services.items()):
        service = known.get(name)
        if service is None:
            found.append((name, "missing", {}))
            continue
        stopped = service["state"] in ("stopped", "stopping", "completed")
        running = wish.get("running", True if wish.get("processes") else not stopped)
        if not running and not stopped:
            found.append((name, "stop", {}))
        if "processes" in wish and running and service["wanted"] != wish["processes"]:
            found.append((name, "scale", {"processes": wish["processes"]}))
        if running and stopped:
            found.append((name, "start", {}))
    return found


# What hub and nodes need of each other. Two backends, one suite of tests for both.


class StaleGenerationError(RefusedError):
    """Somebody changed it meanwhile; `found` is what stands there now."""

    def __init__(self, found: DesiredServices) -> None:
        super().__init__(
            f"the desired state of {found.node} was changed by {found.who or 'somebody'} meanwhile"
            f" (generation {found.generation})",
            hint="look at it again, then repeat",
        )
        self.found = found


class LeaseHeldError(RefusedError):
    """The lease is somebody else's."""


class CommandChannel(Protocol):
    """Events and commands of one node."""

    name: str

    def events(self, after: int) -> AsyncIterator[EventMessage]:
        """Events with a greater number, each once and in order, then new ones for ever.

        Raises NodeAwayError when the node can't be reached now.
        """
        ...

    async def send(self, command: NodeCommand, accepted: Callable[[], None]) -> Outcome:
        """The outcome. `accepted` is called once, when the node has accepted it.

        The same id again gives the first outcome and does nothing. Raises NodeAwayError when
        it expired undone or its end is not known, ChapiteauError when the node refuses it.
        """
        ...


class DesiredStateStore(Protocol):
    """The desired state of each node."""

    async def get(self, node: str) -> DesiredServices:
        """The newest; generation 0 when there never was one."""
        ...

    async def put(self, desired: DesiredServices, *, expect: int) -> DesiredServices:
        """Replace generation `expect`; returns it with its new one. Raises StaleGenerationError.

        It is on disk when this returns.
        """
        ...

    def watch(self, node: str, after: int) -> AsyncIterator[DesiredServices]:
        """Every newer one from now on, the present one first; steps in between may be left out."""
        ...


class LeaseStore(Protocol):
    """Who may act."""

    async def take(self, name: str, holder: str, ttl: float) -> Lease:
        """Take a lease that is free or has expired, or one's own. Raises LeaseHeldError."""
        ...

    async def keep(self, lease: Lease) -> None:
        """Renew it. Raises LeaseHeldError when it was lost: its holder must stop acting."""
        ...

    async def drop(self, lease: Lease) -> None:
        """Give it back; nothing happens when it was lost before."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlPlane:
    """All of it, of one backend."""

    states: DesiredStateStore
    leases: LeaseStore
    channel: Callable[[str], CommandChannel]  # of one node; asking starts nothing
