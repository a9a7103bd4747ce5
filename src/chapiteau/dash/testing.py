"""A node that lives in memory: for tests of the page, for its benchmarks, for yours."""

import asyncio
import json
import math
import re
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any, cast

import msgspec

from chapiteau.core.clock import Clock
from chapiteau.dash.errors import NodeAwayError
from chapiteau.dash.fleet.node import NodeHealth, NodeStats, ServiceRequest, ServiceResponse
from chapiteau.run.api.status import ProcessStatus, ServiceStatus, SupervisorStatus
from chapiteau.run.logs.messages import Outcome

__all__ = ["MemoryNode", "process", "service"]


def process(number: int, pid: int, state: str = "running", **more: Any) -> dict[str, Any]:
    """A ProcessStatus as decoded JSON."""
    found = ProcessStatus(
        number=number,
        pid=pid,
        state=state,
        ready=state == "running",
        started_at=1_700_000_000.0,
        generation=1,
        threads=1,
        fds=8,
    )
    return {**msgspec.to_builtins(found), **more}


def service(name: str, processes: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """A ServiceStatus as decoded JSON."""
    found = ServiceStatus(
        name=name,
        state="running",
        wanted=len(processes),
        ready=sum(p["ready"] for p in processes),
        command=f"{name} --serve",
        restarts=sum(p["restarts"] for p in processes),
    )
    return {**msgspec.to_builtins(found), "processes": processes, **more}


@dataclass(slots=True, kw_only=True)
class MemoryNode:
    """Answers like a supervisor from what the test put in; `away = True` makes it fall silent."""

    name: str
    clock: Clock
    services: list[dict[str, Any]] = field(default_factory=list)
    sockets: list[dict[str, Any]] = field(default_factory=list)
    problems: list[dict[str, str]] = field(default_factory=list)
    answers: dict[tuple[str, str], ServiceResponse] = field(
        default_factory=dict
    )  # (method, path) → answer
    commands: list[tuple[str, str, dict[str, Any], str]] = field(default_factory=list)
    outcome: Outcome = Outcome(ok=True, text="done")  # noqa: RUF009 — frozen
    done: dict[str, Outcome] = field(default_factory=dict)  # by the id of a command
    plan: list[dict[str, Any]] = field(default_factory=list)  # what its changed file would change
    applied: list[str] = field(default_factory=list)  # who applied it
    period: float = 1.0  # seconds between two statistics messages
    away: bool = False
    labels: dict[str, str] = field(default_factory=dict)  # of the server
    drained: dict[str, Any] = field(default_factory=dict)  # as in the status
    facts: dict[str, Any] = field(default_factory=dict)  # what `health` says beside the usual
    requests: dict[str, list[float | None]] = field(default_factory=dict)  # as in its statistics
    happenings: list[dict[str, Any]] = field(default_factory=list)
    output: list[dict[str, Any]] = field(default_factory=list)
    chance: Random = field(default_factory=lambda: Random(1))  # noqa: S311 — numbers for show
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def happen(self, kind: str, **more: Any) -> None:
        """Let something happen."""
        event = {"seq": len(self.happenings) + 1, "time": self.clock.wall(), "kind": kind, **more}
        self.happenings.append(event)
        self._tell()

    def say(self, name: str, number: int, text: str, stream: str = "stdout") -> None:
        """Let a process print a line."""
        line = {"time": self.clock.wall(), "service": name, "process": number}
        at = len(self.output) + 1
        self.output.append({**line, "stream": stream, "text": text, "at": at})
        self._tell()

    def fall_silent(self, away: bool = True) -> None:
        """Go away, or come back."""
        self.away = away
        self._tell()

    async def status(self) -> dict[str, Any]:
        """What the test put in."""
        self._reachable()
        found = SupervisorStatus(
            project="memory",
            node=self.name,
            pid=1,
            keeper_pid=2,
            version="0.1.0",
            config="/srv/memory/chapiteau.toml",
            generation=1,
            started_at=1_700_000_000.0,
            brain_restarts=0,
            services=(),
            sockets=(),
            cpu_percent=0.4,
            rss_bytes=30_000_000,
            cgroups="v2",
            last_event=len(self.happenings),
        )
        return {
            **msgspec.to_builtins(found),
            "services": [dict(s) for s in self.services],
            "sockets": [dict(s) for s in self.sockets],
            "problems": [dict(p) for p in self.problems],
            "drained": dict(self.drained),
            "labels": dict(self.labels),
        }

    async def events(self, after: int) -> AsyncIterator[dict[str, Any]]:
        """What happened, then what will."""
        async for event in self._follow(self.happenings, after):
            yield event

    async def logs(self, query: Mapping[str, str]) -> AsyncIterator[dict[str, Any]]:
        """Lines of the wanted service and stream; `pages` of them end with where to go on."""
        self._reachable()
        if query.get("pages") == "1":
            for item in _page(self.output, query):
                yield item
            if query.get("follow") != "1":
                return
            query = {**query, "last": "0"}
        after: dict[str, int] = json.loads(query.get("after") or "{}")
        start = 0 if after else max(0, len(self.output) - int(query.get("last", "100")))
        follow = query.get("follow") == "1"
        lines = self._follow(self.output, start) if follow else _each(self.output[start:])
        async for line in lines:
            if query.get("service", line["service"]) != line["service"]:
                continue
            wanted = query.get("stream", line["stream"]) == line["stream"]
            if wanted and line["at"] > after.get(_source(line), 0):
                yield line

    async def health(self) -> NodeHealth:
        """All is well, but for what the test put into `facts`."""
        self._reachable()
        return {
            "time": self.clock.wall(),
            "disks": [],
            "changes": 0,
            "config_error": "",
            **cast("NodeHealth", self.facts),
        }

    async def stats(self, after: int = -1) -> AsyncIterator[NodeStats]:
        """Numbers that move."""
        before: list[str] = []
        while True:
            self._reachable()
            message = self._numbers()
            if message["ids"] == before:
                del message["ids"]
            else:
                before = message["ids"]
            yield {**message, "requests": self.requests} if self.requests else message
            await asyncio.sleep(self.period)

    async def stats_to(self, after: int, sink: Callable[[NodeStats], None]) -> None:
        """The same, each given to `sink`."""
        async for message in self.stats(after):
            sink(message)

    async def command(
        self, verb: str, service: str, options: Mapping[str, Any], who: str, command_id: str = ""
    ) -> Outcome:
        """Note it, answer `outcome`; of one id once."""
        self._reachable()
        if command_id and self.done.setdefault(command_id, self.outcome) is not self.outcome:
            return self.done[command_id]
        self.commands.append((verb, service, dict(options), who))
        if verb == "drain":
            ran = [s["name"] for s in self.services]
            self.drained = {"since": self.clock.wall(), "who": who, "services": ran, "left": []}
        elif verb == "undrain":
            self.drained = {}
        self.happen("command.done", service=service, who=who, text=f"{verb} {service}")
        return self.outcome

    async def recall(self, command_id: str) -> Outcome | None:
        """Of `done`."""
        self._reachable()
        return self.done.get(command_id)

    async def config(self, *, dry_run: bool, who: str) -> Outcome:
        """Shows `plan`; applying it empties it."""
        self._reachable()
        text = f"{len(self.plan)} changes" if self.plan else "nothing to change"
        found = Outcome(ok=True, text=text, data={"changes": list(self.plan)})
        if not dry_run:
            self.applied.append(who)
            self.plan.clear()
        return found

    async def fetch(self, request: ServiceRequest) -> ServiceResponse:
        """One of `answers`, or 404."""
        self._reachable()
        nothing = ServiceResponse(status=404, headers=(), body="", milliseconds=0.1, url="memory:")
        return self.answers.get((request.method, request.path), nothing)

    async def read(self, path: str) -> dict[str, Any]:
        """The status, or every process of the services that a socket has."""
        if path == "/v1/status":
            return await self.status()
        self._reachable()
        name = path.removeprefix("/v1/sockets/")
        serves = {service for s in self.sockets if s["name"] == name for service in s["services"]}
        held = [
            {"pid": p["pid"], "name": "python", "service": s["name"], "process": p["number"]}
            for s in self.services
            if s["name"] in serves
            for p in s["processes"]
            if p["pid"]
        ]
        return {"name": name, "holders": held, "hidden": 0}

    async def close(self) -> None:
        """Nothing to close."""

    def _numbers(self) -> NodeStats:
        wave = 10 + 6 * math.sin(self.clock.now() / 9)
        ids, pids, cpu, rss = [], [], [], []
        for entry in self.services:
            for number, one in enumerate(entry["processes"]):
                if one["pid"]:
                    ids.append(f"{entry['name']}/{one['number']}")
                    pids.append(one["pid"])
                    cpu.append(round(max(0.0, wave + 2 * number + self.chance.gauss(0, 1)), 1))
                    rss.append(50_000_000 + 400_000 * number + self.chance.randrange(200_000))
        return {
            "time": self.clock.wall(),
            "ids": ids,
            "pid": pids,
            "cpu": cpu,
            "rss": rss,
            "threads": [5] * len(ids),
            "fds": [14] * len(ids),
            "sockets": {
                s["name"]: {"queued": 0, "connections": 12, "accepts": round(30 * wave, 1)}
                for s in self.sockets
            },
            "supervisor": {"cpu": 0.5, "rss": 30_000_000},
            "host": {
                "cpu": round(3 * wave, 1),
                "mem_used": 5 << 30,
                "mem_total": 8 << 30,
                "load1": 0.7,
            },
        }

    async def _follow(
        self, items: list[dict[str, Any]], start: int
    ) -> AsyncIterator[dict[str, Any]]:
        at = start
        while True:
            self._reachable()
            while at < len(items):
                yield items[at]
                at += 1
            news = self._news
            await news.wait()

    def _tell(self) -> None:
        # Each waiter holds the event it waits for: set it and hang up a new one.
        self._news.set()
        self._news = asyncio.Event()

    def _reachable(self) -> None:
        if self.away:
            raise NodeAwayError(f"{self.name}: the supervisor does not answer")


def _page(output: list[dict[str, Any]], query: Mapping[str, str]) -> list[dict[str, Any]]:
    places: dict[str, str] = json.loads(query.get("before") or "{}")
    end = min((int(place.partition(":")[2]) for place in places.values()), default=1 << 60)
    fitting = [
        line
        for line in output
        if line["at"] < end
        and query.get("service", line["service"]) == line["service"]
        and re.search(query.get("grep", ""), line["text"])
    ]
    shown = fitting[-int(query.get("last", "100")) :]
    more = len(shown) < len(fitting)
    older = {_source(line): f"0:{shown[0]['at']}" for line in fitting} if more else {}
    return [*shown, {"older": older, "unread": []}]


def _source(line: Mapping[str, Any]) -> str:
    return f"{line['service']}/{line['process']}/{line['stream']}"


async def _each(items: list[dict[str, Any]]) -> AsyncIterator[dict[str, Any]]:
    for item in items:
        yield item
