"""The client for scripts and the command line: blocking, and cheap to import."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from chapiteau.plumbing.unix import ask, listen_lines
from chapiteau.run.client import _wire
from chapiteau.run.client.address import socket_of

# Making dataclasses costs a millisecond each: a call imports only those that it gives back.
if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from chapiteau.plumbing.unix import Reply
    from chapiteau.run.logic.events import Happening
    from chapiteau.run.logic.messages import LogLine, LogQuery, Lost, Outcome
    from chapiteau.run.logic.status import SupervisorStatus

__all__ = ["Client"]

_SOON: Final = 10.0  # seconds for what the supervisor answers at once


class Client:
    """Talks to one supervisor; every call is a connection of its own.

    Raises NotRunningError when nobody answers, RefusedError when this user may not, and what the
    supervisor answers as error otherwise.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def find(cls, config: str | Path | None = None) -> Client:
        """The client for a chapiteau.toml, its folder, or the one found from here upwards."""
        return cls(socket_of(config))

    def ping(self, timeout: float = _SOON) -> dict[str, Any]:
        """Whether anybody is there, and of which version."""
        return dict(self._get("/v1/ping", timeout))

    def status_json(self) -> bytes:
        """The state as the JSON that the supervisor sent, not looked at."""
        reply = self._ask(_wire.get("/v1/status"), _SOON)
        if reply.status >= 400:
            raise _wire.error_of(reply)
        return reply.body

    def status(self) -> SupervisorStatus:
        """The state now."""
        from chapiteau.run.logic.status import SupervisorStatus

        return SupervisorStatus.from_dict(self._get("/v1/status"))

    def command(
        self, verb: str, service: str, *, answer_within: float | None = None, **options: Any
    ) -> Outcome:
        """Do start, stop, restart, reload, scale or signal; a failure is an Outcome as well.

        `service` may be a glob, several with commas, or `all`. `options` are those of the control
        API: wait, timeout, processes, by, signal, process, force.
        """
        request = _wire.post(_wire.verb_target(verb, service), options)
        return _wire.outcome(self._ask(request, answer_within))

    def plan(self) -> Outcome:
        """What the file on disk would change: `data["changes"]`."""
        return _wire.outcome(self._ask(_wire.post("/v1/config/plan"), _SOON))

    def apply(self) -> Outcome:
        """Make the supervisor follow the file on disk, whole or not at all."""
        return _wire.outcome(self._ask(_wire.post("/v1/config/apply"), None))

    def config(self) -> dict[str, Any]:
        """The running configuration; secrets are left out."""
        return dict(self._get("/v1/config"))

    def shutdown(self) -> None:
        """Begin to stop everything, then the supervisor; returns at once."""
        _wire.payload(self._ask(_wire.post("/v1/shutdown"), _SOON))

    def events(self, after: int = 0, *, follow: bool = False) -> Iterator[Happening | Lost]:
        """What happened after this number; goes on for ever when following."""
        target = f"/v1/events?after={after}" + ("&follow=1" if follow else "")
        yield from map(_wire.event_item, self._stream(target))

    def logs(self, query: LogQuery) -> Iterator[LogLine | Lost]:
        """Lines of output."""
        yield from map(_wire.log_item, self._stream(_wire.logs_target(query)))

    def stats(self) -> Iterator[dict[str, Any]]:
        """One message a second, for ever."""
        yield from self._stream("/v1/stats")

    def _get(self, target: str, timeout: float = _SOON) -> Any:
        return _wire.payload(self._ask(_wire.get(target), timeout))

    def _ask(self, request: bytes, timeout: float | None) -> Reply:
        try:
            return ask(self.path, request, timeout)
        except OSError as exc:
            raise _wire.not_running(self.path, exc) from exc

    def _stream(self, target: str) -> Iterator[dict[str, Any]]:
        try:
            with listen_lines(self.path, _wire.get(target)) as (reply, lines):
                if reply.status >= 400:
                    raise _wire.error_of(reply)
                for line in lines:
                    if line.strip():
                        yield json.loads(line)
        except OSError as exc:
            raise _wire.not_running(self.path, exc) from exc
