"""What travels between hub and nodes: orders, wanted states, leases; and who may be overruled."""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Protocol

from chapiteau.core.errors import RefusedError
from chapiteau.dash.errors import BadRequestError, NotAllowedError
from chapiteau.run.api.calls import node_commands
from chapiteau.run.config.spec import MAX_PROCESSES

__all__ = [
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

_MOST_SERVICES: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeCommand:
    """One command to one node. The same id is the same command, however often it arrives."""

    id: str
    verb: str
    service: str
    options: dict[str, Any] = field(default_factory=dict)
    who: str = ""
    ttl: float = 30.0  # seconds in which a node must take it on, from when it was sent
    fence: int = 0  # of the lease under which the hub acts

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> "NodeCommand":
        """The inverse. Raises KeyError, TypeError, ValueError for what is no order."""
        return cls(
            id=str(raw["id"]),
            verb=str(raw["verb"]),
            service=str(raw["service"]),
            options=dict(raw["options"]),
            who=str(raw["who"]),
            ttl=float(raw["ttl"]),
            fence=int(raw.get("fence", 0)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DesiredServices:
    """How a node's services should be; the generation only ever grows, over all nodes of a hub."""

    node: str
    generation: int = 0  # 0: nothing was ever wanted of it
    services: dict[str, dict[str, Any]] = field(default_factory=dict)
    who: str = ""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> "DesiredServices":
        """The inverse. Raises KeyError, TypeError, ValueError, BadRequestError."""
        return cls(
            node=str(raw["node"]),
            generation=int(raw["generation"]),
            services=parse_desired(raw["services"]),
            who=str(raw.get("who", "")),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """Somebody's turn. The fence grows with every new holder: whoever acts shows it."""

    name: str
    holder: str
    fence: int
    ttl: float  # seconds without a renewal after which another may take it


def check_command(order: NodeCommand, fence_seen: int) -> None:
    """Raises NotAllowedError when a node must not even begin with it."""
    if order.verb not in node_commands():  # whoever asks
        raise NotAllowedError(f"{order.verb!r} is no command of a node")
    if order.ttl <= 0:
        raise NotAllowedError("the command has expired")
    if order.fence < fence_seen:
        raise NotAllowedError(
            f"another hub steers by now (lease {fence_seen}, this one has {order.fence})",
            hint="look at the hub's problems; a restored hub: chapiteau hub take-over",
        )


def parse_desired(raw: object) -> dict[str, dict[str, Any]]:
    """{"web": {"processes": 4}, "mailer": {"running": false}}, checked. Raises BadRequestError."""
    if not isinstance(raw, Mapping) or len(raw) > _MOST_SERVICES:
        raise BadRequestError("services: an object of at most 1000 services")
    kept: dict[str, dict[str, Any]] = {}
    for name, wish in raw.items():
        if not isinstance(name, str) or not name or not isinstance(wish, Mapping):
            raise BadRequestError(f"services: {name!r} has no wish that can be read")
        kept[name] = _wish(name, wish)
    return kept


def _wish(name: str, wish: Mapping[str, Any]) -> dict[str, Any]:
    for key, value in wish.items():
        if key == "running" and isinstance(value, bool):
            continue
        if key == "processes" and type(value) is int and 0 <= value <= MAX_PROCESSES:
            continue
        raise BadRequestError(
            f"{name}.{key}: unexpected {value!r}",
            hint=f"processes: 0 to {MAX_PROCESSES}; running: true or false",
        )
    return dict(wish)


def drift(wanted: DesiredServices, status: Mapping[str, Any]) -> list[str]:
    """Where the node's services differ from what is wanted of them, one line each."""
    found = []
    for name, verb, options in reconcile_steps(wanted, status):
        if verb == "missing":
            found.append(f"{name}: is wanted, and not declared on this node")
        elif verb == "scale":
            found.append(
                f"{name}: {options['processes']} processes are wanted, {_now(status, name)} set"
            )
        else:
            found.append(f"{name}: should be {'running' if verb == 'start' else 'stopped'}")
    return found


def reconcile_steps(
    wanted: DesiredServices, status: Mapping[str, Any]
) -> list[tuple[str, str, dict[str, Any]]]:
    """(service, verb, options) that lead from the status to the wish; "missing" is no verb."""
    known = {service["name"]: service for service in status.get("services", ())}
    found: list[tuple[str, str, dict[str, Any]]] = []
    for name, wish in sorted(wanted.services.items()):
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


def _now(status: Mapping[str, Any], name: str) -> int:
    return next((int(s["wanted"]) for s in status["services"] if s["name"] == name), 0)


# The four verbs between hub and nodes. Two backends, one suite of tests for both.
#
# events     a node's happenings, in order, from any number on (`Courier.events`)
# command    at most one effect per id; taken on first, then done or failed (`Courier.send`)
# state      what is wanted of a node, with a generation that only grows (`States`)
# lease      whose turn it is, with a fence that only grows (`Leases`)


class StaleGenerationError(RefusedError):
    """Somebody changed it meanwhile; `found` is what stands there now."""

    def __init__(self, found: DesiredServices) -> None:
        super().__init__(
            f"what is wanted of {found.node} was changed by {found.who or 'somebody'} meanwhile"
            f" (generation {found.generation})",
            hint="look at it again, then repeat",
        )
        self.found = found


class LeaseHeldError(RefusedError):
    """The lease is somebody else's."""


class CommandChannel(Protocol):
    """Events and commands of one node."""

    name: str

    def events(self, after: int) -> AsyncIterator[dict[str, Any]]:
        """Events with a greater number, each once and in order, then new ones for ever.

        Raises NodeAwayError when the node can't be asked now.
        """
        ...

    async def send(self, order: NodeCommand, accepted: Callable[[], None]) -> dict[str, Any]:
        """The outcome. `accepted` is called once, when the node has taken it on.

        The same id again gives the first outcome and does nothing. Raises NodeAwayError when
        it expired undone or its end is not known, ChapiteauError when the node refuses it.
        """
        ...


class DesiredStateStore(Protocol):
    """What is wanted of each node."""

    async def get(self, node: str) -> DesiredServices:
        """The newest; generation 0 when there never was one."""
        ...

    async def put(self, wanted: DesiredServices, *, expect: int) -> DesiredServices:
        """Replace generation `expect`; returns it with its new generation. Raises OvertakenError.

        It is on disk when this returns.
        """
        ...

    def watch(self, node: str, after: int) -> AsyncIterator[DesiredServices]:
        """Every newer one from now on, the present one first; steps in between may be left out."""
        ...


class LeaseStore(Protocol):
    """Who may act."""

    async def take(self, name: str, holder: str, ttl: float) -> Lease:
        """Take a lease that is free or has run out, or one's own. Raises HeldError."""
        ...

    async def keep(self, lease: Lease) -> None:
        """Renew it. Raises HeldError when it was lost: whoever holds it must stop acting."""
        ...

    async def drop(self, lease: Lease) -> None:
        """Give it back; nothing happens when it was lost before."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlPlane:
    """All of it, of one backend."""

    states: DesiredStateStore
    leases: LeaseStore
    courier: Callable[[str], CommandChannel]  # the way to one node; asking starts nothing
