"""`--on`: which machines put the load on, and how they are reached."""

import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final, Literal

from chapiteau.core.errors import UsageError

__all__ = ["Kind", "Location", "is_encrypted", "parse_location"]

Kind = Literal["local", "ssh", "dask", "scheduler-file", "k8s"]
_FORMS: Final = (
    "ssh:h1,h2 · dask://host:8786 · tls://host:8786 · scheduler-file:/path · k8s · local:2"
)
_MOST_LOCAL: Final = 64
_ADDRESS: Final = re.compile(r"//(\[[0-9a-fA-F:]+\]|[\w.-]+):\d{1,5}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """Where the load comes from: hosts for ssh, an address or path for the others."""

    kind: Kind
    hosts: tuple[str, ...] = ()
    address: str = ""


def parse_location(text: str) -> Location:
    """Read `--on`. Raises UsageError."""
    text = text.strip()
    kind, _, rest = text.partition(":")
    if text == "k8s":
        return Location(kind="k8s")
    if kind == "ssh":
        return Location(kind="ssh", hosts=_hosts(rest))
    if kind == "local":
        return Location(kind="local", hosts=_relays(rest))
    if kind in ("dask", "tcp", "tls") and _ADDRESS.fullmatch(rest):
        scheme = "tcp" if kind == "dask" else kind
        return Location(kind="dask", address=f"{scheme}:{rest}")
    if kind == "scheduler-file" and rest:
        return Location(kind="scheduler-file", address=rest)
    raise UsageError(f"--on {text}: not a place that load can come from", hint=_FORMS)


def _hosts(text: str) -> tuple[str, ...]:
    hosts = tuple(host.strip() for host in text.split(",") if host.strip())
    if not hosts:
        raise UsageError("--on ssh: names no host", hint="for example --on ssh:h1,h2")
    for host in hosts:
        # An option instead of a host would make ssh run what it says.
        if host.startswith("-") or any(c.isspace() for c in host):
            raise UsageError(f"--on ssh: {host!r} is no host")
    if len(set(hosts)) < len(hosts):
        raise UsageError("--on ssh: names a host twice")
    return hosts


def _relays(text: str) -> tuple[str, ...]:
    count = int(text) if text.isascii() and text.isdigit() else 0
    if not 1 <= count <= _MOST_LOCAL:
        raise UsageError(f"--on local: wants a number from 1 to {_MOST_LOCAL}")
    return tuple(f"local-{i}" for i in range(1, count + 1))


def is_encrypted(address: str) -> bool:
    """Whether what goes to a scheduler can't be read or changed on its way.

    TLS, or a loopback address: code and data travel there, and whoever can write to the scheduler
    runs programs on its workers.
    """
    scheme, _, rest = address.partition("://")
    if scheme == "tls":
        return True
    host = rest.rpartition(":")[0].strip("[]")
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
