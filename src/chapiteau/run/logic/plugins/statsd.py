"""Figures and events as statsd lines. Format: https://github.com/statsd/statsd (metric types)."""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from chapiteau.run.logic.events import Happening
from chapiteau.run.logic.status import ServiceStatus, SocketStatus

__all__ = ["clean", "counter", "gauges", "packets"]

_NOT_A_NAME: Final = re.compile(r"[^A-Za-z0-9_-]+")
_LARGEST: Final = 1432  # bytes: a datagram that every network carries in one piece


def clean(name: str) -> str:
    """A name without the signs that mean something to statsd."""
    return _NOT_A_NAME.sub("_", name) or "_"


def counter(prefix: str, event: Happening) -> str:
    """One event, counted under its service and kind."""
    service = f"{clean(event.service)}." if event.service else ""
    kind = ".".join(clean(part) for part in event.kind.split("."))
    return f"{prefix}.{service}{kind}:1|c"


def gauges(
    prefix: str, services: Iterable[ServiceStatus], sockets: Iterable[SocketStatus]
) -> Iterator[str]:
    """Everything that has a value now."""
    for service in services:
        name = f"{prefix}.{clean(service.name)}"
        live = [p for p in service.processes if p.pid]
        yield f"{name}.processes:{len(live)}|g"
        yield f"{name}.ready:{service.ready}|g"
        yield f"{name}.wanted:{service.wanted}|g"
        yield f"{name}.restarts:{service.restarts}|g"
        yield f"{name}.cpu_percent:{sum(p.cpu_percent for p in live):g}|g"
        yield f"{name}.rss_bytes:{sum(p.rss_bytes for p in live)}|g"
        yield f"{name}.threads:{sum(p.threads for p in live)}|g"
        yield f"{name}.fds:{sum(p.fds for p in live)}|g"
    for socket in sockets:
        yield f"{prefix}.socket.{clean(socket.name)}.queued:{socket.queued}|g"


def packets(lines: Iterable[str]) -> Iterator[bytes]:
    """The lines in as few datagrams as will carry them."""
    packet = b""
    for line in lines:
        piece = line.encode("ascii", "replace")
        if packet and len(packet) + 1 + len(piece) > _LARGEST:
            yield packet
            packet = b""
        packet += (b"\n" if packet else b"") + piece
    if packet:
        yield packet
