"""A hub that nodes dial: registry, wanted states, lease and gate, put together."""

from chapiteau.core.clock import Clock
from chapiteau.dash.engine.cluster.ca import Authority, Lives
from chapiteau.dash.engine.cluster.gate import Gate
from chapiteau.dash.engine.cluster.registry import Registry
from chapiteau.dash.engine.cluster.term import NAME, Term
from chapiteau.dash.engine.fleet import Fleet
from chapiteau.dash.engine.plane.embedded import SqliteLeases, SqliteStates
from chapiteau.dash.engine.project import Project
from chapiteau.dash.errors import PortTakenError

__all__ = ["GateCenter", "authority_of"]


def authority_of(project: Project, clock: Clock) -> Authority:
    """The project's CA, with the lives that [hub] gives certificates."""
    lives = Lives(node=project.hub.certificates, hub=project.hub.own_certificate)
    return Authority(project.authority, clock, lives)


class GateCenter:
    """Everything that a door for nodes needs; `open` and `close` in the right order."""

    def __init__(self, project: Project, fleet: Fleet, *, holder: str, clock: Clock) -> None:
        self._settings = project.hub
        self._registry = Registry(project.store)
        self.states = SqliteStates(project.store)
        self._leases = SqliteLeases(project.store, clock)
        self.term = Term(self._leases, holder)
        authority = authority_of(project, clock)
        self.gate = Gate(
            fleet,
            self._registry,
            authority,
            clock,
            states=self.states,
            term=self.term,
            told=lambda fence: self._leases.saw(NAME, fence),
        )

    @property
    def where(self) -> str:
        """Where nodes dial."""
        return f"{self._settings.host}:{self.gate.port}"

    async def open(self) -> None:
        """Listen for nodes. Raises PortTakenError."""
        host, port = self._settings.host, self._settings.port
        try:
            await self.gate.open(host, port)
        except OSError as exc:
            raise PortTakenError(
                f"cannot listen for nodes on {host}:{port}: {exc}", hint="set another hub.port"
            ) from exc

    async def close(self) -> None:
        """Hang up, give the lease back, close the file."""
        await self.gate.close()
        for part in (self._registry, self.states, self._leases):
            part.close()
