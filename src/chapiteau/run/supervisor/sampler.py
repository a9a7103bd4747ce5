"""One look a second at everything that runs, for whoever follows the statistics."""

import os
import socket
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from chapiteau.run.supervisor.context import Context
from chapiteau.run.supervisor.services import Services
from chapiteau.run.supervisor.status_snapshot import supervisor_usage
from chapiteau.run.system.accept_counter import AcceptCounter
from chapiteau.run.system.sockets import connections_by_path, connections_by_port, socket_address
from chapiteau.run.system.usage import Meter, fds_of, host_usage

if TYPE_CHECKING:
    from chapiteau.run.api.status import StatsMessage

__all__ = ["StatsSampler"]

_FRESH: Final = 0.9  # seconds that a look serves everybody who asks
_SLOWLY: Final = 5.0  # seconds between looks at what is dear: descriptors, connections


class StatsSampler:
    """Listeners share one look; `message` is columnar (docs/reference/control-api.md)."""

    def __init__(self, context: Context, services: Services) -> None:
        self._context, self._services = context, services
        self._meter = Meter(context.clock, keep=True)
        self._last: StatsMessage = {}
        self._at = self._slow_at = float("-inf")
        self._fds: dict[int, int] = {}
        self._connections: dict[str | int, int] = {}  # by path or port
        self._accepts = AcceptCounter(context.clock)
        self._queued: dict[str, int] = {}

    def message(self) -> "StatsMessage":
        """The figures of this second."""
        now = self._context.clock.now()
        if now - self._at >= _FRESH:
            self._at = now
            self._last = self._sample(now)
        return self._last

    def close(self) -> None:
        """Nobody listens any more: hold nothing open."""
        self._meter.close()
        self._accepts.close()

    def _sample(self, now: float) -> "StatsMessage":
        alive = [one for service in self._services for one in service.processes()]
        used = [self._meter.look(one.pid, now - one.began) for one in alive]
        if now - self._slow_at >= _SLOWLY:
            self._slow_at = now
            self._fds = {one.pid: fds_of(one.pid) for one in alive}
            self._connections = _connections(self._context.sockets.bound.values())
        own = supervisor_usage(self._context, self._meter)
        ours = {os.getpid(), self._context.origin.keeper_pid}
        self._meter.forget({one.pid for one in alive} | ours)
        return {
            "time": self._context.clock.wall(),
            "ids": [f"{one.service}/{one.number}" for one in alive],
            "pid": [one.pid for one in alive],
            "cpu": [one.cpu_percent for one in used],
            "rss": [one.rss_bytes for one in used],
            "threads": [one.threads for one in used],
            "fds": [self._fds.get(one.pid, 0) for one in alive],
            "sockets": self._sockets(),
            "supervisor": {"cpu": own.cpu_percent, "rss": own.rss_bytes},
            "host": host_usage(),
        }

    def _sockets(self) -> dict[str, dict[str, float]]:
        """Of each what waits, what is open, and how many were accepted in this second."""
        sockets = self._context.sockets
        found: dict[str, dict[str, float]] = {}
        before, self._queued = self._queued, {}
        came = self._accepts.look({name: sockets.all_of(name) for name in sockets.bound})
        for name, bound in sockets.bound.items():
            queued = self._queued[name] = sockets.queued(name)
            address, port = socket_address(bound)
            found[name] = {
                "queued": queued,
                "connections": self._connections.get(port or address, 0),
            }
            if name in came:
                # What came and still waits was not accepted.
                taken = came[name] - (queued - before.get(name, 0))
                found[name]["accepts"] = round(max(0.0, taken), 1)
        return found


def _connections(bound: Iterable[socket.socket]) -> dict[str | int, int]:
    """Open connections by port, and by path where any socket has one."""
    found: dict[str | int, int] = dict(connections_by_port().items())
    if any(one.family == socket.AF_UNIX for one in bound):
        found.update(connections_by_path())
    return found
