"""What people, scripts and the dashboard see of a running supervisor."""

from dataclasses import dataclass, field
from typing import Any, TypedDict

from chapiteau.core.plain import Plain
from chapiteau.core.problems import Problem

__all__ = [
    "Holder",
    "Ping",
    "ProcessStatus",
    "ServiceStatus",
    "ServiceSummaries",
    "ServiceSummary",
    "SocketHolders",
    "SocketStatus",
    "StatsMessage",
    "SupervisorStatus",
]


# Answers that are made of plain values: for those who ask often.


class Ping(TypedDict):
    """Who answers: its version, and the brain's pid."""

    ok: bool
    version: str
    pid: int


class ServiceSummary(TypedDict):
    """One service: its state, how many processes are ready and wanted, and their pids."""

    name: str
    state: str
    ready: int
    wanted: int
    pids: list[int]
    reason: str


class ServiceSummaries(TypedDict):
    """All services, in the order of the configuration."""

    services: list[ServiceSummary]


class StatsMessage(TypedDict, total=False):
    """The figures of a second; `ids` names the process that each item of the columns is of."""

    time: float  # seconds since 1970
    ids: list[str]  # SERVICE/NUMBER
    pid: list[int]
    cpu: list[float]  # percent of one core
    rss: list[int]  # bytes
    threads: list[int]
    fds: list[int]
    sockets: dict[str, dict[str, float]]  # by name: queued, connections, accepts
    supervisor: dict[str, float]  # cpu, rss
    host: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessStatus(Plain):
    """One running copy of a service."""

    number: int
    pid: int  # 0 when there is none
    state: str  # a State's value
    reason: str = ""  # why it is not simply running
    ready: bool = False
    started_at: float = 0.0  # seconds since 1970
    restarts: int = 0
    generation: int = 0  # of the configuration or reload that made it
    cpu_percent: float = 0.0  # of one core, its whole tree
    rss_bytes: int = 0
    threads: int = 0
    fds: int = 0
    read_bytes: int = 0
    written_bytes: int = 0
    status_text: str = ""  # what it said with STATUS=
    last_exit: dict[str, Any] = field(default_factory=dict)  # code, signal, oom, cause, lines, time
    health: dict[str, Any] = field(default_factory=dict)  # its last probe: what, ok, why, ms
    extra: dict[str, Any] = field(default_factory=dict)  # what its hook `extended_stats` printed


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceStatus(Plain):
    """A service: what is wanted, what is, and why they differ."""

    name: str
    state: str  # stopped waiting starting running reloading stopping backoff failed completed
    reason: str = ""
    wanted: int
    ready: int
    processes: tuple[ProcessStatus, ...] = ()
    command: str = ""
    one_shot: bool = False
    sockets: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    restarts: int = 0
    dropped_bytes: int = 0  # of output that could not be kept, since this brain began
    schedule: str = ""
    next_run: float = 0.0
    openapi: str = ""  # URL of its OpenAPI document, when it serves one
    metrics: str = ""  # URL of its own figures, when it says where they are
    labels: dict[str, str] = field(default_factory=dict)
    drift: tuple[str, ...] = ()  # what runs otherwise than the file says, a line each

    @property
    def settled(self) -> bool:
        """Whether it is what it should be: there is nothing to wait for."""
        if self.state in {"completed", "stopped"}:
            return True
        return self.state == "running" and self.ready >= self.wanted

    @property
    def failing(self) -> bool:
        """Whether it has failed, or restarts in a loop: waiting is no use."""
        return self.state in {"failed", "backoff"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketStatus(Plain):
    """A listening socket held by the keeper."""

    name: str
    address: str  # "127.0.0.1:8000" or a path
    type: str
    backlog: int
    queued: int = 0  # connections waiting to be accepted
    connections: int = 0
    services: tuple[str, ...] = ()
    rights: str = ""  # of a socket at a path, as they are: "0660 www"


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder(Plain):
    """A process that has a listening socket open."""

    pid: int
    name: str  # of its program, as `ps` shows it
    service: str = ""  # whose process it is, or descends from; "" when of none
    process: int = 0  # its number there
    part: str = ""  # "keeper" or "brain"


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketHolders(Plain):
    """Who holds a socket open. `hidden`: processes of other users that could not be looked at."""

    name: str
    holders: tuple[Holder, ...]
    hidden: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SupervisorStatus(Plain):
    """Everything `chapiteau status --json` prints."""

    project: str
    node: str
    pid: int  # the brain's
    keeper_pid: int
    version: str
    config: str  # path of the file
    generation: int
    started_at: float
    brain_restarts: int
    services: tuple[ServiceStatus, ...]
    sockets: tuple[SocketStatus, ...]
    problems: tuple[Problem, ...] = ()
    cpu_percent: float = 0.0
    rss_bytes: int = 0
    cgroups: str = ""  # "v2" or why not
    dashboard: str = ""  # its URL, without the login token
    last_event: int = 0  # number of the newest event
    drained: dict[str, Any] = field(default_factory=dict)  # since, who, services, left; {}: no
    labels: dict[str, str] = field(default_factory=dict)  # of the server
    schema: int = 1
