"""The hub: every part of it, put together once."""

from dataclasses import dataclass
from pathlib import Path

from chapiteau.core.clock import Clock
from chapiteau.dash.engine.actions import Actions
from chapiteau.dash.engine.alerting.postman import Postman
from chapiteau.dash.engine.apis.documents import Documents
from chapiteau.dash.engine.apis.operations import Operations
from chapiteau.dash.engine.bus import Bus
from chapiteau.dash.engine.center import Center
from chapiteau.dash.engine.entry.oidc import Provider
from chapiteau.dash.engine.fleet import Fleet
from chapiteau.dash.engine.lending.desk import Desk
from chapiteau.dash.engine.sessions import Sessions
from chapiteau.dash.engine.store import Store
from chapiteau.dash.logic.settings import Dash

__all__ = ["Hub"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hub:
    """What the web face needs."""

    project: str
    settings: Dash
    clock: Clock
    bus: Bus
    fleet: Fleet
    actions: Actions
    documents: Documents
    operations: Operations
    desk: Desk  # of nodes that lend themselves
    sessions: Sessions
    store: Store
    provider: Provider | None  # of identities
    center: Center | None  # None: a page for this server alone
    metrics_token: str = ""  # "": only with a session
    postman: Postman | None = None  # None: nobody is told
    reports: Path  # the run folder, where load results lie

    async def open(self) -> None:
        """Let nodes in, and begin to tell of problems. Raises ChapiteauError when it can't be."""
        if self.center is not None:
            await self.center.open()
        if self.postman is not None:
            self.postman.open()

    async def close(self) -> None:
        """Stop everything, in reverse order."""
        await self.actions.close()
        if self.postman is not None:
            await self.postman.close()
        if self.center is not None:
            await self.center.close()
        await self.documents.close()
        await self.fleet.close()
        self.store.close()
