"""What the terminal needs from wherever the fleet is seen."""

import asyncio
import contextlib
import itertools
import json
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from random import Random
from typing import Any, Final, Protocol

import aiohttp
from aiohttp import WSMsgType

from chapiteau.core.clock import Clock
from chapiteau.core.errors import ChapiteauError
from chapiteau.dash.errors import HubGoneError, LoginError
from chapiteau.dash.fleet.action import Action, ActionResult, Target
from chapiteau.dash.fleet.bus import Bus, Viewer
from chapiteau.dash.fleet.fleet import Fleet
from chapiteau.dash.fleet.node import Node, line_columns
from chapiteau.run.logs.messages import Outcome

__all__ = ["HubSource", "LocalSource", "OnMessage", "Source"]

OnMessage = Callable[[str, Mapping[str, Any]], None]  # a topic and its data, as the page gets them


class Source(Protocol):
    """A fleet that can be watched and steered."""

    where: str  # for the title: a machine, or the hub's address

    async def watch(self, take: OnMessage) -> None:
        """Hand over messages until cancelled; a lost link is found again.

        The topics are fleet, stats, events and actions; `link` says {"up": bool, "why": str}.
        """
        ...

    def logs(self, nodes: Sequence[str], query: Mapping[str, str]) -> AsyncIterator[list[Any]]:
        """Lines of output [time, node, service, process, stream, text], kept ones first."""
        ...

    async def act(self, verb: str, targets: Sequence[Target], options: Mapping[str, Any]) -> str:
        """Begin an action; its results come by the topic `actions`.

        Returns what went wrong, in words, or nothing.
        """
        ...

    async def close(self) -> None:
        """Let go of everything."""
        ...


# The fleet of one: this machine's supervisor, watched without a hub.

_TOPICS = ("fleet", "stats", "events", "actions")


class LocalSource:
    """Watches one node in this process; who may ask its supervisor may act."""

    def __init__(self, node: Node, clock: Clock) -> None:
        self.where = node.name
        self._node = node
        self._clock = clock
        self._bus = Bus()
        self._fleet = Fleet(self._bus, clock=clock, chance=Random(), history=0)  # noqa: S311
        self._count = 0

    async def watch(self, take: OnMessage) -> None:
        """Messages as a page of a hub gets them."""
        viewer = Viewer("terminal")
        self._bus.viewers.add(viewer)
        viewer.topics.update(_TOPICS)
        self._fleet.add(self._node)
        beat = asyncio.create_task(self._fleet.beat())
        try:
            take("link", {"up": True, "why": ""})
            while True:
                await viewer.wake.wait()
                viewer.wake.clear()
                for message in viewer.take():
                    take(message.topic, json.loads(message.data))
        finally:
            beat.cancel()
            await self._fleet.close()

    async def logs(
        self, nodes: Sequence[str], query: Mapping[str, str]
    ) -> AsyncIterator[list[Any]]:
        """Lines of this machine."""
        async for line in self._node.logs({**query, "follow": "1"}):
            if "older" not in line:
                yield line_columns(self._node.name, line)

    async def act(self, verb: str, targets: Sequence[Target], options: Mapping[str, Any]) -> str:
        """One target after the other; the supervisor queues them per service anyway."""
        self._count += 1
        action = Action(
            key="",
            number=self._count,
            verb=verb,
            who="terminal",
            targets=tuple(targets),
            options=dict(options),
            began=self._clock.wall(),
        )
        self._bus.latest("actions", str(action.number), action.to_dict())
        for target in targets:
            try:
                outcome = await self._node.command(verb, target.service, options, "")
            except ChapiteauError as exc:
                outcome = Outcome.failed(exc)
            action.results[target] = ActionResult(time=self._clock.wall(), outcome=outcome)
        action.end(self._clock.wall())
        self._bus.latest("actions", str(action.number), action.to_dict())
        return ""

    async def close(self) -> None:
        """Let go of the node."""
        await self._node.close()


# The fleet as a running hub shows it, over the hub's own API and socket.

_HUB_TOPICS: Final = ("fleet", "stats", "events", "actions")
_RETRY: Final = 2.0  # seconds
_LARGEST: Final = 64 << 20  # bytes of one frame: the first state of a large fleet


class HubSource:
    """Logs in once, then watches; TLS is checked against the machine's own authorities."""

    def __init__(self, base: str, login: Mapping[str, str]) -> None:
        self.where = base
        self._base = base
        self._login = login
        self._session: aiohttp.ClientSession | None = None
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._logs: dict[str, asyncio.Queue[list[Any]]] = {}
        self._orders: dict[str, dict[str, Any]] = {}  # what to ask again after a lost link
        self._count = itertools.count(1)

    async def open(self) -> None:
        """Log in. Raises HubGoneError or LoginError."""
        # The hub takes no cookie from an address without this for an IP literal.
        jar = aiohttp.CookieJar(unsafe=True)
        headers = {"X-Chapiteau": "1", "Origin": self._base}
        self._session = aiohttp.ClientSession(self._base, cookie_jar=jar, headers=headers)
        try:
            async with self._session.post("/api/login", json=dict(self._login)) as answer:
                if answer.status != 200:
                    problem = await answer.json(content_type=None)
                    raise LoginError(problem["detail"], hint=problem.get("hint", ""))
        except (aiohttp.ClientError, OSError, ValueError) as exc:
            raise HubGoneError(f"{self._base}: no hub answers ({exc})") from exc

    async def watch(self, take: OnMessage) -> None:
        """Messages of the socket; after a lost link everything is asked for again."""
        assert self._session is not None  # noqa: S101 — opened before it is watched
        while True:
            try:
                async with self._session.ws_connect("/api/live", max_msg_size=_LARGEST) as socket:
                    self._socket = socket
                    for topic in _HUB_TOPICS:
                        await socket.send_json({"op": "sub", "topic": topic})
                    for order in self._orders.values():
                        await socket.send_json(order)
                    take("link", {"up": True, "why": ""})
                    async for message in socket:
                        if message.type is WSMsgType.TEXT:
                            self._sort(json.loads(message.data), take)
                take("link", {"up": False, "why": "the hub hung up"})
            except (aiohttp.ClientError, OSError) as exc:
                take("link", {"up": False, "why": str(exc)})
            finally:
                self._socket = None
            await asyncio.sleep(_RETRY)

    def _sort(self, messages: list[dict[str, Any]], take: OnMessage) -> None:
        for message in messages:
            topic = message["topic"]
            if topic.startswith("log:"):
                if waiting := self._logs.get(topic):
                    for row in message["data"]["lines"]:
                        waiting.put_nowait(row)
            else:
                take(topic, message["data"])

    async def logs(
        self, nodes: Sequence[str], query: Mapping[str, str]
    ) -> AsyncIterator[list[Any]]:
        """Lines that the hub fetches from the nodes."""
        name = str(next(self._count))
        topic = f"log:{name}"
        waiting = self._logs[topic] = asyncio.Queue[list[Any]]()
        try:
            order = {"op": "log", "id": name, "nodes": list(nodes), "query": dict(query)}
            self._orders[topic] = order
            if self._socket is not None:
                await self._socket.send_json(order)
            while True:
                yield await waiting.get()
        finally:
            del self._logs[topic], self._orders[topic]
            if self._socket is not None and not self._socket.closed:
                await self._socket.send_json({"op": "unsub", "topic": topic})

    async def act(self, verb: str, targets: Sequence[Target], options: Mapping[str, Any]) -> str:
        """Ask the hub; it audits who did what."""
        assert self._session is not None  # noqa: S101 — opened before it is steered
        wanted = [{"node": target.node, "service": target.service} for target in targets]
        body = {"verb": verb, "targets": wanted, "options": dict(options)}
        headers = {"Idempotency-Key": uuid.uuid4().hex}
        try:
            async with self._session.post("/api/act", json=body, headers=headers) as answer:
                if answer.status == 202:
                    return ""
                problem = await answer.json(content_type=None)
                return f"{problem.get('detail', answer.status)} {problem.get('hint', '')}".strip()
        except (aiohttp.ClientError, OSError, ChapiteauError, ValueError) as exc:
            return f"the hub did not answer: {exc}"

    async def close(self) -> None:
        """Log out and hang up."""
        if self._session is not None:
            # A hub that is gone needs no goodbye.
            with contextlib.suppress(aiohttp.ClientError, OSError):
                await self._session.post("/api/logout", json={})
            await self._session.close()
