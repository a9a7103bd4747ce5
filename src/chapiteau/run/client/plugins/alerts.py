"""Alerts: tells web addresses and people of trouble, and when it is over."""

import asyncio
import random
from collections import deque
from email.message import EmailMessage
from typing import Final

from chapiteau.run.client.plugin import Plugin
from chapiteau.run.client.plugins.delivery import DeliveryError, post_json, send_mail
from chapiteau.run.logic.events import Happening
from chapiteau.run.logic.plugins.alerts import Notice, Router, mail_text, payload, title
from chapiteau.run.logic.plugins.settings import Alerts, Target
from chapiteau.run.logic.spec import SecretRef

__all__ = ["Notifier"]

_WAITING: Final = 1000  # notices that wait for one target; the oldest are dropped, and counted
_FIRST_PAUSE: Final = 1.0  # seconds before the second try
_LONGEST_PAUSE: Final = 60.0
_LAST_TRY: Final = 3.0  # seconds for what still waits when the plugin is told to end


class Notifier(Plugin):
    """One queue per target: an address that is away holds up nobody else."""

    Options = Alerts
    options: Alerts
    catches_up = True  # what happened while it was being restarted is told too

    async def started(self) -> None:
        """One postman per target."""
        rule = self.options
        self._router = Router(rule, self.name)
        self._node = (await self.client.status()).node
        password = rule.smtp.password
        self._password = self.secret("smtp.password", password).reveal() if password else ""
        self._queues = {
            name: _Queue(self._headers(name, target)) for name, target in rule.to.items()
        }
        self._chance = random.Random()  # noqa: S311 — jitter, not secrets
        for name in rule.to:
            self.around.start(self._deliver(name))

    def _headers(self, name: str, target: Target) -> dict[str, str]:
        return {
            key: self.secret(f"to.{name}.headers.{key}", value).reveal()
            if isinstance(value, SecretRef)
            else value
            for key, value in target.headers.items()
        }

    async def on_event(self, event: Happening) -> None:
        """Queue what follows from it."""
        for notice in self._router.hear(event):
            await self._put(notice)

    async def _put(self, notice: Notice) -> None:
        queue = self._queues[notice.target]
        if len(queue.waiting) >= _WAITING:
            queue.waiting.popleft()
            queue.dropped += 1
        queue.waiting.append((self.clock.now(), notice))
        queue.filled.set()

    async def stopped(self) -> None:
        """A last, short try for what still waits."""
        left = [(n, q) for n, q in self._queues.items() if q.waiting]
        try:
            async with asyncio.timeout(_LAST_TRY):
                for name, queue in left:
                    while queue.waiting:
                        await self._send(name, queue.waiting[0][1])
                        queue.waiting.popleft()
        except (TimeoutError, DeliveryError):
            return

    async def _deliver(self, name: str) -> None:
        queue, pause = self._queues[name], _FIRST_PAUSE
        while True:
            while not queue.waiting:
                queue.filled.clear()
                await queue.filled.wait()
            since, notice = queue.waiting[0]
            try:
                await self._send(name, notice)
            except DeliveryError as exc:
                if exc.lasting or self.clock.now() - since > self.options.give_up:
                    await self._lost(name, queue, str(exc))
                    continue
                await asyncio.sleep(pause * self._chance.uniform(0.8, 1.2))
                pause = min(_LONGEST_PAUSE, pause * 2)
                continue
            pause = _FIRST_PAUSE
            if queue.waiting and queue.waiting[0][1] is notice:
                queue.waiting.popleft()

    async def _lost(self, name: str, queue: "_Queue", why: str) -> None:
        queue.waiting.popleft()
        dropped, queue.dropped = queue.dropped, 0
        more = f" (and {dropped} before it)" if dropped else ""
        await self.say(f"a notice to {name} was not delivered{more}: {why}", target=name)

    async def _send(self, name: str, notice: Notice) -> None:
        """One try. Raises DeliveryError."""
        rule, target, project = self.options, self.options.to[name], self.around.project
        if target.url:
            body = payload(notice, project, self._node)
            headers = self._queues[name].headers
            await asyncio.to_thread(post_json, target.url, body, headers, rule.timeout)
            return
        message = EmailMessage()
        message["Subject"] = title(notice, project)[:200].replace("\n", " ").replace("\r", " ")
        message["To"] = ", ".join(target.mail)
        message.set_content(mail_text(notice, project, self._node))
        await asyncio.to_thread(send_mail, rule.smtp, self._password, message, rule.timeout)


class _Queue:
    """What waits for one target."""

    def __init__(self, headers: dict[str, str]) -> None:
        self.headers = headers
        self.waiting: deque[tuple[float, Notice]] = deque()
        self.filled = asyncio.Event()
        self.dropped = 0
