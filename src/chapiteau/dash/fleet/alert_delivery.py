"""Open problems and who was told: a hub that is started anew tells nothing twice."""

import asyncio
import json
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from email.message import EmailMessage
from pathlib import Path
from random import Random
from typing import Any, Final

from chapiteau.core.backoff import Backoff
from chapiteau.core.clock import Clock
from chapiteau.core.errors import NotFoundError
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
from chapiteau.dash.settings import FleetAlerts
from chapiteau.dash.store import Store, open_database
from chapiteau.io.secret_file import read_secret_file
from chapiteau.run.config.spec import SecretRef
from chapiteau.run.plugins.delivery import DeliveryError, post_json, send_mail

__all__ = [
    "AlertDispatcher",
    "AlertStore",
    "SecretContext",
    "make_alert_dispatcher",
    "metrics_token",
    "resolve_secret",
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


def resolve_secret(name: str, ref: SecretRef, around: SecretContext) -> str:
    """The value. Raises NotFoundError, RefusedError for a file that others can read."""
    if ref.file:
        return read_secret_file(name, around.folder / ref.file)
    if ref.env not in around.environ:
        raise NotFoundError(
            f"the secret {name} should come from the variable {ref.env}, which is not set",
            hint=f"set {ref.env} for the hub",
        )
    return around.environ[ref.env]


# Looks at the fleet's problems every few seconds, and delivers what follows.

LOOK: Final = 2.0  # seconds between two looks
_WAITING: Final = 1000  # notices that wait for one target; the oldest are dropped, and counted
_RETRY: Final = Backoff(first=1.0, factor=2.0, cap=60.0, jitter=0.2)


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
        self._lost = lost
        self._clock = clock
        self._chance = chance
        self._watchman = AlertEvaluator(rule, book.read())
        self._password = (
            resolve_secret("hub.alerts.smtp.password", rule.smtp.password, around)
            if rule.smtp.password
            else ""
        )
        self._headers = {
            name: {
                key: resolve_secret(f"hub.alerts.to.{name}.headers.{key}", value, around)
                if isinstance(value, SecretRef)
                else value
                for key, value in target.headers.items()
            }
            for name, target in rule.to.items()
        }
        self._queues = {name: _Queue() for name in rule.to}
        self._tasks: list[asyncio.Task[None]] = []

    def open(self) -> None:
        """Begin."""
        self._tasks = [asyncio.create_task(self._look(), name="alerts")]
        self._tasks += [asyncio.create_task(self._deliver(name)) for name in self._queues]

    async def close(self) -> None:
        """End; what still waits is lost, what is open is told by the next hub."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._book.close()

    async def _look(self) -> None:
        while True:
            for notice in self._watchman.see(self._troubles(), self._clock.wall()):
                self._queues[notice.target].put(self._clock.now(), notice)
            self._book.write(self._watchman.open)
            await asyncio.sleep(LOOK)

    async def _deliver(self, name: str) -> None:
        queue, attempt = self._queues[name], 0
        while True:
            await queue.filled.wait()
            since, notice = queue.waiting[0]
            try:
                await self._send(notice)
            except DeliveryError as exc:
                attempt += 1
                if not exc.lasting and self._clock.now() - since < self._rule.give_up:
                    await asyncio.sleep(_RETRY.delay(attempt, self._chance))
                    continue
                dropped, queue.dropped = queue.dropped, 0
                more = f" (and {dropped} before it)" if dropped else ""
                self._lost(name, f"not delivered{more}: {exc}")
            attempt = 0
            queue.taken(notice)

    async def _send(self, notice: FleetNotice) -> None:
        """One try. Raises DeliveryError."""
        rule, target = self._rule, self._rule.to[notice.target]
        if target.url:
            body, headers = payload(notice, self._project), self._headers[notice.target]
            await asyncio.to_thread(post_json, target.url, body, headers, rule.timeout)
            return
        message = EmailMessage()
        line = " ".join(title(notice, self._project).split())
        message["Subject"] = line[:200]
        message["To"] = ", ".join(target.mail)
        message.set_content(mail_text(notice, self._project))
        await asyncio.to_thread(send_mail, rule.smtp, self._password, message, rule.timeout)


class _Queue:
    """What waits for one target."""

    def __init__(self) -> None:
        self.waiting: deque[tuple[float, FleetNotice]] = deque()
        self.filled = asyncio.Event()
        self.dropped = 0

    def put(self, now: float, notice: FleetNotice) -> None:
        if len(self.waiting) >= _WAITING:
            self.waiting.popleft()
            self.dropped += 1
        self.waiting.append((now, notice))
        self.filled.set()

    def taken(self, notice: FleetNotice) -> None:
        """It is done with; it may have been dropped meanwhile."""
        if self.waiting and self.waiting[0][1] is notice:
            self.waiting.popleft()
        if not self.waiting:
            self.filled.clear()


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
    return resolve_secret("hub.metrics_token", ref, _around(project)) if ref else ""


def _around(project: Project) -> SecretContext:
    return SecretContext(project=project.name, folder=project.config.parent, environ=os.environ)
