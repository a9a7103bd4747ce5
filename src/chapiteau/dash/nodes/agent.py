"""The node's side: dials the hub for ever, and answers its calls. Nothing listens."""

import asyncio
import contextlib
import os
import signal
import ssl
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Final, Protocol

import msgspec

from chapiteau.core.backoff import Backoff
from chapiteau.core.clock import Clock
from chapiteau.core.errors import ChapiteauError
from chapiteau.core.units import format_duration
from chapiteau.dash.errors import NodeAwayError
from chapiteau.dash.nodes.certificates import (
    HUB_NAME,
    make_signing_request,
    needs_renewal,
    validity,
)
from chapiteau.dash.nodes.handshake import NodeCertificate, Welcome
from chapiteau.dash.nodes.link import Link
from chapiteau.dash.nodes.local import LocalNode
from chapiteau.dash.nodes.membership import Membership, read_membership
from chapiteau.dash.nodes.node_state import (
    COMMANDS_FILE,
    DESIRED_FILE,
    CommandLog,
    CommandReceiver,
    DesiredStateApplier,
)
from chapiteau.dash.nodes.request_handler import NodeRequestHandler
from chapiteau.dash.nodes.stats_backlog import StatsReplay
from chapiteau.dash.nodes.transport import PushReader, dial
from chapiteau.dash.project import Project
from chapiteau.io.clock import SystemClock
from chapiteau.io.files import write_atomic
from chapiteau.io.sd_notify import sd_notify

__all__ = ["AgentState", "NodeAgent", "agent_state", "run_agent"]

# Spread widely: a hundred nodes that lost their hub must not all come back in the same second.
_RETRY: Final = Backoff(first=0.3, factor=1.8, cap=15.0, jitter=0.5)
_SPREAD: Final = 1.0  # seconds over which nodes come back after a connection that was good
_DIAL: Final = 10.0  # seconds
_CALM: Final = 30.0  # seconds of connection after which the next failure counts as the first
_MOVED: Final = 2.0  # seconds between two looks whether the hub is somewhere else now
_EXPIRY: Final = 3600.0  # seconds between two looks at the certificate's time, at most


class NodeAgent:
    """Keeps one connection to the hub."""

    def __init__(
        self, membership: Membership, handler: NodeRequestHandler, *, clock: Clock, chance: Random
    ) -> None:
        self._membership = membership
        self.handler = handler
        self._clock = clock
        self._chance = chance
        self.connected = asyncio.Event()
        self.problem = ""

    async def run(self) -> None:
        """Dial, serve, dial again; ends only when cancelled."""
        attempt = 0
        try:
            while True:
                began = self._clock.now()
                try:
                    await self._serve_once()
                except NodeAwayError as exc:
                    self.problem = self._expired() or exc.what
                was_up = self.connected.is_set()
                self.connected.clear()
                attempt = 1 if self._clock.now() - began > _CALM else attempt + 1
                spread = self._chance.uniform(0.0, _SPREAD) if was_up else 0.0
                await asyncio.sleep(spread + _RETRY.delay(attempt, self._chance))
        finally:
            await self.handler.close()

    async def _serve_once(self) -> None:
        place = self._membership.address
        reader, writer = await self._dial(place)
        link = Link(reader, writer, self.handler.handlers(), name="hub")
        serving = asyncio.create_task(link.run())
        around = [serving, asyncio.create_task(self._until_moved(link, place))]
        try:
            hello = {
                "name": self._membership.name,
                **msgspec.to_builtins(self.handler.introduction()),
            }
            welcome = msgspec.convert(await link.call("hello", hello, timeout=_DIAL), Welcome)
            self.problem = ""
            self.connected.set()
            self.handler.raise_fence(welcome.fence)
            around.append(asyncio.create_task(self._keep_certificate(link, welcome)))
            states = link.stream("wanted", {"after": self.handler.generation})
            around.append(asyncio.create_task(self.handler.follow(states)))
            await serving
        except ChapiteauError as exc:
            raise NodeAwayError(exc.what, hint=exc.hint) from exc
        except msgspec.ValidationError as exc:
            raise NodeAwayError(f"the hub's welcome can't be read ({exc})") from exc
        finally:
            link.close()
            for task in around:
                task.cancel()
            await asyncio.gather(*around, return_exceptions=True)

    async def _until_moved(self, link: Link, place: tuple[str, int]) -> None:
        """`chapiteau node move` has written another address: hang up, and dial that one."""
        while self._membership.address == place:  # noqa: ASYNC110 — a file is what it waits for
            await asyncio.sleep(_MOVED)
        link.close()

    async def _dial(self, place: tuple[str, int]) -> tuple[PushReader, asyncio.StreamWriter]:
        host, port = place
        try:
            async with asyncio.timeout(_DIAL):
                return await dial(host, port, self._membership.context(), HUB_NAME)
        except ssl.SSLCertVerificationError as exc:
            raise NodeAwayError(
                f"the hub at {host}:{port} shows a certificate that this node does not trust"
                f" ({exc.verify_message}): {_remedy(exc.verify_message)}"
            ) from exc
        except (OSError, ssl.SSLError, TimeoutError) as exc:
            why = str(exc) or "no answer in time"
            raise NodeAwayError(f"the hub at {host}:{port} can't be reached: {why}") from exc

    def _expired(self) -> str:
        """TLS 1.3 tells a client nothing but that it was cut off: say what is likely."""
        late = self._clock.wall() - validity(self._membership.certificate)[1]
        if late <= 0:
            return ""
        return (
            f"this node's certificate expired {format_duration(round(late))} ago, by its own"
            " clock: join again with a new token (chapiteau hub token)"
        )

    async def _keep_certificate(self, link: Link, welcome: Welcome) -> None:
        """A third of its time is over, or the hub has another CA: ask for the next one."""
        at_once = welcome.renew
        while True:
            try:
                if welcome.ca:
                    self._membership.trust(welcome.ca)
                if at_once or needs_renewal(self._membership.certificate, self._clock.wall()):
                    await self._renew(link)
                    if at_once:
                        link.close()  # and back with the new certificate, so that the hub knows
                        return
            except (ChapiteauError, OSError, msgspec.ValidationError) as exc:
                self.problem = f"the certificate was not renewed: {exc}"
            made, ends = validity(self._membership.certificate)
            await asyncio.sleep(min(_EXPIRY, (ends - made) / 10))

    async def _renew(self, link: Link) -> None:
        key, request = await asyncio.to_thread(make_signing_request, self._membership.name)
        answer = await link.call("renew", {"request": request}, timeout=_DIAL)
        self._membership.renew(key, msgspec.convert(answer, NodeCertificate).certificate)


def _remedy(why: str) -> str:
    """What to do about a hub's certificate that TLS refuses."""
    if "expired" in why:
        return "the hub could not renew it, or a clock is wrong: look at the hub's problems"
    if "not yet valid" in why:
        return "the clocks differ by more than ten minutes: is a time service running here?"
    return (
        "has its CA been changed? Then join again (on the hub: chapiteau hub token --replace NAME)"
    )


_STATE: Final = "state.json"


class AgentState(msgspec.Struct, frozen=True, kw_only=True):
    """How it goes with the hub."""

    pid: int
    connected: bool
    problem: str  # "": none
    since: float  # seconds since 1970


class _Runs(Protocol):
    connected: asyncio.Event
    problem: str

    async def run(self) -> None: ...


async def run_agent(project: Project, tell: Callable[[str], None]) -> None:
    """Run until SIGTERM or SIGINT; tells when the hub is found and when it is lost."""
    clock = SystemClock()
    log, agent = _agent(project, clock)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    tasks = [
        asyncio.create_task(agent.run()),
        asyncio.create_task(_report(agent, tell, project.node_dir, clock)),
    ]
    # Ready at once: the supervisor must not wait for a hub that is away.
    sd_notify("READY=1")
    await stop.wait()
    sd_notify("STOPPING=1")
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    log.close()


def _agent(project: Project, clock: Clock) -> tuple[CommandLog, _Runs]:
    folder, chance = project.node_dir, Random()  # noqa: S311 — spreads retries, guards nothing
    membership = read_membership(folder)
    node = LocalNode(membership.name, project.run_dir, clock)
    log = CommandLog(folder / COMMANDS_FILE, clock)
    handler = NodeRequestHandler(
        CommandReceiver(node, log),
        DesiredStateApplier(node, folder / DESIRED_FILE),
        StatsReplay(node, chance),
        clock,
    )
    if isinstance(membership, Membership):
        return log, NodeAgent(membership, handler, clock=clock, chance=chance)
    from chapiteau.dash.nodes.nats.agent import NatsAgent

    return log, NatsAgent(membership, handler, clock=clock, chance=chance)


async def _report(agent: _Runs, tell: Callable[[str], None], folder: Path, clock: Clock) -> None:
    """Tell every change, and keep the last one where `chapiteau node status` finds it."""
    before: tuple[bool, str] | None = None
    try:
        while True:
            connected = agent.connected.is_set()
            now = (connected, "" if connected else agent.problem)
            if now != before and any(now):
                tell("connected to the hub" if connected else agent.problem)
                state = AgentState(
                    pid=os.getpid(),
                    connected=connected,
                    problem=now[1],
                    since=round(clock.wall(), 3),
                )
                with contextlib.suppress(OSError):  # a full disk is told elsewhere
                    write_atomic(folder / _STATE, msgspec.json.encode(state), mode=0o600)
                before = now
            await asyncio.sleep(0.5)
    finally:
        (folder / _STATE).unlink(missing_ok=True)


def agent_state(folder: Path) -> AgentState | None:
    """Of the running agent; None when none runs."""
    try:
        found = msgspec.json.decode((folder / _STATE).read_bytes(), type=AgentState)
        Path(f"/proc/{found.pid}/stat").stat()  # one that was killed left its file
    except (OSError, ValueError):
        return None
    return found
