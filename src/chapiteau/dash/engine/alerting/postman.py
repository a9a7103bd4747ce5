"""Looks at the fleet's problems every few seconds, and delivers what follows."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from email.message import EmailMessage
from random import Random
from typing import Final

from chapiteau.core.backoff import Backoff
from chapiteau.core.clock import Clock
from chapiteau.dash.engine.alerting.book import Book
from chapiteau.dash.engine.alerting.secrets import Around, reveal
from chapiteau.dash.logic.alerting.settings import FleetAlerts
from chapiteau.dash.logic.alerting.watchman import (
    FleetNotice,
    Watchman,
    mail_text,
    payload,
    title,
)
from chapiteau.dash.logic.trouble import Trouble
from chapiteau.run.client.plugins.delivery import DeliveryError, post_json, send_mail
from chapiteau.run.logic.spec import SecretRef

__all__ = ["Postman"]

LOOK: Final = 2.0  # seconds between two looks
_WAITING: Final = 1000  # notices that wait for one target; the oldest are dropped, and counted
_RETRY: Final = Backoff(first=1.0, factor=2.0, cap=60.0, jitter=0.2)


class Postman:
    """One queue per target: an address that is away holds up nobody else."""

    def __init__(
        self,
        rule: FleetAlerts,
        book: Book,
        troubles: Callable[[], Iterable[Trouble]],
        around: Around,
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
        self._watchman = Watchman(rule, book.read())
        self._password = (
            reveal("hub.alerts.smtp.password", rule.smtp.password, around)
            if rule.smtp.password
            else ""
        )
        self._headers = {
            name: {
                key: reveal(f"hub.alerts.to.{name}.headers.{key}", value, around)
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
