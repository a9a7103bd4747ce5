"""What the hub calls at a node: the one of this machine, or one far away."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypedDict

from chapiteau.core.clock import Clock
from chapiteau.dash.errors import NodeAwayError, NotAllowedError
from chapiteau.dash.fleet.status import NodeStatus
from chapiteau.run.api.calls import Call, find_call
from chapiteau.run.api.status import StatsMessage
from chapiteau.run.events import EventMessage
from chapiteau.run.logs.messages import LogMessage, Outcome, PageMessage

__all__ = [
    "DesiredReport",
    "DiskUsage",
    "Node",
    "NodeHealth",
    "NodeStats",
    "ServiceRequest",
    "ServiceResponse",
    "ServiceWish",
    "follow_output",
    "line_columns",
    "read_only_call",
]

_PATH: Final = re.compile(r"/v1/[!-~]{1,500}")
_FIRST_WAIT: Final = 0.3  # seconds before asking a silent node again …
_LONGEST_WAIT: Final = 5.0  # … growing to this


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceRequest:
    """A request to a service on the node, sent by the node itself."""

    service: str
    method: str = "GET"
    path: str = "/"  # with its query, starts with one "/"
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceResponse:
    """The service's answer; `body` is cut at 1 MiB, `cut` says so."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: str
    milliseconds: float
    url: str
    cut: bool = False


class NodeStats(StatsMessage, total=False):
    """The figures of a second, as a hub gets them; `ids` only when they changed."""

    requests: dict[str, list[float | None]]  # service → rate, p99, errors: what it counts itself
    number: int  # of a node that keeps some
    dropped: int  # how many before it are gone


class DiskUsage(TypedDict):
    """One file system, in bytes; `inodes_free` is a share."""

    path: str
    total: int
    free: int
    inodes_free: float


class ServiceWish(TypedDict, total=False):
    """How a service should be; what is not there is left as it is."""

    processes: int
    running: bool


class DesiredReport(TypedDict):
    """Which desired state a node has applied, and where its services differ from it."""

    generation: int
    services: dict[str, ServiceWish]
    who: str
    drift: list[str]
    refused: str  # why a newer one was not applied


class NodeHealth(TypedDict, total=False):
    """What `status` does not say: docs/reference/dash-api.md, health."""

    time: float
    address: str
    disks: list[DiskUsage]
    changes: int  # of its file, not applied
    config_error: str
    fence: int  # of the lease that led it last
    dropped: int  # statistics that no hub ever saw
    wanted: DesiredReport


def read_only_call(path: str) -> Call:
    """The call of the control API that this path reads. Raises NotAllowedError for any other."""
    call = find_call("GET", path[1:].split("/"))[0] if _PATH.fullmatch(path) else ()
    if not isinstance(call, Call) or call.kind != "json":
        raise NotAllowedError(f"{path[:100]!r} is no read-only call of the control API")
    return call


class Node(Protocol):
    """One server with its supervisor. Every call may raise NodeAwayError."""

    name: str

    async def status(self) -> NodeStatus:
        """SupervisorStatus as a dictionary."""
        ...

    def events(self, after: int) -> AsyncIterator[EventMessage]:
        """Every kept Event with a greater number, then new ones for ever."""
        ...

    def logs(self, query: Mapping[str, str]) -> AsyncIterator[LogMessage | PageMessage]:
        """LogLines as docs/reference/control-api.md says; `query` as in its table.

        With `pages` an item with "older" and "unread" comes after the kept ones.
        """
        ...

    def stats(self, after: int = -1) -> AsyncIterator[NodeStats]:
        """One columnar message per second.

        A node that keeps some gives each a "number"; `after` resumes there, "dropped" tells how
        many are gone.
        """
        ...

    async def stats_to(self, after: int, sink: Callable[[NodeStats], None]) -> None:
        """The same, each given to `sink`: what a hub does with a hundred nodes, every second."""
        ...

    async def health(self) -> NodeHealth:
        """What `status` does not say: docs/reference/dash-api.md, health."""
        ...

    async def command(
        self, verb: str, service: str, options: Mapping[str, Any], who: str, command_id: str = ""
    ) -> Outcome:
        """Do it; a refusal is an Outcome too. The same id again gives the first one's outcome."""
        ...

    async def recall(self, command_id: str) -> Outcome | None:
        """What became of a command; None: it never came here. Raises NotFoundError: who knows."""
        ...

    async def config(self, *, dry_run: bool, who: str) -> Outcome:
        """Plan or apply the node's chapiteau.toml."""
        ...

    async def fetch(self, request: ServiceRequest) -> ServiceResponse:
        """Send a request to a service that listens on the node."""
        ...

    async def read(self, path: str) -> Mapping[str, object]:
        """Any read-only call of the control API by its path: docs/reference/control-api.md."""
        ...

    async def close(self) -> None:
        """Close everything."""
        ...


def line_columns(node: str, line: LogMessage) -> list[str | int | float]:
    """A line of output as pages and terminals get it, without the names of its fields."""
    return [
        line["time"],
        node,
        line.get("service", ""),
        line.get("process", 0),
        line.get("stream", ""),
        line.get("text", ""),
        line.get("at", 0),
    ]


async def follow_output(
    node: Node,
    query: Mapping[str, str],
    deliver: Callable[[LogMessage | PageMessage], None],
    clock: Clock,
    shift: Callable[[], float] = lambda: 0.0,
) -> None:
    """Lines of output for as long as it takes; a break is taken up where it began, and told.

    `shift`: how many seconds the node's clock is ahead; the lines get the times of ours. With
    `until` in the query it ends. Raises ChapiteauError when the node refuses the query.
    """
    # "SERVICE/PROCESS/STREAM" → `at` of the last line; who was here before says where it was.
    seen: dict[str, int] = dict(json.loads(query.get("after") or "{}"))
    wait, told = _FIRST_WAIT, False
    while True:
        more = {"after": json.dumps(seen), "pages": ""} if seen else {}
        try:
            async for line in node.logs({**query, **more, "follow": "1"}):
                wait, told = _FIRST_WAIT, False
                if "older" not in line and (at := line.get("at")):
                    seen[f"{line['service']}/{line['process']}/{line['stream']}"] = at
                if "older" not in line and line["time"] and (ahead := shift()):
                    line = {**line, "time": line["time"] - ahead}  # noqa: PLW2901
                deliver(line)
        except NodeAwayError as exc:
            if not told:
                text = f"{exc.what}; what it says meanwhile follows when it is back"
                deliver({"time": clock.wall(), "stream": "note", "text": text})
                told = True
        if query.get("until"):
            return
        await asyncio.sleep(wait)
        wait = min(_LONGEST_WAIT, 2 * wait)
