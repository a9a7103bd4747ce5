"""What a statistics message of a node costs the hub, over mutual TLS 1.3; and a round of commands.

    python bench/dash/compare_hub.py [NODES ...]

The hub runs on one core, all nodes in one process on another. Budgets (docs/decisions/0033): at
most 100 µs of the hub's CPU per message, at most 25 ms for a command to 50 nodes and back.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import secrets
import subprocess
import sys
import tempfile
from pathlib import Path
from random import Random

from chapiteau.dash.auth.audit_trail import AuditTrail
from chapiteau.dash.fleet.bus import Bus
from chapiteau.dash.fleet.fleet import Fleet
from chapiteau.dash.nodes.agent import NodeAgent
from chapiteau.dash.nodes.certificates import CertificateAuthority
from chapiteau.dash.nodes.embedded import SqliteDesiredState, SqliteLeases
from chapiteau.dash.nodes.leadership import Leadership
from chapiteau.dash.nodes.listener import NodeListener
from chapiteau.dash.nodes.membership import join
from chapiteau.dash.nodes.node_state import CommandLog, CommandReceiver, DesiredStateApplier
from chapiteau.dash.nodes.registry import JoinToken, Registry, base32
from chapiteau.dash.nodes.request_handler import NodeRequestHandler
from chapiteau.dash.nodes.stats_backlog import StatsReplay
from chapiteau.dash.store import Store
from chapiteau.dash.testing import MemoryNode, process, service
from chapiteau.io.clock import SystemClock

BUDGET_US, BUDGET_ROUND_MS = 100.0, 25.0
PER_SECOND, SECONDS, PROCESSES = 10, 6, 50
CLOCK = SystemClock()


def node(name: str) -> MemoryNode:
    """A node whose message has about 2 kB."""
    found = MemoryNode(name=name, clock=CLOCK, period=1 / PER_SECOND)
    found.services = [service("web", [process(i, 1000 + i) for i in range(1, PROCESSES + 1)])]
    return found


async def nodes_side(folder: Path) -> None:
    """All nodes in one process: join, dial, answer until killed."""
    plan = json.loads((folder / "plan.json").read_text())
    agents = []
    for name, (ca, token_id, secret) in plan["tokens"].items():
        token = JoinToken(ca=ca, id=token_id, secret=secret)
        papers = await join(folder / name, ("127.0.0.1", plan["port"]), token, name)
        ledger = CommandLog(papers.folder / "commands.sqlite3", CLOCK)
        memory, chance = node(name), Random(name)
        reception = NodeRequestHandler(
            CommandReceiver(memory, ledger),
            DesiredStateApplier(memory, papers.folder / "wanted.json"),
            StatsReplay(memory, chance),
            CLOCK,
        )
        agent = NodeAgent(papers, reception, clock=CLOCK, chance=chance)
        agents.append(asyncio.create_task(agent.run()))
    await asyncio.gather(*agents)


class Counting(Fleet):
    """A fleet that counts what comes in."""

    messages = 0

    def measured(self, watch: object) -> None:
        """One more."""
        self.messages += 1
        super().measured(watch)  # type: ignore[arg-type]


async def hub_side(folder: Path, count: int) -> dict[str, float]:
    """The hub; returns the figures."""
    fleet, listener, registry, authority = parts(folder)
    await listener.open("127.0.0.1", 0)
    plan = {"port": listener.port, "tokens": tokens(registry, authority, count)}
    (folder / "plan.json").write_text(json.dumps(plan))
    others = [sys.executable, __file__, "--nodes", str(folder)]
    child = subprocess.Popen(["taskset", "-c", "1", *others])
    try:
        while sum(bool(w.stats) for w in fleet.watches()) < count:
            await asyncio.sleep(0.1)
        await asyncio.sleep(1)
        found = await measured(fleet, count)
        await listener.close()
        await fleet.close()
        return {**found, **await back_again(folder, count, plan["port"])}
    finally:
        child.kill()
        child.wait()


async def back_again(folder: Path, count: int, port: int) -> dict[str, float]:
    """The next hub on the same port: how long until all nodes are back, and what that costs."""
    fleet, listener, *_ = parts(folder)
    began, cpu = CLOCK.now(), cpu_seconds()
    await listener.open("127.0.0.1", port)
    while sum(bool(w.status and not w.away_since) for w in fleet.watches()) < count:
        await asyncio.sleep(0.02)
    found = {"back_s": CLOCK.now() - began, "back_cpu_ms": 1000 * (cpu_seconds() - cpu)}
    await listener.close()
    await fleet.close()
    return found


def parts(folder: Path) -> tuple[Counting, NodeListener, Registry, CertificateAuthority]:
    """A hub's parts, without a page."""
    fleet = Counting(Bus(), clock=CLOCK, chance=Random(1), history=600)
    registry, authority = (
        Registry(folder / "hub.sqlite3"),
        CertificateAuthority(folder / "hub", CLOCK),
    )
    states = SqliteDesiredState(folder / "hub.sqlite3")
    term = Leadership(SqliteLeases(folder / "hub.sqlite3", CLOCK), "bench")
    trail = AuditTrail(Store(folder / "hub.sqlite3"), CLOCK)
    listener = NodeListener(
        fleet, registry, authority, CLOCK, states=states, leadership=term, trail=trail
    )
    return fleet, listener, registry, authority


def tokens(
    registry: Registry, authority: CertificateAuthority, count: int
) -> dict[str, tuple[str, str, str]]:
    """One for each node."""
    made = {}
    for number in range(count):
        token = JoinToken(
            ca=authority.hash(),
            id=base32(secrets.token_bytes(5)),
            secret=base32(secrets.token_bytes(16)),
        )
        registry.add_token(token, CLOCK.wall() + 600)
        made[f"n{number:03}"] = (token.ca, token.id, token.secret)
    return made


async def measured(fleet: Counting, count: int) -> dict[str, float]:
    """CPU per message over some seconds, then rounds of commands."""
    before, cpu = fleet.messages, cpu_seconds()
    await asyncio.sleep(SECONDS)
    messages, spent = fleet.messages - before, cpu_seconds() - cpu
    rounds = []
    watches = list(fleet.watches())[:50]
    for _ in range(5):
        began = CLOCK.now()
        await asyncio.gather(*(w.node.command("reload", "web", {}, "bench") for w in watches))
        rounds.append((CLOCK.now() - began) * 1000)
        await asyncio.sleep(0.5)  # what follows from it (events, fresh states) is no part of it
    return {
        "nodes": count,
        "messages": messages,
        "us": 1e6 * spent / messages,
        "round_ms": sorted(rounds)[2],
        "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def cpu_seconds() -> float:
    """Of this process, in the kernel too."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def row(count: int) -> int:
    """Measure one size and print its row; 8 when a budget is missed."""
    os.sched_setaffinity(0, {0})
    # In memory: on real servers each node writes its commands down on a disk of its own.
    with tempfile.TemporaryDirectory(dir="/dev/shm") as scratch:
        found = asyncio.run(hub_side(Path(scratch), count))
    print(
        f"| {found['nodes']:.0f} | {found['us']:.1f} | {found['round_ms']:.1f}"
        f" | {found['rss_mb']:.1f} | {found['back_s']:.1f} | {found['back_cpu_ms']:.0f} |"
    )
    return 0 if found["us"] <= BUDGET_US and found["round_ms"] <= BUDGET_ROUND_MS else 8


def main(counts: list[int]) -> int:
    """Each size in a process of its own, since memory counts; Markdown, for bench/README.md."""
    print("| nodes | hub CPU µs/message | 50 commands ms | hub RSS MB | all back s | … CPU ms |")
    print("|--:|--:|--:|--:|--:|--:|", flush=True)
    codes = [subprocess.call([sys.executable, __file__, "--row", str(c)]) for c in counts]
    said = "missed" if any(codes) else "kept"
    print(f"\nBudgets: {BUDGET_US:.0f} µs and {BUDGET_ROUND_MS:.0f} ms: {said}.")
    return max(codes)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--nodes"]:
        asyncio.run(nodes_side(Path(sys.argv[2])))
    if sys.argv[1:2] == ["--row"]:
        sys.exit(row(int(sys.argv[2])))
    sys.exit(main([int(word) for word in sys.argv[1:]] or [50, 100]))
