"""What people, scripts and the dashboard see of a running supervisor."""

from dataclasses import asdict, dataclass, field
from typing import Any

from chapiteau.core.problems import Problem

__all__ = ["ProcessStatus", "ServiceStatus", "SocketStatus", "SupervisorStatus"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessStatus:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceStatus:
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
    schedule: str = ""
    next_run: float = 0.0
    openapi: str = ""  # URL of its OpenAPI document, when it serves one
    labels: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketStatus:
    """A listening socket held by the keeper."""

    name: str
    address: str  # "127.0.0.1:8000" or a path
    type: str
    backlog: int
    queued: int = 0  # connections waiting to be accepted
    connections: int = 0
    services: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SupervisorStatus:
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
    dashboard: str = ""  # its URL
    schema: int = 1

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, schema 1."""
        return asdict(self)
