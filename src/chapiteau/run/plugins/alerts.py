"""Alerts: tells web addresses and people of trouble, and when it is over."""

import asyncio
import contextlib
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final

from chapiteau.io.notifier import DeliveryQueue, post_json, send_mail, text_message
from chapiteau.run.config.plugin_settings import AlertOptions, AlertTarget, matches_any
from chapiteau.run.events import Event
from chapiteau.run.plugins.plugin import Plugin

__all__ = [
    "AlertRouter",
    "AlertsPlugin",
    "Notification",
    "mail_text",
    "notification_title",
    "webhook_payload",
]


# Which trouble somebody shall hear of, whom it is told, and when it is over.

# What happened → what tells that it is over, about the same service.
_ENDS: Final[dict[str, tuple[str, ...]]] = {
    "service.failed": ("service.ready", "service.recovered", "service.completed"),
    "process.unhealthy": ("service.ready", "service.recovered"),
    "process.backoff": ("service.ready", "service.recovered", "service.completed"),
    "process.exited": ("service.ready", "service.recovered", "service.completed"),
    "process.spawn_failed": ("service.ready", "service.recovered", "service.completed"),
    "service.reload_failed": ("service.reloaded",),
    "supervisor.brain_died": ("supervisor.started",),
    "supervisor.safe_mode": ("supervisor.started",),
    "hook.failed": ("hook.done",),
}
_NEVER_OVER: Final = "service.stopping"  # somebody took it down: the trouble is theirs to know
_LASTING: Final = 7 * 86400.0  # seconds after which trouble that never ended is forgotten


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """One message to one target."""

    target: str
    status: str  # "firing" or "resolved"
    event: Event
    since: float  # seconds since 1970: when the trouble began
    count: int = 1  # how often it happened since it was last told


@dataclass(slots=True)
class _Trouble:
    kind: str
    since: float
    told: float
    more: int = 0


class AlertRouter:
    """Hears events, gives notices; the same trouble is told once, and again after `repeat`."""

    def __init__(self, rule: AlertOptions, own_name: str = "") -> None:
        self._rule, self._own = rule, own_name
        self._open: dict[tuple[str, str, str], _Trouble] = {}  # target, service, kind

    def hear(self, event: Event) -> Iterator[Notification]:
        """The notices that this event leads to."""
        if event.data.get("plugin") == self._own and event.kind == "plugin.message":
            return  # our own trouble with a delivery must not feed itself
        if event.service == self._own:
            return
        for name, target in self._rule.to.items():
            if not matches_any(event.service, target.services) and event.service:
                continue
            yield from self._resolved(name, target, event)
            if matches_any(event.kind, target.kinds) and not _was_wanted(event):
                yield from self._firing(name, event)

    def _resolved(self, name: str, target: AlertTarget, event: Event) -> Iterator[Notification]:
        for key, trouble in list(self._open.items()):
            if key[:2] != (name, event.service):
                continue
            old = event.time - trouble.told > _LASTING
            if event.kind == _NEVER_OVER or old:
                del self._open[key]
            elif event.kind in _ENDS.get(trouble.kind, ()) or _says_so(event, trouble.kind):
                del self._open[key]
                if target.resolved and not self._silent(event, trouble.kind):
                    yield Notification(
                        target=name, status="resolved", event=event, since=trouble.since
                    )

    def _firing(self, name: str, event: Event) -> Iterator[Notification]:
        if event.data.get("resolved") or self._silent(event, event.kind):
            return
        key = (name, event.service, event.kind)
        # A time before the last one: the clock was set back, and nobody knows how long it was.
        trouble = self._open.get(key)
        if trouble is not None and 0 <= event.time - trouble.told < self._rule.repeat:
            trouble.more += 1
            return
        since, more = (trouble.since, trouble.more) if trouble else (event.time, 0)
        self._open[key] = _Trouble(event.kind, since, event.time)
        yield Notification(target=name, status="firing", event=event, since=since, count=more + 1)

    def _silent(self, event: Event, kind: str) -> bool:
        return any(
            matches_any(event.service, one.services)
            and matches_any(kind, one.kinds)
            and (not one.until or event.time < datetime.fromisoformat(one.until).timestamp())
            for one in self._rule.silence
        )


def _was_wanted(event: Event) -> bool:
    """A process ended because somebody asked it to, or with success."""
    data = event.data
    return event.kind == "process.exited" and bool(data.get("asked") or data.get("code") == 0)


def _says_so(event: Event, kind: str) -> bool:
    """A plugin tells that what it complained of is over."""
    return kind == event.kind == "plugin.message" and bool(event.data.get("resolved"))


def notification_title(notice: Notification, project: str) -> str:
    """One line."""
    event = notice.event
    what = f"{event.kind} {event.text}".strip()
    if notice.status == "resolved":
        what = f"resolved after {max(0.0, event.time - notice.since):.0f} s: {what}"
    return f"[{project}] {event.service + ': ' if event.service else ''}{what}"


def webhook_payload(notice: Notification, project: str, node: str) -> dict[str, object]:
    """The JSON that is sent; `text` is what chat webhooks show."""
    return {
        "schema": 1,
        "status": notice.status,
        "text": notification_title(notice, project),
        "project": project,
        "node": node,
        "service": notice.event.service,
        "since": notice.since,
        "count": notice.count,
        "event": notice.event.to_dict(),
    }


def mail_text(notice: Notification, project: str, node: str) -> str:
    """The body of a mail."""
    event = notice.event
    lines = [
        notification_title(notice, project),
        "",
        f"node: {node}",
        f"event: {event.kind} #{event.seq}",
    ]
    lines += [f"{key}: {value}" for key, value in _told(event.data).items()]
    lines += ["", *map(str, event.data.get("lines", ()))]
    return "\n".join(lines) + "\n"


def _told(data: Mapping[str, object]) -> dict[str, object]:
    return {k: v for k, v in data.items() if k not in ("lines", "stacks")}


_LAST_TRY: Final = 3.0  # seconds for what is still pending when the plugin is told to end


class AlertsPlugin(Plugin):
    """One queue per target: an address that is away holds up nobody else."""

    Options = AlertOptions
    options: AlertOptions
    catches_up = True  # what happened while it was being restarted is told too

    async def started(self) -> None:
        """Resolve the secrets and start a queue per target."""
        rule = self.options
        self._router = AlertRouter(rule, self.name)
        self._node = (await self.client.status()).node
        password = rule.smtp.password
        self._password = self.secret("smtp.password", password).reveal() if password else ""
        chance = random.Random()  # noqa: S311 — jitter, not secrets
        self._queues = {
            name: DeliveryQueue(
                partial(self._send, target, self.headers(f"to.{name}.headers", target.headers)),
                partial(self._lost, name),
                give_up=rule.give_up,
                clock=self.clock,
                chance=chance,
            )
            for name, target in rule.to.items()
        }
        for queue in self._queues.values():
            self.around.start(queue.run())

    async def on_event(self, event: Event) -> None:
        """Queue what follows from it."""
        for notice in self._router.hear(event):
            self._queues[notice.target].put(notice)

    async def stopped(self) -> None:
        """A last, short attempt for what is still pending."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LAST_TRY):
                for queue in self._queues.values():
                    await queue.flush()

    async def _lost(self, name: str, why: str) -> None:
        await self.say(f"a notice to {name} was {why}", target=name)

    async def _send(
        self, target: AlertTarget, headers: Mapping[str, str], notice: Notification
    ) -> None:
        """One attempt. Raises DeliveryError."""
        rule, project = self.options, self.around.project
        if target.url:
            body = webhook_payload(notice, project, self._node)
            await asyncio.to_thread(post_json, target.url, body, headers, rule.timeout)
            return
        title, text = notification_title(notice, project), mail_text(notice, project, self._node)
        message = text_message(title, text, to=target.mail)
        await asyncio.to_thread(send_mail, rule.smtp, self._password, message, rule.timeout)
