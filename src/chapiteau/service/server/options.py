"""How a worker serves."""

import json
from dataclasses import dataclass, field
from typing import TextIO

from chapiteau.service.protocol.headers import Environ, trace_id_of
from chapiteau.service.server.http1 import Limits

__all__ = ["AccessLog", "ConsoleLog", "ServeOptions"]


# One line of JSON per request.


class AccessLog:
    """Writes what was asked and answered; a reader that has gone never hurts the service."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, environ: Environ, status: str, seconds: float, wall: float) -> None:
        """One request; `seconds` is the time inside the application."""
        line = {
            "time": round(wall, 3),
            "method": environ["REQUEST_METHOD"],
            "path": environ["PATH_INFO"].encode("latin-1").decode("utf-8", "replace"),
            "query": environ["QUERY_STRING"],
            "status": int(status[:3]) if status[:3].isdigit() else 0,
            "ms": round(seconds * 1000, 3),
            "client": environ.get("REMOTE_ADDR", ""),
            "request_id": environ.get("chapiteau.request_id", ""),
        }
        if trace := trace_id_of(environ):
            line["trace_id"] = trace
        self._write(json.dumps(line, separators=(",", ":")))

    def refused(self, client: str, status: int, request_id: str, wall: float) -> None:
        """What the worker has refused by itself, since it could not be read as a request."""
        environ = {"REQUEST_METHOD": "-", "PATH_INFO": "", "QUERY_STRING": ""}
        environ |= {"REMOTE_ADDR": client, "chapiteau.request_id": request_id}
        self.write(environ, str(status), 0.0, wall)

    def _write(self, line: str) -> None:
        try:
            self._stream.write(line + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            return


class ConsoleLog(AccessLog):
    """A short line for a developer's eyes."""

    def write(self, environ: Environ, status: str, seconds: float, wall: float) -> None:
        """As AccessLog."""
        query = f"?{environ['QUERY_STRING']}" if environ["QUERY_STRING"] else ""
        path = environ["PATH_INFO"].encode("latin-1").decode("utf-8", "replace")
        line = f"{environ['REQUEST_METHOD']} {path}{query} {status[:3]} {seconds * 1000:.1f} ms"
        self._write("".join(c if c.isprintable() else "?" for c in line))


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
