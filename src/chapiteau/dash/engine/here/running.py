"""The agent as a process: keeps a node connected to its hub, or to the NATS server of its hubs."""

import asyncio
import signal
from collections.abc import Callable
from random import Random
from typing import Protocol

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

__all__ = ["run_agent"]


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
    tasks = [asyncio.create_task(agent.run()), asyncio.create_task(_report(agent, tell))]
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


async def _report(agent: _Runs, tell: Callable[[str], None]) -> None:
    before = ""
    while True:
        now = "connected to the hub" if agent.connected.is_set() else agent.trouble
        if now and now != before:
            tell(now)
            before = now
        await asyncio.sleep(0.5)
