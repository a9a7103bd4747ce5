"""What a brain is made of: built once at its start, and handed down."""

import socket
from dataclasses import dataclass

from chapiteau.core.clock import Clock
from chapiteau.run.event_log import EventLog
from chapiteau.run.logs.collector import LogCollector
from chapiteau.run.process.fdstore import FdStore
from chapiteau.run.process.host import ProcessHost
from chapiteau.run.process.keeper_link import KeeperLink
from chapiteau.run.process.sockets import Sockets
from chapiteau.run.process.spawn import SpawnContext
from chapiteau.run.supervisor.process_registry import ProcessRegistry
from chapiteau.run.supervisor.running_config import RunningConfig
from chapiteau.run.system.cgroups import Cgroups

__all__ = ["Context", "Origin"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """How this brain came to be."""

    argv: tuple[str, ...]  # what a brain after it is started with
    keeper_pid: int
    restarts: int  # brains before it, under this keeper or the ones before
    owner: tuple[int, int]  # pid and start of who ends everything by its own end; 0: nobody
    started_wall: float  # the supervisor, seconds since 1970
    began: float  # this brain, on the clock of intervals
    limit: tuple[int, int]  # RLIMIT_NOFILE that services get
    safe_mode: str = ""  # why this brain does nothing but look (run/supervisor/safe_mode.py)


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Everything below the services."""

    origin: Origin
    config: RunningConfig
    link: KeeperLink
    clock: Clock
    events: EventLog
    output: LogCollector
    cgroups: Cgroups
    sockets: Sockets
    store: FdStore
    host: ProcessHost
    spawning: SpawnContext
    registry: ProcessRegistry
    notify: socket.socket  # on which processes report their state
    limits_missing: dict[str, str]  # service → which limits can't be had here, and why
