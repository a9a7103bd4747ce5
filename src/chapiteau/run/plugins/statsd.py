"""Figures and counts of events for a statsd server."""

import contextlib
import re
import socket
from collections.abc import Iterable, Iterator
from typing import Final

from chapiteau.io.telemetry import statsd_packets
from chapiteau.run.api.status import ServiceStatus, SocketStatus
from chapiteau.run.config.plugin_settings import StatsdOptions, matches_any
from chapiteau.run.events import Event
from chapiteau.run.plugins.plugin import Plugin

__all__ = ["StatsdEmitter", "counter", "gauges", "sanitise_name"]


# Figures and events as statsd lines.

_NOT_A_NAME: Final = re.compile(r"[^A-Za-z0-9_-]+")


def sanitise_name(name: str) -> str:
    """A name without the signs that mean something to statsd."""
    return _NOT_A_NAME.sub("_", name) or "_"


def counter(prefix: str, event: Event) -> str:
    """One event, counted under its service and kind."""
    service = f"{sanitise_name(event.service)}." if event.service else ""
    kind = ".".join(sanitise_name(part) for part in event.kind.split("."))
    return f"{prefix}.{service}{kind}:1|c"


def gauges(
    prefix: str, services: Iterable[ServiceStatus], sockets: Iterable[SocketStatus]
) -> Iterator[str]:
    """Everything that has a value now."""
    for service in services:
        name = f"{prefix}.{sanitise_name(service.name)}"
        live = [p for p in service.processes if p.pid]
        yield f"{name}.processes:{len(live)}|g"
        yield f"{name}.ready:{service.ready}|g"
        yield f"{name}.wanted:{service.wanted}|g"
        yield f"{name}.restarts:{service.restarts}|g"
        yield f"{name}.cpu_percent:{sum(p.cpu_percent for p in live):g}|g"
        yield f"{name}.rss_bytes:{sum(p.rss_bytes for p in live)}|g"
        yield f"{name}.threads:{sum(p.threads for p in live)}|g"
        yield f"{name}.fds:{sum(p.fds for p in live)}|g"
    for one in sockets:
        yield f"{prefix}.socket.{sanitise_name(one.name)}.queued:{one.queued}|g"


class StatsdEmitter(Plugin):
    """UDP: a server that is away costs nothing but its figures."""

    Options = StatsdOptions
    options: StatsdOptions

    async def started(self) -> None:
        """Find the server, and begin."""
        rule = self.options
        self._prefix = rule.prefix or f"chapiteau.{sanitise_name(self.around.project)}"
        family, kind, proto, _, address = socket.getaddrinfo(
            rule.host, rule.port, type=socket.SOCK_DGRAM
        )[0]
        self._address = address
        self._socket = socket.socket(family, kind, proto)
        self._socket.setblocking(False)
        self.every(rule.interval, self._gauges)

    async def stopped(self) -> None:
        """Let go of the socket."""
        self._socket.close()

    async def on_event(self, event: Event) -> None:
        """Count it."""
        if not event.service or matches_any(event.service, self.options.services):
            self._send([counter(self._prefix, event)])

    async def _gauges(self) -> None:
        found = await self.status()
        chosen = [s for s in found.services if matches_any(s.name, self.options.services)]
        self._send(gauges(self._prefix, chosen, found.sockets))

    def _send(self, lines: Iterable[str]) -> None:
        for packet in statsd_packets(lines):
            with contextlib.suppress(OSError):  # nobody listens, or the buffer is full
                self._socket.sendto(packet, self._address)
