"""The postman of a hub, from its settings."""

import os
from collections.abc import Iterator
from random import Random

from chapiteau.core.clock import Clock
from chapiteau.dash.engine.alerting.book import Book
from chapiteau.dash.engine.alerting.postman import Postman
from chapiteau.dash.engine.alerting.secrets import Around, reveal
from chapiteau.dash.engine.fleet import Fleet
from chapiteau.dash.engine.project import Project
from chapiteau.dash.engine.store import Store
from chapiteau.dash.logic.trouble import Trouble

__all__ = ["make_postman", "metrics_token"]


def make_postman(
    project: Project, fleet: Fleet, store: Store, clock: Clock, chance: Random
) -> Postman | None:
    """None when [hub.alerts] names nobody. Raises NotFoundError, RefusedError for its secrets."""
    rule = project.hub.alerts
    if not rule.to:
        return None

    def troubles() -> Iterator[Trouble]:
        for watch in fleet.watches():
            yield from fleet.troubles(watch)

    def lost(target: str, why: str) -> None:
        store.audit(who="hub", verb="alert", target=target, result=why, time=clock.wall())

    around = _around(project)
    book = Book(project.store)
    return Postman(rule, book, troubles, around, lost=lost, clock=clock, chance=chance)


def metrics_token(project: Project) -> str:
    """What a scraper shows; empty when none is set. Raises NotFoundError, RefusedError."""
    ref = project.hub.metrics_token
    return reveal("hub.metrics_token", ref, _around(project)) if ref else ""


def _around(project: Project) -> Around:
    return Around(project=project.name, folder=project.config.parent, environ=os.environ)
