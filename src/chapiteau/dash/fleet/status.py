"""What a node says of itself, as it crosses the hub: `SupervisorStatus` as decoded JSON.

Only what the hub itself reads has a type here; everything else goes through to the page as it came.
"""

from typing import Any, TypedDict

__all__ = [
    "DrainReport",
    "LastExit",
    "NodeStatus",
    "NodeView",
    "ProcessEntry",
    "ServiceEntry",
    "SocketEntry",
    "SupervisorProblem",
]


class LastExit(TypedDict, total=False):
    """How a process ended, and why."""

    code: int | None
    signal: int
    oom: bool
    cause: str
    hint: str
    lines: list[str]
    time: float  # seconds since 1970


class ProcessEntry(TypedDict, total=False):
    """A ProcessStatus."""

    number: int
    pid: int
    state: str
    reason: str
    ready: bool
    started_at: float
    restarts: int
    cpu_percent: float
    rss_bytes: int
    status_text: str
    last_exit: LastExit


class ServiceEntry(TypedDict, total=False):
    """A ServiceStatus."""

    name: str
    state: str
    reason: str
    wanted: int
    ready: int
    processes: list[ProcessEntry]
    one_shot: bool
    restarts: int
    schedule: str
    openapi: str
    metrics: str


class SocketEntry(TypedDict, total=False):
    """A SocketStatus."""

    name: str
    backlog: int
    queued: int
    services: list[str]


class DrainReport(TypedDict, total=False):
    """Since when a node is drained, by whom, and what still ends; empty when it is not."""

    since: float
    who: str
    services: list[str]
    left: list[str]


class SupervisorProblem(TypedDict, total=False):
    """A Problem that the supervisor itself tells of."""

    where: str
    what: str
    hint: str


class NodeStatus(TypedDict, total=False):
    """A SupervisorStatus; empty as long as none came."""

    services: list[ServiceEntry]
    sockets: list[SocketEntry]
    problems: list[SupervisorProblem]
    drained: DrainReport
    labels: dict[str, str]
    started_at: float
    dashboard: str
    last_event: int


class NodeView(TypedDict):
    """One node as the page sees it. Times are seconds since 1970."""

    name: str
    seen: float
    away: float  # since when; 0: it answers
    why: str
    address: str
    skew: float
    expires: float
    lost_stats: int
    status: NodeStatus
    problems: list[dict[str, Any]]  # FleetProblem
