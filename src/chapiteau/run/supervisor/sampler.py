"""One look a second at everything that runs, for whoever follows the statistics."""

import os
import socket
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from chapiteau.core.clock import Clock
from chapiteau.run.system.accept_counter import AcceptCounter
from chapiteau.run.system.sockets import connections_by_path, connections_by_port, socket_address
from chapiteau.run.system.usage import Meter, fds_of, host_usage

if TYPE_CHECKING:
    from chapiteau.run.supervisor.supervisor import Supervisor

__all__ = ["StatsSampler"]

_FRESH: Final = 0.9  # seconds that a look serves everybody who asks
_SLOWLY: Final = 5.0  # seconds between looks at what is dear: descriptors, connections


class StatsSampler:
    """Listeners share one look; `message` is columnar (docs/reference/control-api.md)."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._meter = Meter(clock, keep=True)
        self._last: dict[str, Any] = {}
        self._at = self._slow_at = float("-inf")
        self._fds: dict[int, int] = {}
        self._connections: dict[str | int, int] = {}  # by path or port
        self._knocks = AcceptCounter(clock)
        self._queued: dict[str, int] = {}

    def message(self, supervisor: "Supervisor") -> dict[str, Any]:
        """The figures of this second."""
        now = self._clock.now()
        if now - self._at >= _FRESH:
            self._at = now
            self._last = self._look(supervisor, now)
        return self._last

    def rest(self) -> None:
        """Nobody listens any more: hold nothing open."""
        self._meter.close()
        self._knocks.close()

    def _look(self, supervisor: "Supervisor", now: float) -> dict[str, Any]:
        alive = [i for runner in supervisor.runners.values() for i in runner.instances()]
        used = [self._meter.look(i.pid, now - i.began) for i in alive]
        if now - self._slow_at >= _SLOWLY:
            self._slow_at = now
            self._fds = {i.pid: fds_of(i.pid) for i in alive}
            self._connections = _connections(supervisor.bound.values())
        from chapiteau.run.supervisor.status_snapshot import supervisor_usage

        own = supervisor_usage(supervisor, self._meter)
        self._meter.forget({i.pid for i in alive} | {os.getpid(), supervisor.keeper_pid})
        return {
            "time": self._clock.wall(),
            "ids": [f"{i.service}/{i.number}" for i in alive],
            "pid": [i.pid for i in alive],
            "cpu": [u.cpu_percent for u in used],
            "rss": [u.rss_bytes for u in used],
            "threads": [u.threads for u in used],
            "fds": [self._fds.get(i.pid, 0) for i in alive],
            "sockets": self._sockets(supervisor),
            "supervisor": {"cpu": own.cpu_percent, "rss": own.rss_bytes},
            "host": host_usage(),
        }

    def _sockets(self, supervisor: "Supervisor") -> dict[str, dict[str, float]]:
        """Of each what waits, what is open, and how many were accepted in this second."""
        found: dict[str, dict[str, float]] = {}
        before, self._queued = self._queued, {}
        bound = supervisor.bound
        came = self._knocks.look({n: [s, *supervisor.per_process.of(n)] for n, s in bound.items()})
        for name, one in bound.items():
            queued = self._queued[name] = supervisor.per_process.queued(name)
            address, port = socket_address(one)
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
