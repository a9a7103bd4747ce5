"""Figures and counts of events for a statsd server."""

import contextlib
import socket
from collections.abc import Iterable

from chapiteau.run.client.plugin import Plugin
from chapiteau.run.logic.events import Happening
from chapiteau.run.logic.plugins.naming import fits
from chapiteau.run.logic.plugins.settings import Statsd
from chapiteau.run.logic.plugins.statsd import clean, counter, gauges, packets

__all__ = ["StatsdEmitter"]


class StatsdEmitter(Plugin):
    """UDP: a server that is away costs nothing but its figures."""

    Options = Statsd
    options: Statsd

    async def started(self) -> None:
        """Find the server, and begin."""
        rule = self.options
        self._prefix = rule.prefix or f"chapiteau.{clean(self.around.project)}"
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

    async def on_event(self, event: Happening) -> None:
        """Count it."""
        if not event.service or fits(event.service, self.options.services):
            self._send([counter(self._prefix, event)])

    async def _gauges(self) -> None:
        found = await self.status()
        chosen = [s for s in found.services if fits(s.name, self.options.services)]
        self._send(gauges(self._prefix, chosen, found.sockets))

    def _send(self, lines: Iterable[str]) -> None:
        for packet in packets(lines):
            with contextlib.suppress(OSError):  # nobody listens, or the buffer is full
                self._socket.sendto(packet, self._address)
