"""The hub is killed under a hundred nodes: all come back, spread out, and the page answers."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random
from typing import Any

import aiohttp
import pytest

from chapiteau.dash.nodes.agent import NodeAgent
from chapiteau.dash.nodes.certificates import CertificateAuthority
from chapiteau.dash.nodes.membership import Membership, join
from chapiteau.dash.nodes.node_state import CommandLog
from chapiteau.dash.nodes.registry import parse_token
from chapiteau.dash.testing import MemoryNode, process, service
from chapiteau.io.clock import SystemClock
from tests.dash.nodes.ring import reception
from tests.support import free_port, wait_for, wait_for_async

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(240)]

NODES = 100
# Wide, for a machine that others keep busy, and since the nodes share this process with who looks
# at the page. What the hub itself does with its processor is what counts.
BACK = 90.0  # seconds in which all must be back
ANSWER = 60.0  # seconds for the page meanwhile
PROCESSOR = 4.0  # seconds of the hub's own; 0.5 were seen


class HubProcess:
    """`chapiteau hub up` in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        (folder / "chapiteau.toml").write_text(
            f"""
            [project]
            name = "fleet"
            [dash]
            port = 0
            history = 0
            [hub]
            host = "127.0.0.1"
            port = {self.port}
            address = "127.0.0.1:{self.port}"
            """
        )
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        (self.folder / ".chapiteau" / "dash.json").unlink(missing_ok=True)
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "chapiteau", "hub", "up"],
                cwd=self.folder,
                stdout=log,
                stderr=log,
            )
        wait_for(lambda: self.link, what="the hub")

    @property
    def link(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / ".chapiteau" / "dash.json").read_text())
        return found

    def cpu(self) -> float:
        """Seconds of processor that it has used."""
        assert self.process is not None
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def token(self) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "chapiteau", "hub", "token"],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return done.stdout.split()[-1]


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[HubProcess]:
    (tmp_path / "hub").mkdir()
    hub = HubProcess(tmp_path / "hub")
    hub.start()
    yield hub
    hub.kill()


async def papers(hub: HubProcess, folder: Path) -> list[Membership]:
    """One joins as people do; the others get theirs from the hub's own CA, which is quicker."""
    first = await join(folder / "n000", ("127.0.0.1", hub.port), parse_token(hub.token()), "n000")
    from chapiteau.dash.nodes.certificates import make_signing_request
    from chapiteau.dash.nodes.registry import Registry

    clock, found = SystemClock(), [first]
    authority = CertificateAuthority(hub.folder / ".chapiteau" / "hub", clock)
    registry = Registry(hub.folder / ".chapiteau" / "dash.sqlite3")
    for number in range(1, NODES):
        name = f"n{number:03}"
        place = folder / name
        place.mkdir()
        key, request = make_signing_request(name)
        signed = authority.sign(request, name)
        registry.admit(name, signed.serial, signed.expires, clock.wall())
        (place / "hub.json").write_text(
            json.dumps({"name": name, "host": "127.0.0.1", "port": hub.port})
        )
        (place / "ca.pem").write_text(authority.ca_pem)
        (place / "node.pem").write_text(signed.pem + key)
        found.append(Membership(place))
    registry.close()
    return found


async def test_a_hundred_nodes_come_back_and_the_page_answers(
    hub: HubProcess, tmp_path: Path
) -> None:
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        agents = []
        for number, membership in enumerate(await papers(hub, tmp_path)):
            node = MemoryNode(name=membership.name, clock=clock)
            node.services = [service("web", [process(1, 11)])]
            ledger = CommandLog(membership.folder / "commands.sqlite3", clock)
            stack.callback(ledger.close)
            side = reception(node, ledger, membership.folder, clock)
            agent = NodeAgent(membership, side, clock=clock, chance=Random(number))
            task = asyncio.create_task(agent.run())
            stack.push_async_callback(_end, task)
            agents.append(agent)

        def connected() -> int:
            return sum(agent.connected.is_set() for agent in agents)

        await wait_for_async(lambda: connected() == NODES, what="all are there")
        hub.kill()
        await wait_for_async(lambda: connected() == 0, what="all have noticed")
        await asyncio.to_thread(hub.start)
        up, cpu = time.monotonic(), hub.cpu()
        times: list[float] = []
        worst = await _watch_page(hub, lambda: connected() == NODES, times, connected)
        took = time.monotonic() - up
        cpu = hub.cpu() - cpu
        told = (
            f"back after {took:.1f} s, {cpu:.1f} s of the hub's processor; the page's slowest of"
            f" {len(times)} answers {worst:.2f} s"
        )
        (tmp_path / "told.txt").write_text(told)
        assert took < BACK, told
        assert worst < ANSWER, told
        assert cpu < PROCESSOR, told


async def _watch_page(hub: HubProcess, done: Any, times: list[float], connected: Any) -> float:
    link = hub.link
    base = link["base"].rstrip("/")
    headers = {"Origin": base, "X-Chapiteau": "1"}
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(base, headers=headers, cookie_jar=jar) as session:
        token = link["url"].partition("token=")[2]
        async with session.post("/api/login", json={"token": token}) as answer:
            assert answer.status == 200
        async with asyncio.timeout(90):
            while True:
                all_there = done()
                began = time.monotonic()
                async with session.get("/api/fleet") as answer:
                    nodes = (await answer.json())["nodes"]
                times.append(time.monotonic() - began)
                if all_there and not any(node["away"] for node in nodes):
                    assert len(nodes) == NODES
                    return max(times)
                await asyncio.sleep(0.1)


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
