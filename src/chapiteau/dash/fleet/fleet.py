"""All nodes together: who is there, what is wrong, what just happened."""

import asyncio
import itertools
from collections.abc import Callable, Iterator, Mapping
from random import Random
from typing import Any, Final, TypedDict

import msgspec

from chapiteau.core.clock import Clock
from chapiteau.dash.errors import UnknownNodeError
from chapiteau.dash.fleet.bus import Bus, Viewer, encode
from chapiteau.dash.fleet.node import Node
from chapiteau.dash.fleet.problem import FleetProblem
from chapiteau.dash.fleet.problems import (
    LOOP_WINDOW,
    Certificate,
    NodeFacts,
    certificate_problems,
    node_problems,
    restart_loops,
    with_mutes,
    with_since,
)
from chapiteau.dash.fleet.status import NodeView
from chapiteau.dash.fleet.watch import NodeWatch
from chapiteau.run.events import EventMessage

__all__ = ["Fleet", "NodeEvent"]

_FIRST_EVENTS: Final = 300  # how many past events a page gets at first
_PAST: Final = 60  # seconds of a server's CPU that come with them
_LOOK_AGAIN: Final = 10  # seconds between two looks for problems that come by time alone
_COLUMNS: Final = (
    "pid", "cpu", "rss", "threads", "fds", "sockets", "requests", "supervisor", "host",
)  # fmt: skip


class NodeEvent(EventMessage):
    """An event, and where it happened."""

    node: str


class _NodeNames(TypedDict):
    """Which processes the columns of a node's statistics are of."""

    node: str
    v: int  # grows with each change
    ids: list[str]


class Fleet:
    """Watches every node and tells the bus. It is the Listener of its watches."""

    def __init__(self, bus: Bus, *, clock: Clock, chance: Random, history: int) -> None:
        self._bus = bus
        self._clock = clock
        self._chance = chance
        self._history = history
        self._watches: dict[str, NodeWatch] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._fresh: set[str] = set()
        self._own = ""
        self._told: dict[str, int] = {}  # which names of a node every page has
        self.certificates: dict[str, Certificate] = {}  # the hub's own, by kind
        self.mutes: dict[str, tuple[float, str]] = {}  # problem → until when, by whom
        self._reported: dict[tuple[str, str], FleetProblem] = {}  # node, kind → what the hub knows
        self._shown: dict[str, list[tuple[Any, ...]]] = {}  # problems as pages have them
        self._ears: list[Callable[[str, EventMessage], None]] = []

    def add(self, node: Node, *, own: bool = False) -> NodeWatch:
        """Begin to watch a node; `own`: the one beside the hub."""
        if own:
            self._own = node.name
        watch = NodeWatch(node, self, clock=self._clock, chance=self._chance, history=self._history)
        self._watches[node.name] = watch
        self._tasks[node.name] = asyncio.create_task(watch.run(), name=f"watch {node.name}")
        return watch

    def hear(self, ear: Callable[[str, EventMessage], None]) -> None:
        """Call it with a node's name and each new event, beside all pages."""
        self._ears.append(ear)

    def report(self, problem: FleetProblem) -> None:
        """A problem of a node that the hub itself found; it lasts until it is retracted."""
        place = (problem.node, problem.kind)
        if self._reported.get(place) != problem:
            self._reported[place] = problem
            self._tell_state(problem.node)

    def retract(self, node: str, kind: str) -> None:
        """That problem is over; nothing happens when there is none."""
        if self._reported.pop((node, kind), None) is not None:
            self._tell_state(node)

    def _tell_state(self, name: str) -> None:
        if name in self._watches:
            self.state_changed(self._watches[name])

    def set_mutes(self, mutes: dict[str, tuple[float, str]]) -> None:
        """Which problems are muted, by key: until when, and by whom."""
        self.mutes = mutes

    async def remove(self, name: str) -> None:
        """Forget a node."""
        self._watches.pop(name, None)
        self._told.pop(name, None)
        self._reported = {at: one for at, one in self._reported.items() if at[0] != name}
        if task := self._tasks.pop(name, None):
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        self._bus.every("fleet", {"gone": name})

    async def close(self) -> None:
        """Stop watching."""
        for name in list(self._tasks):
            await self.remove(name)

    def watch(self, name: str) -> NodeWatch:
        """One node. Raises UnknownNodeError."""
        try:
            return self._watches[name]
        except KeyError:
            raise UnknownNodeError(f"there is no node {name!r}") from None

    def watches(self) -> Iterator[NodeWatch]:
        """Every node, by name."""
        for name in sorted(self._watches):
            yield self._watches[name]

    async def beat(self) -> None:
        """Send numbers once per second, all nodes in one message, as long as it runs."""
        for beat in itertools.count(1):
            await asyncio.sleep(1.0)
            if beat % _LOOK_AGAIN == 0:
                self._look_again()
            watched = self._bus.wanted("stats")
            for watch in self._watches.values():
                watch.watched(watched)
            if watched and self._fresh:
                nodes = [_columns(w) for w in self.watches() if w.node.name in self._fresh]
                self._bus.latest("stats", "", {"time": self._clock.wall(), "nodes": nodes})
            self._fresh.clear()

    def greet(self, viewer: Viewer, topic: str) -> None:
        """What a viewer gets first: the state, and the last minute of each server's CPU."""
        if topic == "fleet":
            for watch in self.watches():
                viewer.latest("fleet", watch.node.name, encode(self.view(watch)))
        elif topic == "stats":
            for watch in self.watches():
                viewer.latest("stats", f"ids {watch.node.name}", encode(_names(watch)))
            nodes = [
                {**_columns(w), "past": w.past.spark(_PAST)} for w in self.watches() if w.stats
            ]
            # A slot of its own: the next beat must not replace the past before it is sent.
            viewer.latest("stats", "past", encode({"time": self._clock.wall(), "nodes": nodes}))
        elif topic == "events":
            past = self.past(_FIRST_EVENTS, {})
            viewer.every("events", encode({"events": past, "first": True}))

    def past(self, last: int, wanted: Mapping[str, str]) -> list[NodeEvent]:
        """The newest events with these values, oldest first."""
        found = [
            named
            for watch in self.watches()
            for named in (_named(watch, event) for event in watch.events)
            if all(named.get(key) == value for key, value in wanted.items())
        ]
        found.sort(key=lambda event: event["time"])
        return found[-last:]

    def problems(self, watch: NodeWatch) -> list[FleetProblem]:
        """What is wrong on one node, worst first."""
        facts = NodeFacts(
            now=self._clock.wall(),
            health=watch.health,
            skew=watch.skew,
            expires=watch.expires,
            generation=watch.generation,
            looping=restart_loops(watch.recent(LOOP_WINDOW), watch.status),
            overruled=watch.overruled,
            certificate_lifetime=watch.certificate_lifetime,
        )
        name = watch.node.name
        found = node_problems(name, watch.status, away_since=watch.away_since, facts=facts)
        found += (one for (node, _), one in self._reported.items() if node == name)
        if name == self._speaker:
            found += certificate_problems(name, self.certificates.values(), facts.now)
        return with_mutes(with_since(found, watch.problem_since, facts.now), self.mutes, facts.now)

    @property
    def _speaker(self) -> str:
        """At which node the hub's own problems are told: the one beside it, else the first."""
        return self._own or min(self._watches, default="")

    def _look_again(self) -> None:
        """Some problems come by time alone: a certificate ends though nothing else happens."""
        for watch in self._watches.values():
            if self._shown.get(watch.node.name) != _signs(self.problems(watch)):
                self.state_changed(watch)

    def view(self, watch: NodeWatch) -> NodeView:
        """One node as the page sees it."""
        found = self.problems(watch)
        self._shown[watch.node.name] = _signs(found)
        return {
            "name": watch.node.name,
            "seen": round(watch.last_seen, 3),
            "away": round(watch.away_since, 3),
            "why": watch.why_away,
            "address": watch.health.get("address", ""),
            "skew": round(watch.skew, 1),
            "expires": round(watch.expires),
            "lost_stats": watch.lost_stats,
            "status": watch.status,
            "problems": msgspec.to_builtins(found),
        }

    # ── Listener ──

    def state_changed(self, watch: NodeWatch) -> None:
        """Tell every page that shows the fleet."""
        self._bus.latest("fleet", watch.node.name, self.view(watch))

    def happened(self, watch: NodeWatch, event: EventMessage) -> None:
        """Tell every page that shows events, and whoever else listens."""
        for ear in self._ears:
            ear(watch.node.name, event)
        self._bus.every("events", {"events": [_named(watch, event)]})

    def measured(self, watch: NodeWatch) -> None:
        """Note it for the next beat; names go at once, before their numbers."""
        if self._told.get(watch.node.name) != watch.ids_version:
            self._told[watch.node.name] = watch.ids_version
            self._bus.latest("stats", f"ids {watch.node.name}", _names(watch))
        self._fresh.add(watch.node.name)


def _columns(watch: NodeWatch) -> dict[str, object]:
    stats = watch.stats
    kept: dict[str, object] = {key: stats[key] for key in _COLUMNS if key in stats}
    return {"node": watch.node.name, "v": watch.ids_version, "time": stats["time"], **kept}


def _names(watch: NodeWatch) -> _NodeNames:
    return {"node": watch.node.name, "v": watch.ids_version, "ids": watch.ids}


def _named(watch: NodeWatch, event: EventMessage) -> NodeEvent:
    return {"node": watch.node.name, **event}


def _signs(found: list[FleetProblem]) -> list[tuple[Any, ...]]:
    """What a change of it is told for: no times that run on by themselves."""
    return [(t.key, t.severity) for t in found]
