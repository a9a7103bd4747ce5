"""Watching one node: its state, events and numbers, for as long as it takes."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Iterator
from random import Random
from typing import Any, Final, Protocol

from chapiteau.core.backoff import Backoff
from chapiteau.core.clock import Clock
from chapiteau.core.errors import ChapiteauError
from chapiteau.dash.errors import NodeAwayError
from chapiteau.dash.fleet.history import History, HostHistory
from chapiteau.dash.fleet.node import Node, NodeHealth, NodeStats
from chapiteau.dash.fleet.status import NodeStatus
from chapiteau.run.events import EventMessage

__all__ = ["Listener", "NodeWatch", "clock_shift"]

_RETRY: Final = Backoff(first=0.2, factor=1.7, cap=5.0, jitter=0.3)
_REFRESH: Final = 5.0  # seconds; a safety net, since every event asks for a fresh state
_SETTLE: Final = 0.05  # seconds in which several events cost one status request
_KEPT_EVENTS: Final = 2_000
_HEALTH: Final = 10.0  # seconds between two questions for what the state does not say
_WRONG: Final = 1.0  # seconds by which a clock may differ before its times are corrected
_STEADY: Final = 0.5  # seconds by which the difference may seem to change


class Listener(Protocol):
    """Who wants to know what a watch sees."""

    def state_changed(self, watch: "NodeWatch") -> None:
        """Status or reachability changed."""
        ...

    def happened(self, watch: "NodeWatch", event: EventMessage) -> None:
        """One new event."""
        ...

    def measured(self, watch: "NodeWatch") -> None:
        """New numbers."""
        ...


class NodeWatch:
    """The last truth known about one node, kept fresh by three tasks.

    Events drive it: each one asks for a fresh status. When the node falls silent, everything known
    stays, `away_since` says since when, and it tries again for ever.
    """

    def __init__(
        self, node: Node, listener: Listener, *, clock: Clock, chance: Random, history: int
    ) -> None:
        self.node = node
        self.status: NodeStatus = {}
        self.stats: NodeStats = {}
        self.ids: list[str] = []
        self.ids_version = 0
        self.events: deque[EventMessage] = deque(maxlen=_KEPT_EVENTS)
        self.health: NodeHealth = {}
        self.problem_since: dict[str, float] = {}  # by the problem's key
        self.skew = 0.0  # seconds by which the node's clock is ahead of ours
        self.shift = 0.0  # seconds taken from its times, so that they stand on our clock
        self.overruled = ""  # why the node does not obey us
        self.generation = 0  # of what the hub wants of it
        self.expires = 0.0  # when its certificate ends; 0: it has none
        self.certificate_lifetime = 30 * 86_400.0  # seconds for which such certificates are good
        self.lost_stats = 0  # messages that it could not keep while it was away
        self.last_seen = 0.0
        self.away_since = 0.0
        self.why_away = ""
        self.history = History(history)
        self.past = HostHistory()
        self._always_measure = history > 0
        self._listener = listener
        self._clock = clock
        self._chance = chance
        self._stale = asyncio.Event()
        self._watched = asyncio.Event()
        self._present = asyncio.Event()
        self._last_event = 0
        self._last_number = -1  # of its statistics

    def __repr__(self) -> str:
        state = f"away since {self.away_since:.0f}" if self.away_since else "live"
        return f"<NodeWatch {self.node.name} {state} event {self._last_event}>"

    async def run(self) -> None:
        """Watch until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_trying(self._follow_events))
            group.create_task(self._keep_trying(self._refresh))
            group.create_task(self._keep_trying(self._measure))
            group.create_task(self._keep_trying(self._ask_health))

    def recent(self, seconds: float) -> Iterator[EventMessage]:
        """The events of the last seconds, newest first."""
        begin = self._clock.wall() - seconds
        for event in reversed(self.events):
            if event["time"] < begin:
                return
            yield event

    def follow_hub(self, *, generation: int, overruled: str) -> None:
        """What the hub wants of the node, and why the node does not follow this hub ("" if so)."""
        self.generation, self.overruled = generation, overruled

    def note_certificate(self, expires: float, lifetime: float) -> None:
        """When its certificate ends, and for how many seconds such ones are valid."""
        self.expires, self.certificate_lifetime = expires, lifetime

    def note_clock(self, theirs: float, ours: float) -> None:
        """What the node's clock said when ours said that."""
        self.skew = theirs - ours
        self.shift = clock_shift(self.shift, self.skew)

    def note_seen(self, time: float) -> None:
        """A hub before this one saw it then."""
        self.last_seen = max(self.last_seen, time)

    def happened_here(self, event: EventMessage) -> None:
        """Something that the hub itself knows of this node, beside the node's own events."""
        self.events.append(event)
        self._listener.happened(self, event)

    def refresh(self) -> None:
        """Ask for a fresh status soon."""
        self._stale.set()

    @property
    def is_present(self) -> bool:
        """Whether it has answered since this hub runs, and is not away."""
        return self._present.is_set()

    async def present(self) -> None:
        """Wait until it answers."""
        await self._present.wait()

    def watched(self, yes: bool) -> None:
        """Tell whether anybody looks at the numbers."""
        if yes:
            self._watched.set()
        else:
            self._watched.clear()

    async def _keep_trying(self, work: Callable[[], Any]) -> None:
        attempt = 0
        while True:
            began = self._clock.now()
            try:
                await work()
            except ChapiteauError as exc:
                self._lost(exc)
            attempt = 1 if self._clock.now() - began > 2 * _RETRY.cap else attempt + 1
            await asyncio.sleep(_RETRY.delay(attempt, self._chance))

    def _lost(self, why: ChapiteauError) -> None:
        if self.away_since:
            return
        self.away_since = self._clock.wall()
        self._present.clear()
        self.why_away = why.what
        self.refresh()  # ask at once, and then again and again until it answers
        self._listener.state_changed(self)

    def _found(self) -> None:
        self.last_seen = self._clock.wall()
        self._present.set()
        if self.away_since:
            self.away_since = 0.0
            self.why_away = ""

    async def _refresh(self) -> None:
        while True:
            # The page's own link logs in whoever has it: it must not reach a viewer.
            status: NodeStatus = {**await self.node.status(), "dashboard": ""}
            back = bool(self.away_since)
            self._found()
            if back or status != self.status:
                self.status = status
                self._listener.state_changed(self)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_REFRESH):
                    await self._stale.wait()
                    await asyncio.sleep(_SETTLE)
            self._stale.clear()

    async def _ask_health(self) -> None:
        while True:
            sent = self._clock.wall()
            try:
                health = await self.node.health()
            except NodeAwayError:
                raise
            except ChapiteauError:
                health = {}  # a node of before there was this question
            if "time" in health:
                # Half the way there and back is the best guess of when it looked at its clock.
                self.note_clock(float(health.pop("time")), (sent + self._clock.wall()) / 2)
            if health != self.health:
                self.health = health
                self._listener.state_changed(self)
            await asyncio.sleep(_HEALTH)

    async def _follow_events(self) -> None:
        newest = (await self.node.status()).get("last_event", self._last_event)
        if newest < self._last_event:
            self._last_event = 0  # a supervisor that lost its state: its numbers began again
        async for event in self.node.events(self._last_event):
            if event["seq"] <= self._last_event and event["kind"] != "supervisor.started":
                continue
            # A supervisor that lost its state starts again at 1: take its numbers as they are.
            self._last_event = event["seq"]
            if self.shift:
                event = {**event, "time": event["time"] - self.shift}  # noqa: PLW2901
            self.events.append(event)
            self._listener.happened(self, event)
            self.refresh()

    async def _measure(self) -> None:
        if self._always_measure:
            await self.node.stats_to(self._last_number, self._take)
            return
        await self._watched.wait()
        async with contextlib.aclosing(self.node.stats(self._last_number)) as messages:  # type: ignore[type-var]
            async for message in messages:
                self._take(message)
                if not self._watched.is_set():
                    return

    def _take(self, message: NodeStats) -> None:
        self._last_number = message.get("number", -1)
        self.lost_stats += message.get("dropped", 0)
        ids = message.get("ids")
        if ids is not None and ids != self.ids:
            self.ids = list(ids)
            self.ids_version += 1
        if len(message.get("cpu", ())) != len(self.ids):
            return  # its names come with the next message
        if self.shift:
            message = {**message, "time": message["time"] - self.shift}
        self.stats = message
        self.last_seen = self._clock.wall()
        self.history.add(message, self.ids)
        self.past.add(message)
        self._listener.measured(self)


def clock_shift(before: float, skew: float) -> float:
    """By how much to correct a node's times; `before`: by how much it was until now.

    It changes only when the clock was set: else the jitter of each look would tear seconds.
    """
    if abs(skew - before) < _STEADY:
        return before
    return skew if abs(skew) >= _WRONG else 0.0
