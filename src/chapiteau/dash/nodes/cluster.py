"""A hub that nodes dial: registry, wanted states, lease and gate, put together."""

import contextlib
import socket
from collections.abc import AsyncIterator
from random import Random
from typing import TYPE_CHECKING, Protocol

from chapiteau.core.clock import Clock
from chapiteau.dash.auth.audit_trail import AuditTrail
from chapiteau.dash.errors import PortTakenError
from chapiteau.dash.fleet.fleet import Fleet
from chapiteau.dash.nodes.certificates import CertificateAuthority, CertificateLifetimes
from chapiteau.dash.nodes.contract import DesiredStateStore
from chapiteau.dash.nodes.embedded import SqliteDesiredState, SqliteLeases
from chapiteau.dash.nodes.leadership import Leadership
from chapiteau.dash.nodes.listener import NodeListener
from chapiteau.dash.nodes.registry import Registry
from chapiteau.dash.project import Project
from chapiteau.dash.store import Store

if TYPE_CHECKING:
    from chapiteau.dash.nodes.nats.connection import NatsConnection

__all__ = [
    "ClusterRuntime",
    "EmbeddedRuntime",
    "authority_of",
    "make_cluster_runtime",
    "nats_connection",
    "node_names",
    "open_desired_state",
]


def authority_of(project: Project, clock: Clock) -> CertificateAuthority:
    """The project's CA, with the lives that [hub] gives certificates."""
    lives = CertificateLifetimes(node=project.hub.certificates, hub=project.hub.own_certificate)
    return CertificateAuthority(project.authority, clock, lives)


class EmbeddedRuntime:
    """Everything that listening for nodes needs; `open` and `close` in the right order."""

    def __init__(self, project: Project, fleet: Fleet, *, holder: str, clock: Clock) -> None:
        self._settings = project.hub
        self._store = Store(project.store)
        self._registry = Registry(project.store)
        self.states = SqliteDesiredState(project.store)
        self._leases = SqliteLeases(project.store, clock)
        self.leadership = Leadership(self._leases, holder)
        authority = authority_of(project, clock)
        self.listener = NodeListener(
            fleet,
            self._registry,
            authority,
            clock,
            states=self.states,
            leadership=self.leadership,
            trail=AuditTrail(self._store, clock),
        )

    @property
    def where(self) -> str:
        """Where nodes dial."""
        return f"{self._settings.host}:{self.listener.port}"

    async def open(self) -> None:
        """Listen for nodes. Raises PortTakenError."""
        host, port = self._settings.host, self._settings.port
        try:
            await self.listener.open(host, port)
        except OSError as exc:
            raise PortTakenError(
                f"cannot listen for nodes on {host}:{port}: {exc}", hint="set another hub.port"
            ) from exc

    async def close(self) -> None:
        """Hang up, give the lease back, close the file."""
        await self.listener.close()
        for part in (self._registry, self.states, self._leases, self._store):
            part.close()


# What a hub for many servers has beside the page: nodes dial it, or meet it at a NATS server.


class ClusterRuntime(Protocol):
    """Open it, close it, act under its leadership."""

    @property
    def states(self) -> DesiredStateStore:
        """What is wanted of the nodes."""
        ...

    @property
    def leadership(self) -> Leadership:
        """Whether this hub may act."""
        ...

    @property
    def where(self) -> str:
        """Where nodes find it, for people."""
        ...

    async def open(self) -> None:
        """Raises ChapiteauError when it can't be, or must not be."""
        ...

    async def close(self) -> None:
        """Hang up, give the lease back."""
        ...


def make_cluster_runtime(
    project: Project, fleet: Fleet, clock: Clock, chance: Random
) -> ClusterRuntime:
    """As [hub] says."""
    # The project's folder is the holder: a hub that is started anew need not wait for itself.
    holder = f"{socket.gethostname()}:{project.run_dir}"
    if project.hub.nats.url:
        from chapiteau.dash.nodes.nats.connection import nats_address
        from chapiteau.dash.nodes.nats.hub import NatsRuntime

        place = nats_address(project.hub.nats, project.config.parent)
        return NatsRuntime(place, fleet, holder=holder, clock=clock, chance=chance)

    return EmbeddedRuntime(project, fleet, holder=holder, clock=clock)


@contextlib.asynccontextmanager
async def nats_connection(project: Project) -> "AsyncIterator[NatsConnection]":
    """A command's own connection to the hub's NATS server."""
    from chapiteau.dash.nodes.nats.connection import connect, nats_address

    address = nats_address(project.hub.nats, project.config.parent)
    connection = await connect(address, keeps=True, name="chapiteau hub")
    try:
        yield connection
    finally:
        await connection.close()


@contextlib.asynccontextmanager
async def open_desired_state(project: Project) -> AsyncIterator[DesiredStateStore]:
    """The nodes' desired states, for a command while a hub runs or not."""
    if project.hub.nats.url:
        from chapiteau.dash.nodes.nats.stores import NatsDesiredState

        async with nats_connection(project) as connection:
            yield NatsDesiredState(connection)
        return
    with contextlib.closing(SqliteDesiredState(project.store)) as states:
        yield states


async def node_names(project: Project) -> list[str]:
    """Nodes that have joined and were not revoked, by name."""
    if project.hub.nats.url:
        from chapiteau.dash.nodes.nats.hub import node_names_at

        async with nats_connection(project) as connection:
            return sorted(await node_names_at(connection))
    with contextlib.closing(Registry(project.store)) as registry:
        return [node.name for node in registry.nodes() if not node.revoked]
