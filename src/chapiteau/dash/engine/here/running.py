"""The agent as a process: keeps a node connected to its hub, or to the NATS server of its hubs."""

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, Final, Protocol

from chapiteau.core.clock import Clock
from chapiteau.dash.engine.cluster.agent import Agent
from chapiteau.dash.engine.cluster.membership import Membership, read_membership
from chapiteau.dash.engine.cluster.reception import Reception
from chapiteau.dash.engine.cluster.replay import Replay
from chapiteau.dash.engine.here.local import LocalNode
from chapiteau.dash.engine.lending.lender import Lender
from chapiteau.dash.engine.notify import notify
from chapiteau.dash.engine.plane.follower import Follower
from chapiteau.dash.engine.plane.intake import Intake
from chapiteau.dash.engine.plane.ledger import Ledger
from chapiteau.dash.engine.plane.steering import COMMANDS, WANTED
from chapiteau.dash.engine.project import Project
from chapiteau.plumbing.clock import SystemClock
from chapiteau.plumbing.files import write_atomic

__all__ = ["agent_state", "run_agent"]

_STATE: Final = "state.json"


class _Runs(Protocol):
    connected: asyncio.Event
    trouble: str

    async def run(self) -> None: ...


async def run_agent(project: Project, tell: Callable[[str], None]) -> None:
    """Run until SIGTERM or SIGINT; tells when the hub is found and when it is lost."""
    clock = SystemClock()
    ledger, agent = _agent(project, clock)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    tasks = [
        asyncio.create_task(agent.run()),
        asyncio.create_task(_report(agent, tell, project.papers, clock)),
    ]
    # Ready at once: the supervisor must not wait for a hub that is away.
    notify("READY=1")
    await stop.wait()
    notify("STOPPING=1")
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    ledger.close()


def _agent(project: Project, clock: Clock) -> tuple[Ledger, _Runs]:
    papers, chance = project.papers, Random()  # noqa: S311 — spreads retries, guards nothing
    membership = read_membership(papers)
    name = membership.name
    node = LocalNode(name, project.run_dir, clock)
    ledger = Ledger(papers / COMMANDS, clock)
    intake = Intake(node, ledger)
    follower, replay = Follower(node, papers / WANTED), Replay(node, chance)
    reception = Reception(intake, follower, replay, clock, Lender(papers))
    if isinstance(membership, Membership):
        return ledger, Agent(membership, reception, clock=clock, chance=chance)
    from chapiteau.dash.engine.nats.agent import NatsAgent

    return ledger, NatsAgent(membership, reception, intake, clock=clock, chance=chance)


async def _report(agent: _Runs, tell: Callable[[str], None], papers: Path, clock: Clock) -> None:
    """Tell every change, and keep the last one where `chapiteau node status` finds it."""
    before: tuple[bool, str] | None = None
    try:
        while True:
            connected = agent.connected.is_set()
            now = (connected, "" if connected else agent.trouble)
            if now != before and any(now):
                tell("connected to the hub" if connected else agent.trouble)
                facts = {"pid": os.getpid(), "connected": connected, "trouble": now[1]}
                with contextlib.suppress(OSError):  # a full disk is told elsewhere
                    text = json.dumps({**facts, "since": round(clock.wall(), 3)})
                    write_atomic(papers / _STATE, text.encode(), mode=0o600)
                before = now
            await asyncio.sleep(0.5)
    finally:
        (papers / _STATE).unlink(missing_ok=True)


def agent_state(papers: Path) -> dict[str, Any]:
    """{"connected", "trouble", "since"} of the running agent; empty when none runs."""
    try:
        found: dict[str, Any] = json.loads((papers / _STATE).read_text())
        Path(f"/proc/{int(found.pop('pid'))}/stat").stat()  # one that was killed left its file
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return found
