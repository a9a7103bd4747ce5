"""The hub: every part of it, put together once."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from chapiteau.core.clock import Clock
from chapiteau.dash.auth.access import Caller
from chapiteau.dash.auth.audit_trail import AuditTrail
from chapiteau.dash.auth.oidc import IdentityProvider
from chapiteau.dash.auth.sessions import Sessions
from chapiteau.dash.fleet.actions import Actions
from chapiteau.dash.fleet.alert_delivery import AlertDispatcher
from chapiteau.dash.fleet.bus import Bus
from chapiteau.dash.fleet.documents import ApiDocuments
from chapiteau.dash.fleet.fleet import Fleet
from chapiteau.dash.fleet.operations import OperationStats
from chapiteau.dash.nodes.cluster import ClusterRuntime
from chapiteau.dash.settings import Dash
from chapiteau.dash.store import StorageError, Store

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
    documents: ApiDocuments
    operations: OperationStats
    sessions: Sessions
    store: Store
    trail: AuditTrail
    provider: IdentityProvider | None  # of identities
    cluster: ClusterRuntime | None  # None: a page for this server alone
    metrics_token: str = ""  # "": only with a session
    alerts: AlertDispatcher | None = None  # None: nobody is told
    reports: Path  # the run folder, where load results lie

    @contextlib.contextmanager
    def audited(self, caller: Caller, verb: str, target: str) -> Iterator[Callable[[str], None]]:
        """Who does what, in the audit trail before it is done. Raises StorageError.

        Yields a function that takes the result; an error of the body is its result otherwise.
        When the hub ends meanwhile the line stays open, and the next start says so.
        """
        now, results = self.clock.wall(), list[str]()
        seq = self.store.audit(who=caller.name, verb=verb, target=target, result="", time=now)
        try:
            yield results.append
        except Exception as exc:
            results.append(f"failed: {exc}")
            raise
        finally:
            if results:
                with contextlib.suppress(StorageError):  # it was done, or not, all the same
                    self.store.conclude(seq, results[-1][:2000])

    async def open(self) -> None:
        """Let nodes in, and begin to tell of problems. Raises ChapiteauError when it can't be."""
        if self.cluster is not None:
            await self.cluster.open()
        if self.alerts is not None:
            self.alerts.open()
        self.actions.open()

    async def close(self) -> None:
        """Stop everything, in reverse order."""
        await self.actions.close()
        if self.alerts is not None:
            await self.alerts.close()
        if self.cluster is not None:
            await self.cluster.close()
        await self.documents.close()
        await self.fleet.close()
        self.store.close()
