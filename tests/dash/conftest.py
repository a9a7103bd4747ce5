"""A running dashboard over nodes in memory, and browsers and clients that look at it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from chapiteau.dash.project import read_project
from chapiteau.dash.testing import MemoryNode, process, service
from chapiteau.dash.web.server import Server
from chapiteau.io.clock import SystemClock


class House:
    """One dashboard on a free port, with its node `alpha`."""

    def __init__(self, server: Server, node: MemoryNode) -> None:
        self.server = server
        self.node = node

    @property
    def base(self) -> str:
        return self.server.base_url.rstrip("/")

    @property
    def hub(self) -> Any:
        return self.server.hub

    @contextlib.asynccontextmanager
    async def client(self, *, login: bool = True) -> AsyncIterator[aiohttp.ClientSession]:
        """A browser's manners without a browser: our Origin, our header, the cookie."""
        headers = {"Origin": self.base, "X-Chapiteau": "1"}
        jar = aiohttp.CookieJar(unsafe=True)
        async with aiohttp.ClientSession(self.base, headers=headers, cookie_jar=jar) as session:
            if login:
                token = {"token": self.hub.sessions.token}
                async with session.post("/api/login", json=token) as answer:
                    assert answer.status == 200, await answer.text()
            yield session


class LiveSocket:
    """The page's WebSocket, message by message."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self._waiting: list[dict[str, Any]] = []

    async def order(self, **order: Any) -> None:
        await self.socket.send_json(order)

    async def next(self, topic: str) -> Any:
        """Data of the next message of this topic; others are dropped."""
        while True:
            while self._waiting:
                message = self._waiting.pop(0)
                if message["topic"] == topic:
                    return message["data"]
            self._waiting = json.loads(await self.socket.receive_str(timeout=5))


def fill(node: MemoryNode) -> None:
    """A small service house: one fine, one that crashes, one that ran once."""
    last = {
        "code": 1,
        "time": node.clock.wall() - 6,
        "cause": "a module is missing: redis",
        "lines": ["Traceback (most recent call last):", "ModuleNotFoundError: redis"],
    }
    node.services = [
        service("loader", [process(1, 0, "completed")], state="completed", one_shot=True),
        service(
            "web",
            [process(n, 800 + n) for n in (1, 2, 3, 4)],
            sockets=["web"],
            openapi="http://127.0.0.1:1/openapi.json",
        ),
        service("mailer", [process(1, 0, "backoff", restarts=5, last_exit=last)], state="backoff"),
    ]
    node.sockets = [
        {
            "name": "web",
            "address": "127.0.0.1:8000",
            "type": "stream",
            "backlog": 2048,
            "queued": 0,
            "connections": 12,
            "services": ["web"],
        }
    ]


@contextlib.asynccontextmanager
async def dashboard(folder: Path) -> AsyncIterator[House]:
    """A dashboard over one node in memory."""
    (folder / "chapiteau.toml").write_text('[project]\nname = "memory"\n')
    clock = SystemClock()
    node = MemoryNode(name="alpha", clock=clock, period=0.2)
    fill(node)
    server = Server(
        read_project(folder), host="127.0.0.1", port=0, exact_port=True, clock=clock, node=node
    )
    async with server.running():
        yield House(server, node)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with dashboard(tmp_path) as house:
        yield house


@contextlib.asynccontextmanager
async def live(session: aiohttp.ClientSession) -> AsyncIterator[LiveSocket]:
    async with session.ws_connect("/api/live") as socket:
        yield LiveSocket(socket)


@pytest.fixture
def open_live() -> Any:
    return live
