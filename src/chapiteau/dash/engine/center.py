"""What a hub for many servers has beside the page: nodes dial it, or meet it at a NATS server."""

import contextlib
import socket
from collections.abc import AsyncIterator
from random import Random
from typing import Protocol

from chapiteau.core.clock import Clock
from chapiteau.dash.engine.cluster.registry import Registry
from chapiteau.dash.engine.cluster.term import Term
from chapiteau.dash.engine.fleet import Fleet
from chapiteau.dash.engine.plane.embedded import SqliteStates
from chapiteau.dash.engine.plane.port import States
from chapiteau.dash.engine.project import Project

__all__ = ["Center", "make_center", "node_names", "open_states"]


class Center(Protocol):
    """Open it, close it, act under its term."""

    @property
    def states(self) -> States:
        """What is wanted of the nodes."""
        ...

    @property
    def term(self) -> Term:
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


def make_center(project: Project, fleet: Fleet, clock: Clock, chance: Random) -> Center:
    """As [hub] says."""
    # The project's folder is the holder: a hub that is started anew need not wait for itself.
    holder = f"{socket.gethostname()}:{project.run_dir}"
    if project.hub.nats.url:
        from chapiteau.dash.engine.nats.center import NatsCenter
        from chapiteau.dash.engine.nats.server import place_of

        place = place_of(project.hub.nats, project.config.parent)
        return NatsCenter(place, fleet, holder=holder, clock=clock, chance=chance)
    from chapiteau.dash.engine.cluster.center import GateCenter

    return GateCenter(project, fleet, holder=holder, clock=clock)


@contextlib.asynccontextmanager
async def open_states(project: Project) -> AsyncIterator[States]:
    """What is wanted of the nodes, for a command line beside a hub that runs or not."""
    if project.hub.nats.url:
        from chapiteau.dash.engine.nats.keeping import NatsStates
        from chapiteau.dash.engine.nats.server import connect, place_of

        place = place_of(project.hub.nats, project.config.parent)
        wire = await connect(place, keeps=True, name="chapiteau hub")
        try:
            yield NatsStates(wire)
        finally:
            await wire.close()
        return
    states = SqliteStates(project.store)
    try:
        yield states
    finally:
        states.close()


async def node_names(project: Project) -> list[str]:
    """Nodes that have joined and were not shut out, by name."""
    if project.hub.nats.url:
        from chapiteau.dash.engine.nats.center import names_at
        from chapiteau.dash.engine.nats.server import connect, place_of

        place = place_of(project.hub.nats, project.config.parent)
        wire = await connect(place, keeps=True, name="chapiteau hub")
        try:
            return sorted(await names_at(wire))
        finally:
            await wire.close()
    registry = Registry(project.store)
    try:
        return [node.name for node in registry.nodes() if not node.revoked]
    finally:
        registry.close()
