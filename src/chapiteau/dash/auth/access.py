"""Who may do what, and which requests come from our own page. Default: no."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv6Address, ip_address
from typing import Final

from chapiteau.run.api.commands import COMMANDS, node_commands

__all__ = [
    "VERBS",
    "Caller",
    "Role",
    "allowed",
    "host_allowed",
    "origin_allowed",
    "own_origins",
    "true_address",
]


class Role(IntEnum):
    """Each role may do what the ones before it may."""

    VIEWER = 1
    OPERATOR = 2
    ADMIN = 3


# Every verb of the hub. A verb that is not here is refused to everybody.
VERBS: Final[dict[str, Role]] = {
    "see": Role.VIEWER,  # state, statistics, events, logs, load results
    **{name: Role[COMMANDS[name].role.upper()] for name in node_commands()},
    "mute": Role.OPERATOR,  # a problem that somebody knows
    "steer": Role.OPERATOR,  # end a running load test, mark it, add load to it; set a baseline
    "want": Role.OPERATOR,  # how services should be, also on nodes that are away
    "try": Role.OPERATOR,  # send a request to a service through the hub
    "plan": Role.OPERATOR,  # what a changed file would change
    "apply": Role.ADMIN,  # apply it
    "audit": Role.ADMIN,  # who did what
    "users": Role.ADMIN,
    "nodes": Role.ADMIN,  # tokens, revocation
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """The person behind a request."""

    name: str
    role: Role


def allowed(role: Role | None, verb: str) -> bool:
    """Whether this role may use this verb."""
    needed = VERBS.get(verb)
    return role is not None and needed is not None and role >= needed


def host_allowed(host: str, port: int, names: Iterable[str]) -> bool:
    """Whether a Host header names this server; anything else may be DNS rebinding.

    `names` are host names and addresses; each is accepted with our port, and without one (a proxy
    on the scheme's own port sends none).
    """
    bare, _, given = host.lower().rpartition(":") if _has_port(host) else (host.lower(), "", "")
    if given and given != str(port) and bare in {"localhost", "127.0.0.1", "[::1]"}:
        return False
    return bare.strip("[]") in {name.lower().strip("[]") for name in names}


def _has_port(host: str) -> bool:
    tail = host.rpartition("]")[2] if host.startswith("[") else host
    return ":" in tail


def own_origins(host: str) -> frozenset[str]:
    """The origins a page served under this Host header may have."""
    return frozenset((f"http://{host.lower()}", f"https://{host.lower()}"))


def origin_allowed(host: str, origin: str | None, fetch_site: str | None, *, must: bool) -> bool:
    """Whether a request that changes something comes from our own page, or from no browser at all.

    `must`: without an Origin it is refused (WebSockets: browsers always send one).
    """
    if fetch_site is not None and fetch_site not in ("same-origin", "none"):
        return False
    if origin is None:
        return not must
    return origin.lower() in own_origins(host)


def true_address(peer: str, forwarded: Iterable[str], proxies: Collection[str]) -> str:
    """Where a request comes from, behind proxies of ours.

    `forwarded`: values of X-Forwarded-For. Read from the end, as far as our proxies wrote it: what
    stands before the first address that is none of them may be anybody's invention.
    """
    found, trusted = _plain(peer), {_plain(proxy) for proxy in proxies}
    hops = [hop for value in forwarded for hop in value.split(",")]
    while found in trusted and hops:
        hop = _plain(hops.pop())
        if not hop:
            break
        found = hop
    return found


def _plain(text: str) -> str:
    """An address as it is written usually; empty for what is none."""
    try:
        found = ip_address(text.strip())
    except ValueError:
        return ""
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return str(mapped or found)
