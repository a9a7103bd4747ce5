"""A node far away, as the hub sees it: the same calls, over its link."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from typing import Any, Final, TypeVar

import msgspec

from chapiteau.dash.errors import NodeAwayError
from chapiteau.dash.fleet.node import (
    NodeHealth,
    NodeStats,
    ServiceRequest,
    ServiceResponse,
)
from chapiteau.dash.fleet.status import NodeStatus
from chapiteau.dash.nodes.contract import CommandAnswer, NodeCommand
from chapiteau.dash.nodes.link import Link
from chapiteau.run.events import EventMessage
from chapiteau.run.logs.messages import LogMessage, Outcome, PageMessage

__all__ = ["ACCEPT", "CommandDeadline", "RemoteNode"]

_T = TypeVar("_T")

_RUN: Final = 600.0  # seconds in which an accepted command may run
ACCEPT: Final = 30.0  # seconds in which a command must be accepted, else it expires
_TIMEOUTS: Final = {"fetch": 20.0, "config": 600.0}  # seconds
_TIMEOUT: Final = 10.0


class CommandDeadline:
    """Of one command to one node: first to be accepted (`ttl` in seconds), then to be done."""

    def __init__(self, name: str, ttl: float) -> None:
        self._name = name
        self._loop = asyncio.get_running_loop()
        self._accepted = False
        self._sent = False
        self.time = self._loop.time() + ttl

    def left(self) -> float:
        """Seconds until it expires."""
        return max(0.0, self.time - self._loop.time())

    def sent(self) -> None:
        """It is on its way: from now on only an answer tells whether it was done."""
        self._sent = True

    def accepted(self) -> bool:
        """The node has accepted it; true the first time. Then it has longer."""
        if self._accepted:
            return False
        self._accepted = True
        self.time = self._loop.time() + _RUN
        return True

    def error(self) -> NodeAwayError:
        """Why the command has failed when time is up."""
        if not self._sent:
            return NodeAwayError(f"{self._name} is not connected: the command expired, undone")
        return NodeAwayError(
            f"{self._name} accepted the command and has not reported its end"
            if self._accepted
            else f"{self._name} does not answer: the command has expired, undone unless only the"
            " answer was lost",
            hint="look at its events before you try again",
        )


class RemoteNode:
    """Exists from the day a node has joined; has a link while the node is connected."""

    def __init__(self, name: str, fence: Callable[[], int] = lambda: 0) -> None:
        self.name = name
        self._fence = fence  # of the lease under which this hub acts
        self._link: Link | None = None
        self._linked = asyncio.Event()

    def __repr__(self) -> str:
        return f"<RemoteNode {self.name} {'linked' if self._link else 'away'}>"

    def attach(self, link: Link) -> None:
        """The node has connected; of two connections with one name the newer one counts."""
        if self._link is not None:
            self._link.close()
        self._link = link
        self._linked.set()

    def detach(self, link: Link) -> None:
        """This connection is closed."""
        if self._link is link:
            self._link = None
            self._linked.clear()

    @property
    def is_linked(self) -> bool:
        """Whether it is connected now."""
        return self._link is not None

    async def status(self) -> NodeStatus:
        """The state now."""
        found: NodeStatus = await self._call("status")
        return found

    async def health(self) -> NodeHealth:
        """What the status does not say."""
        found: NodeHealth = await self._call("health")
        return found

    async def read(self, path: str) -> Mapping[str, object]:
        """A read-only call of its control API."""
        found: Mapping[str, object] = await self._call("read", path=path)
        return found

    async def config(self, *, dry_run: bool, who: str) -> Outcome:
        """Plan or apply the node's own file."""
        return self._decode(await self._call("config", dry_run=dry_run, who=who), Outcome)

    async def fetch(self, request: ServiceRequest) -> ServiceResponse:
        """Send a request to a service on the node."""
        answer = await self._call("fetch", **msgspec.to_builtins(request))
        return msgspec.convert(answer, ServiceResponse)

    async def events(self, after: int) -> AsyncIterator[EventMessage]:
        """Kept events, then new ones; a break is resumed with the last number seen."""
        async with contextlib.aclosing(self._open().stream("events", {"after": after})) as items:
            async for item in items:
                yield item

    async def logs(self, query: Mapping[str, str]) -> AsyncIterator[LogMessage | PageMessage]:
        """Lines of output; searching is done on the node."""
        async with contextlib.aclosing(self._open().stream("logs", query)) as items:
            async for item in items:
                yield item

    async def stats(self, after: int = -1) -> AsyncIterator[NodeStats]:
        """One message per second; those that it kept while it was away come first."""
        async with contextlib.aclosing(self._open().stream("stats", {"after": after})) as items:
            async for item in items:
                yield item

    async def stats_to(self, after: int, sink: Callable[[NodeStats], None]) -> None:
        """The same, without a task for each message."""
        await self._open().stream_to("stats", {"after": after}, sink)

    async def command(
        self, verb: str, service: str, options: Mapping[str, Any], who: str, command_id: str = ""
    ) -> Outcome:
        """Do it at most once."""
        command = NodeCommand(
            id=command_id or secrets.token_hex(12),
            verb=verb,
            service=service,
            options=dict(options),
            who=who,
            ttl=ACCEPT,
            fence=self._fence(),
        )
        return await self.send(command, lambda: None)

    async def recall(self, command_id: str) -> Outcome | None:
        """What became of a command; None: the node never accepted it."""
        found = await self._open().call("recall", {"id": command_id}, timeout=_RUN)
        return None if found is None else self._decode(found, Outcome)

    async def send(self, command: NodeCommand, accepted: Callable[[], None]) -> Outcome:
        """The outcome; `accepted` is called when the node has accepted it."""
        deadline = CommandDeadline(self.name, command.ttl)
        try:
            async with (
                asyncio.timeout_at(deadline.time) as timer,
                contextlib.aclosing(self._answers(command, deadline)) as answers,
            ):
                while "outcome" not in (answer := self._answer(await anext(answers))):
                    if deadline.accepted():
                        accepted()
                    timer.reschedule(deadline.time)
                return answer["outcome"]
        except TimeoutError:
            raise deadline.error() from None

    async def _answers(
        self, command: NodeCommand, deadline: CommandDeadline
    ) -> AsyncGenerator[object, None]:
        """What the node says of it. When the link breaks, it is sent again under the same id."""
        while True:
            try:
                await self._linked.wait()
                args = {**msgspec.to_builtins(command), "ttl": deadline.left()}
                async with contextlib.aclosing(self._open().stream("command", args)) as answers:
                    deadline.sent()
                    async for answer in answers:
                        yield answer
            except NodeAwayError:
                await asyncio.sleep(0.2)

    async def close(self) -> None:
        """Hang up."""
        if self._link is not None:
            self._link.close()

    async def _call(self, call: str, **args: Any) -> Any:
        timeout = _TIMEOUTS.get(call, _TIMEOUT)
        return await self._open().call(call, args, timeout=timeout)

    def _answer(self, raw: object) -> CommandAnswer:
        return self._decode(raw, CommandAnswer)

    def _decode(self, raw: object, kind: type[_T]) -> _T:
        try:
            return msgspec.convert(raw, kind)
        except msgspec.ValidationError as exc:
            raise NodeAwayError(f"{self.name}: an answer that can't be read ({exc})") from exc

    def _open(self) -> Link:
        if self._link is None:
            raise NodeAwayError(
                f"{self.name} is not connected",
                hint="on the server: chapiteau node status, and chapiteau up",
            )
        return self._link
