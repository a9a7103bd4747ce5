"""What travels between hub and nodes: orders, wanted states, leases; and who may be overruled."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from chapiteau.dash.errors import BadRequestError, NotAllowedError

__all__ = [
    "NODE_VERBS",
    "Lease",
    "Order",
    "Wanted",
    "check_order",
    "clean_wanted",
    "drift",
    "steps",
]

# What a hub may ask of a node's services. Nothing else passes, whoever asks.
NODE_VERBS: Final = frozenset(
    ("start", "stop", "restart", "reload", "scale", "signal", "drain", "undrain")
)
_MOST_SERVICES: Final = 1_000
_MOST_PROCESSES: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
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
    def from_dict(cls, raw: Mapping[str, Any]) -> "Order":
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
class Wanted:
    """How a node's services should be; the generation only ever grows, over all nodes of a hub."""

    node: str
    generation: int = 0  # 0: nothing was ever wanted of it
    services: dict[str, dict[str, Any]] = field(default_factory=dict)
    who: str = ""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> "Wanted":
        """The inverse. Raises KeyError, TypeError, ValueError, BadRequestError."""
        return cls(
            node=str(raw["node"]),
            generation=int(raw["generation"]),
            services=clean_wanted(raw["services"]),
            who=str(raw.get("who", "")),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """Somebody's turn. The fence grows with every new holder: whoever acts shows it."""

    name: str
    holder: str
    fence: int
    ttl: float  # seconds without a renewal after which another may take it


def check_order(order: Order, fence_seen: int) -> None:
    """Raises NotAllowedError when a node must not even begin with it."""
    if order.verb not in NODE_VERBS:
        raise NotAllowedError(f"{order.verb!r} is no command of a node")
    if order.ttl <= 0:
        raise NotAllowedError("the command has expired")
    if order.fence < fence_seen:
        raise NotAllowedError(
            f"another hub steers by now (lease {fence_seen}, this one has {order.fence})",
            hint="look at the hub's problems; a restored hub: chapiteau hub take-over",
        )


def clean_wanted(raw: object) -> dict[str, dict[str, Any]]:
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
        if key == "processes" and type(value) is int and 0 <= value <= _MOST_PROCESSES:
            continue
        raise BadRequestError(
            f"{name}.{key}: {value!r} can't be wanted", hint="processes = 0…1000, running = true"
        )
    return dict(wish)


def drift(wanted: Wanted, status: Mapping[str, Any]) -> list[str]:
    """Where the node's services differ from what is wanted of them, one line each."""
    found = []
    for name, verb, options in steps(wanted, status):
        if verb == "missing":
            found.append(f"{name}: is wanted, and not declared on this node")
        elif verb == "scale":
            found.append(
                f"{name}: {options['processes']} processes are wanted, {_now(status, name)} set"
            )
        else:
            found.append(f"{name}: should be {'running' if verb == 'start' else 'stopped'}")
    return found


def steps(wanted: Wanted, status: Mapping[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
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
