"""Alerts: notifies web addresses and people of problems, and when they are over."""

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


# Which problems lead to a notification, to whom, and when a problem is over.

# What happened → what tells that it is over, about the same service.
_RESOLVED_BY: Final[dict[str, tuple[str, ...]]] = {
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
_STOPPED: Final = "service.stopping"  # somebody stopped it on purpose: no resolution follows
_FORGET_AFTER: Final = 7 * 86400.0  # seconds after which a problem that never ended is forgotten


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """One message to one target."""

    target: str
    status: str  # "firing" or "resolved"
    event: Event
    since: float  # seconds since 1970: when the problem began
    count: int = 1  # how often it happened since the last notification


@dataclass(slots=True)
class _OpenProblem:
    kind: str
    since: float
    notified_at: float
    suppressed: int = 0


class AlertRouter:
    """Turns events into notifications: one per problem, and again after `repeat`."""

    def __init__(self, rule: AlertOptions, own_name: str = "") -> None:
        self._rule, self._own_name = rule, own_name
        self._open: dict[tuple[str, str, str], _OpenProblem] = {}  # target, service, kind

    def route(self, event: Event) -> Iterator[Notification]:
        """The notifications that this event leads to."""
        if event.data.get("plugin") == self._own_name and event.kind == "plugin.message":
            return  # our own problem with a delivery must not feed itself
        if event.service == self._own_name:
            return
        for name, target in self._rule.to.items():
            if not matches_any(event.service, target.services) and event.service:
                continue
            yield from self._resolved(name, target, event)
            if matches_any(event.kind, target.kinds) and not _was_expected(event):
                yield from self._firing(name, event)

    def _resolved(self, name: str, target: AlertTarget, event: Event) -> Iterator[Notification]:
        for key, problem in list(self._open.items()):
            if key[:2] != (name, event.service):
                continue
            old = event.time - problem.notified_at > _FORGET_AFTER
            if event.kind == _STOPPED or old:
                del self._open[key]
            elif event.kind in _RESOLVED_BY.get(problem.kind, ()) or _is_resolution(
                event, problem.kind
            ):
                del self._open[key]
                if target.resolved and not self._is_silenced(event, problem.kind):
                    yield Notification(
                        target=name, status="resolved", event=event, since=problem.since
                    )

    def _firing(self, name: str, event: Event) -> Iterator[Notification]:
        if event.data.get("resolved") or self._is_silenced(event, event.kind):
            return
        key = (name, event.service, event.kind)
        # A time before the last one: the clock was set back, and nobody knows how long it was.
        problem = self._open.get(key)
        if problem is not None and 0 <= event.time - problem.notified_at < self._rule.repeat:
            problem.suppressed += 1
            return
        since, suppressed = (problem.since, problem.suppressed) if problem else (event.time, 0)
        self._open[key] = _OpenProblem(event.kind, since, event.time)
        yield Notification(
            target=name, status="firing", event=event, since=since, count=suppressed + 1
        )

    def _is_silenced(self, event: Event, kind: str) -> bool:
        return any(
            matches_any(event.service, one.services)
            and matches_any(kind, one.kinds)
            and (not one.until or event.time < datetime.fromisoformat(one.until).timestamp())
            for one in self._rule.silence
        )


def _was_expected(event: Event) -> bool:
    """A process ended because somebody asked it to, or with success."""
    data = event.data
    return event.kind == "process.exited" and bool(data.get("asked") or data.get("code") == 0)


def _is_resolution(event: Event, kind: str) -> bool:
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
    lines += [f"{key}: {value}" for key, value in _details(event.data).items()]
    lines += ["", *map(str, event.data.get("lines", ()))]
    return "\n".join(lines) + "\n"


def _details(data: Mapping[str, object]) -> dict[str, object]:
    return {k: v for k, v in data.items() if k not in ("lines", "stacks")}


_LAST_TRY: Final = 3.0  # seconds for what is still pending when the plugin is told to end


class AlertsPlugin(Plugin):
    """One queue per target: an address that is away holds up nobody else."""

    Options = AlertOptions
    options: AlertOptions
    catches_up = True  # what happened while it was being restarted leads to notifications too

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
        for notice in self._router.route(event):
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
