"""One line of JSON per request."""

import json
from typing import Any, TextIO

from chapiteau.service.logic.wire.tracing import trace_of

__all__ = ["AccessLog", "PlainLog"]


class AccessLog:
    """Writes what was asked and answered; a reader that has gone never hurts the service."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, environ: dict[str, Any], status: str, seconds: float, wall: float) -> None:
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
        if trace := trace_of(environ):
            line["trace_id"] = trace
        try:
            self._stream.write(json.dumps(line, separators=(",", ":")) + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            return


class PlainLog(AccessLog):
    """A short line for a developer's eyes."""

    def write(self, environ: dict[str, Any], status: str, seconds: float, wall: float) -> None:
        """As AccessLog."""
        query = f"?{environ['QUERY_STRING']}" if environ["QUERY_STRING"] else ""
        path = environ["PATH_INFO"].encode("latin-1").decode("utf-8", "replace")
        line = f"{environ['REQUEST_METHOD']} {path}{query} {status[:3]} {seconds * 1000:.1f} ms"
        try:
            self._stream.write("".join(c if c.isprintable() else "?" for c in line) + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            return
