"""Open problems and who was told: a hub that is started anew tells nothing twice."""

import asyncio
import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Final

import msgspec

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
from chapiteau.dash.fleet.problem import FleetProblem
from chapiteau.dash.project import Project
from chapiteau.dash.settings import FleetAlerts, FleetTarget
from chapiteau.dash.store import Store, open_database, transaction
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
        found = []
        for kept in self._kept.values():
            with contextlib.suppress(ValueError):  # of another version
                found.append(msgspec.json.decode(kept, type=OpenProblem))
        return found

    def write(self, problems: list[OpenProblem]) -> None:
        """Keep these and no others; only what has changed is written."""
        now = {one.problem.key: msgspec.json.encode(one).decode() for one in problems if one.told}
        if now == self._kept:
            return
        changed = [(key, kept) for key, kept in now.items() if self._kept.get(key) != kept]
        with transaction(self._db):
            self._db.executemany(
                "DELETE FROM problem WHERE key = ?", [(key,) for key in self._kept.keys() - now]
            )
            self._db.executemany("INSERT OR REPLACE INTO problem VALUES (?, ?)", changed)
        self._kept = now


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

POLL: Final = 2.0  # seconds


class AlertDispatcher:
    """One queue per target: an address that is away holds up nobody else."""

    def __init__(
        self,
        rule: FleetAlerts,
        alerts: AlertStore,
        problems: Callable[[], Iterable[FleetProblem]],
        secrets: SecretContext,
        *,
        lost: Callable[[str, str], None],
        clock: Clock,
        chance: Random,
    ) -> None:
        """Raises NotFoundError, RefusedError for a secret that can't be had.

        `lost` is told the target and why, for each notice that is given up.
        """
        self._rule = rule
        self._store = alerts
        self._problems = problems
        self._project = secrets.project
        self._on_lost = lost
        self._clock = clock
        self._evaluator = AlertEvaluator(rule, alerts.read())
        self._password = (
            secrets.secret("hub.alerts.smtp.password", rule.smtp.password)
            if rule.smtp.password
            else ""
        )
        self._queues = {
            name: DeliveryQueue(
                partial(self._send, target, secrets.headers(name, target.headers)),
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
        self._tasks = [asyncio.create_task(self._evaluate(), name="alerts")]
        self._tasks += [asyncio.create_task(queue.run()) for queue in self._queues.values()]

    async def close(self) -> None:
        """End; what still waits is lost, what is open is told by the next hub."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._store.close()

    async def _evaluate(self) -> None:
        while True:
            for notice in self._evaluator.see(self._problems(), self._clock.wall()):
                self._queues[notice.target].put(notice)
            self._store.write(self._evaluator.open)
            await asyncio.sleep(POLL)

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


def make_alert_dispatcher(
    project: Project, fleet: Fleet, store: Store, clock: Clock, chance: Random
) -> AlertDispatcher | None:
    """None when [hub.alerts] names nobody. Raises NotFoundError, RefusedError for its secrets."""
    rule = project.hub.alerts
    if not rule.to:
        return None

    def problems() -> Iterator[FleetProblem]:
        for watch in fleet.watches():
            yield from fleet.problems(watch)

    def lost(target: str, why: str) -> None:
        store.audit(who="hub", verb="alert", target=target, result=why, time=clock.wall())

    secrets = _secrets(project)
    alerts = AlertStore(project.store)
    return AlertDispatcher(rule, alerts, problems, secrets, lost=lost, clock=clock, chance=chance)


def metrics_token(project: Project) -> str:
    """What a scraper shows; empty when none is set. Raises NotFoundError, RefusedError."""
    ref = project.hub.metrics_token
    return _secrets(project).secret("hub.metrics_token", ref) if ref else ""


def _secrets(project: Project) -> SecretContext:
    return SecretContext(project=project.name, folder=project.config.parent, environ=os.environ)
