"""How a worker serves."""

from dataclasses import dataclass, field

from chapiteau.service.engine.serving.accesslog import AccessLog
from chapiteau.service.logic.wire.http1 import Limits

__all__ = ["ServeOptions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions:
    """How to serve; times in seconds."""

    threads: int = 4
    keep_alive: float = 75.0
    read_timeout: float = 20.0
    write_timeout: float = 30.0
    linger: float = 1.0
    drain_timeout: float = 60.0
    max_connections: int = 1000
    requests_per_connection: int = 1000
    access_log: AccessLog | None = None
    limits: Limits = field(default_factory=Limits)
