"""Open problems and who was told: a hub that is started anew tells nothing twice."""

import asyncio
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, Final

from chapiteau.core.clock import Clock
from chapiteau.dash.fleet.alerts import (
    AlertEvaluator,
    FleetNotice,
    OpenProblem,
    mail_text,
    payload,
    title,
)
from chapiteau.dash.fleet.fleet import Fleet
from chapiteau.dash.fleet.problem import FleetProblem, Remedy
from chapiteau.dash.project import Project
from chapiteau.dash.settings import FleetAlerts, FleetTarget
from chapiteau.dash.store import Store, open_database
from chapiteau.io.notifier import DeliveryQueue, post_json, send_mail, text_message
from chapiteau.io.secret_file import SecretRef, resolve_headers, resolve_secret

__all__ = [
    "AlertDispatcher",
    "AlertStore",
    "SecretContext",
    "make_alert_dispatcher",
    "metrics_token",
]

_SCHEMA: Final = "CREATE TABLE IF NOT EXISTS problem (key TEXT PRIMARY KEY, kept TEXT) STRICT"


class AlertStore:
    """A table in the hub's file."""

    def __init__(self, path: Path) -> None:
        self._db = open_database(path, _SCHEMA)
        self._kept: dict[str, str] = dict(self._db.execute("SELECT key, kept FROM problem"))

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def read(self) -> list[OpenProblem]:
        """What was open when the last hub ended."""
        return [_open(json.loads(kept)) for kept in self._kept.values()]

    def write(self, problems: list[OpenProblem]) -> None:
        """Keep these and no others; only what has changed is written."""
        now = {one.trouble.key: json.dumps(asdict(one)) for one in problems if one.told}
        if now == self._kept:
            return
        self._db.execute("BEGIN IMMEDIATE")
        for key in self._kept.keys() - now.keys():
            self._db.execute("DELETE FROM problem WHERE key = ?", (key,))
        for key, kept in now.items():
            if self._kept.get(key) != kept:
                self._db.execute("INSERT OR REPLACE INTO problem VALUES (?, ?)", (key, kept))
        self._db.execute("COMMIT")
        self._kept = now


def _open(raw: dict[str, Any]) -> OpenProblem:
    trouble = raw["trouble"]
    cures = tuple(Remedy(**cure) for cure in trouble["cures"])
    lines = tuple(trouble["lines"])
    told = {name: (float(when), int(count)) for name, (when, count) in raw["told"].items()}
    return OpenProblem(
        trouble=FleetProblem(**{**trouble, "cures": cures, "lines": lines}),
        since=raw["since"],
        gone=raw["gone"],
        told=told,
    )


# Values that stand in files or in the environment, for alerts and for /metrics.


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretContext:
    """Whose alerts these are, and where their secrets come from."""

    project: str
    folder: Path  # of chapiteau.toml
    environ: Mapping[str, str]

    def secret(self, name: str, ref: SecretRef) -> str:
        """The value. Raises NotFoundError, RefusedError for a file that others can read."""
        return resolve_secret(name, ref, self.folder, self.environ).reveal()

    def headers(self, target: str, headers: Mapping[str, str | SecretRef]) -> dict[str, str]:
        """Request headers of a target. Raises as `secret`."""
        name = f"hub.alerts.to.{target}.headers"
        return resolve_headers(name, headers, self.folder, self.environ)


# Looks at the fleet's problems every few seconds, and delivers what follows.

LOOK: Final = 2.0  # seconds between two looks


class AlertDispatcher:
    """One queue per target: an address that is away holds up nobody else."""

    def __init__(
        self,
        rule: FleetAlerts,
        book: AlertStore,
        troubles: Callable[[], Iterable[FleetProblem]],
        around: SecretContext,
        *,
        lost: Callable[[str, str], None],
        clock: Clock,
        chance: Random,
    ) -> None:
        """Raises NotFoundError, RefusedError for a secret that can't be had.

        `lost` is told the target and why, for each notice that is given up.
        """
        self._rule = rule
        self._book = book
        self._troubles = troubles
        self._project = around.project
        self._on_lost = lost
        self._clock = clock
        self._watchman = AlertEvaluator(rule, book.read())
        self._password = (
            around.secret("hub.alerts.smtp.password", rule.smtp.password)
            if rule.smtp.password
            else ""
        )
        self._queues = {
            name: DeliveryQueue(
                partial(self._send, target, around.headers(name, target.headers)),
                partial(self._lost, name),
                give_up=rule.give_up,
                clock=clock,
                chance=chance,
            )
            for name, target in rule.to.items()
        }
        self._tasks: list[asyncio.Task[None]] = []

    def open(self) -> None:
        """Begin."""
        self._tasks = [asyncio.create_task(self._look(), name="alerts")]
        self._tasks += [asyncio.create_task(queue.run()) for queue in self._queues.values()]

    async def close(self) -> None:
        """End; what still waits is lost, what is open is told by the next hub."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._book.close()

    async def _look(self) -> None:
        while True:
            for notice in self._watchman.see(self._troubles(), self._clock.wall()):
                self._queues[notice.target].put(notice)
            self._book.write(self._watchman.open)
            await asyncio.sleep(LOOK)

    async def _lost(self, name: str, why: str) -> None:
        self._on_lost(name, why)

    async def _send(
        self, target: FleetTarget, headers: Mapping[str, str], notice: FleetNotice
    ) -> None:
        """One attempt. Raises DeliveryError."""
        rule = self._rule
        if target.url:
            body = payload(notice, self._project)
            await asyncio.to_thread(post_json, target.url, body, headers, rule.timeout)
            return
        subject, text = title(notice, self._project), mail_text(notice, self._project)
        message = text_message(subject, text, to=target.mail)
        await asyncio.to_thread(send_mail, rule.smtp, self._password, message, rule.timeout)


# The postman of a hub, from its settings.


def make_alert_dispatcher(
    project: Project, fleet: Fleet, store: Store, clock: Clock, chance: Random
) -> AlertDispatcher | None:
    """None when [hub.alerts] names nobody. Raises NotFoundError, RefusedError for its secrets."""
    rule = project.hub.alerts
    if not rule.to:
        return None

    def troubles() -> Iterator[FleetProblem]:
        for watch in fleet.watches():
            yield from fleet.troubles(watch)

    def lost(target: str, why: str) -> None:
        store.audit(who="hub", verb="alert", target=target, result=why, time=clock.wall())

    around = _around(project)
    book = AlertStore(project.store)
    return AlertDispatcher(rule, book, troubles, around, lost=lost, clock=clock, chance=chance)


def metrics_token(project: Project) -> str:
    """What a scraper shows; empty when none is set. Raises NotFoundError, RefusedError."""
    ref = project.hub.metrics_token
    return _around(project).secret("hub.metrics_token", ref) if ref else ""


def _around(project: Project) -> SecretContext:
    return SecretContext(project=project.name, folder=project.config.parent, environ=os.environ)
