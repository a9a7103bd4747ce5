"""The same client for asyncio: what the dashboard and embedders use."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, cast

from chapiteau.io.files import lock_owner
from chapiteau.io.project_file import find_config
from chapiteau.io.unix_http import Response, control_path, parse_head
from chapiteau.run.api import wire as _wire
from chapiteau.run.api.client import lock_path, run_dir_of
from chapiteau.run.api.status import (
    Ping,
    ServiceSummary,
    SocketHolders,
    StatsMessage,
    SupervisorStatus,
)
from chapiteau.run.events import Event
from chapiteau.run.logs.messages import Gap, LogLine, LogQuery, Outcome, PreviousPage

__all__ = ["AsyncClient"]

_SOON: Final = 10.0
_LONGEST_LINE: Final = 4 << 20  # bytes; a stats message of 10,000 processes is about 1 MiB


class AsyncClient:
    """Talks to one supervisor; every call is a connection of its own. Raises as Client does."""

    def __init__(self, path: Path, run_dir: Path | None = None, *, speaks_as: str = "") -> None:
        self.path = path
        self._lock = lock_path(run_dir) if run_dir else None
        self._as = {_wire.CLIENT_NAME_HEADER: speaks_as} if speaks_as else {}

    @classmethod
    def find(cls, config: str | Path | None = None) -> "AsyncClient":
        """The client for a chapiteau.toml, its folder, or the one found from here upwards."""
        return cls.at(run_dir_of(find_config(config)))

    @classmethod
    def at(cls, run_dir: Path, *, speaks_as: str = "") -> "AsyncClient":
        """The client for the supervisor of a run directory; waits for a brain being replaced.

        `speaks_as` ("deploy script") is shown in events after the caller's uid.
        """
        return cls(control_path(run_dir), run_dir, speaks_as=speaks_as)

    async def ping(self, timeout: float = _SOON) -> Ping:
        """Whether anybody is there, and of which version."""
        found: Ping = await self._get("/v1/ping", timeout)
        return found

    async def status(self) -> SupervisorStatus:
        """The state now."""
        return SupervisorStatus.from_dict(await self._get("/v1/status"))

    async def services(self) -> list[ServiceSummary]:
        """The services in few words, the quickest answer: name, state, ready, wanted, pids."""
        return list((await self._get("/v1/services"))["services"])

    async def holders(self, socket: str) -> SocketHolders:
        """Who has a listening socket open."""
        found: SocketHolders = await self.call("holders", socket=socket, answer_within=_SOON)
        return found

    async def call(self, name: str, *, answer_within: float | None = None, **given: Any) -> Any:
        """Any call of run/api/calls.py that has no method here, as Client.call does it."""
        request, read = _wire.call_request(name, given, self._as)
        return read(await self._ask(request, answer_within))

    async def read(self, path: str) -> Any:
        """The JSON of a read-only call by its path: "/v1/sockets/web"."""
        return await self._get(path)

    async def command(
        self, verb: str, service: str, *, answer_within: float | None = None, **options: Any
    ) -> Outcome:
        """Do start, stop, restart, reload, scale or signal; a failure is an Outcome as well."""
        request = _wire.post(_wire.verb_target(verb, service), options, self._as)
        return _wire.outcome(await self._ask(request, answer_within))

    async def configure(
        self,
        service: str,
        settings: Mapping[str, Any],
        *,
        reset: Sequence[str] = (),
        add: bool = False,
        remove: bool = False,
    ) -> Outcome:
        """Change settings of services until the file is followed again: {"stop_timeout": "3s"}.

        `reset` names those that follow the file again, "*" all. With `add` the service is a new
        one; with `remove` it is stopped and forgotten.
        """
        body = _wire.configure_body(settings, reset, add=add, remove=remove)
        request = _wire.post(_wire.verb_target("set", service), body, self._as)
        return _wire.outcome(await self._ask(request, None))

    async def plan(self) -> Outcome:
        """What the file on disk would change: `data["changes"]`."""
        return _wire.outcome(await self._ask(_wire.post("/v1/config/plan"), _SOON))

    async def apply(self) -> Outcome:
        """Make the supervisor follow the file on disk, whole or not at all."""
        return _wire.outcome(await self._ask(_wire.post("/v1/config/apply", None, self._as), None))

    async def upgrade(self) -> Outcome:
        """Make the supervisor become the one that is installed now; services go on."""
        return _wire.outcome(await self._ask(_wire.post("/v1/upgrade"), None))

    async def say(
        self,
        text: str,
        *,
        service: str = "",
        plugin: str = "",
        data: dict[str, Any] | None = None,
    ) -> None:
        """Record an event of kind plugin.message."""
        body = {"text": text, "service": service, "plugin": plugin, "data": data or {}}
        _wire.json_answer(await self._ask(_wire.post("/v1/messages", body, self._as), _SOON))

    async def config(self) -> dict[str, Any]:
        """The running configuration; secrets are left out."""
        return dict(await self._get("/v1/config"))

    async def shutdown(self, *, force: bool = False) -> None:
        """Begin to stop everything, then the supervisor; returns at once. `force`: no grace."""
        body = {"force": True} if force else None
        _wire.json_answer(await self._ask(_wire.post("/v1/shutdown", body, self._as), _SOON))

    async def events(self, after: int = 0, *, follow: bool = False) -> AsyncIterator[Event | Gap]:
        """What happened after this number; goes on for ever when following."""
        target = f"/v1/events?after={after}" + ("&follow=1" if follow else "")
        async for raw in self._stream(target):
            yield _wire.event_item(raw)

    async def logs(self, query: LogQuery) -> AsyncIterator[LogLine | Gap]:
        """Output; endless with `follow`."""
        async for item in self.log_items(query):
            if not isinstance(item, PreviousPage):
                yield item

    async def log_items(self, query: LogQuery) -> AsyncIterator[LogLine | Gap | PreviousPage]:
        """The same; with `pages`, what says where the page before it begins comes too."""
        async for raw in self._stream(_wire.logs_target(query)):
            yield _wire.log_item(raw)

    async def enter(self, service: str, text: str = "", **options: Any) -> Outcome:
        """Give a process input. `options`: process, eof, rows and columns of its terminal."""
        target, body = _wire.verb_target("input", service), {"text": text, **options}
        return _wire.outcome(await self._ask(_wire.post(target, body, self._as), _SOON))

    async def stats(self) -> AsyncIterator[StatsMessage]:
        """One message a second, for ever."""
        async for raw in self._stream("/v1/stats"):
            yield cast("StatsMessage", raw)

    async def _get(self, target: str, timeout: float = _SOON) -> Any:
        return _wire.json_answer(await self._ask(_wire.get(target), timeout))

    async def _ask(self, request: bytes, timeout: float | None) -> Response:
        try:
            async with asyncio.timeout(timeout):
                reader, writer = await self._open(request)
                try:
                    status, headers = await _head(reader)
                    body = await reader.read()
                finally:
                    writer.close()
        except OSError as exc:  # TimeoutError is one
            raise _wire.not_running(self.path, exc) from exc
        wanted = headers.get("content-length", "")
        if wanted.isdigit() and len(body) < int(wanted):
            raise _wire.not_running(self.path, ConnectionResetError("the answer broke off"))
        return Response(status, headers, body)

    async def _stream(self, target: str) -> AsyncIterator[dict[str, Any]]:
        try:
            reader, writer = await self._open(_wire.get(target))
            try:
                status, headers = await _head(reader)
                if status >= 400:
                    raise _wire.error_of(Response(status, headers, await reader.read()))
                while line := await reader.readline():
                    if line.strip():
                        yield json.loads(line)
            finally:
                writer.close()
        except OSError as exc:
            raise _wire.not_running(self.path, exc) from exc

    async def _open(self, request: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        loop = asyncio.get_running_loop()
        end = loop.time() + _wire.BRAIN_RESTART_TIMEOUT
        while True:
            try:
                reader, writer = await asyncio.open_unix_connection(
                    str(self.path), limit=_LONGEST_LINE
                )
                break
            except (FileNotFoundError, ConnectionRefusedError):
                if self._lock is None or not lock_owner(self._lock) or loop.time() >= end:
                    raise
                await asyncio.sleep(0.02)
        writer.write(request)
        return reader, writer


async def _head(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    try:
        raw = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        raise ConnectionResetError("the connection closed without an answer") from None
    return parse_head(raw.removesuffix(b"\r\n\r\n"))
