"""The node below our feet: its control API over the unix socket."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Final

import aiohttp

from chapiteau.dash.engine.node import Fetched, Request
from chapiteau.dash.engine.reach import fetch
from chapiteau.dash.errors import NodeAwayError

__all__ = ["LocalNode"]

_ANSWER: Final = aiohttp.ClientTimeout(total=10, connect=5)
# A command may wait for a slow start; the supervisor has its own time limit per command.
_COMMAND: Final = aiohttp.ClientTimeout(total=600, connect=5)
_STREAM: Final = aiohttp.ClientTimeout(total=None, connect=5)
_LONGEST_LINE: Final = 4 << 20


class LocalNode:
    """Asks the supervisor of this machine. One per hub; `close` it at the end."""

    def __init__(self, name: str, socket: Path) -> None:
        self.name = name
        self._socket = socket
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Let go of every connection."""
        if self._session is not None:
            await self._session.close()

    async def status(self) -> dict[str, Any]:
        """GET /v1/status."""
        return await self._json("GET", "/v1/status")

    async def events(self, after: int) -> AsyncIterator[dict[str, Any]]:
        """GET /v1/events, followed."""
        query = {"after": str(after), "follow": "1"}
        async for item in self._lines("/v1/events", query):
            yield item

    async def logs(self, query: Mapping[str, str]) -> AsyncIterator[dict[str, Any]]:
        """GET /v1/logs."""
        async for item in self._lines("/v1/logs", query):
            yield item

    async def stats(self) -> AsyncIterator[dict[str, Any]]:
        """GET /v1/stats."""
        async for item in self._lines("/v1/stats", {}):
            yield item

    async def command(
        self, verb: str, service: str, options: Mapping[str, Any], who: str
    ) -> dict[str, Any]:
        """POST /v1/services/NAME/VERB."""
        path = f"/v1/services/{service}/{verb}"
        return await self._json("POST", path, body=dict(options), who=who)

    async def config(self, *, dry_run: bool, who: str) -> dict[str, Any]:
        """POST /v1/config/plan or /v1/config/apply."""
        path = f"/v1/config/{'plan' if dry_run else 'apply'}"
        return await self._json("POST", path, body={}, who=who)

    async def fetch(self, request: Request) -> Fetched:
        """Send a request to one of our own services."""
        return await fetch(await self.status(), request)

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None or self._session.closed:
            # limit=0: event, log and statistics streams each hold a connection for ever.
            connector = aiohttp.UnixConnector(str(self._socket), limit=0)
            self._session = aiohttp.ClientSession(connector=connector)
        return self._session

    async def _json(
        self, method: str, path: str, *, body: dict[str, Any] | None = None, who: str = ""
    ) -> dict[str, Any]:
        timeout = _ANSWER if body is None else _COMMAND
        headers = {"X-Chapiteau-Who": who} if who else {}
        with self._translated():
            async with self._client().request(
                method, f"http://node{path}", json=body, headers=headers, timeout=timeout
            ) as answer:
                found = await answer.json(content_type=None)
        if not isinstance(found, dict):
            raise NodeAwayError(f"{self.name}: {path} answered no JSON object")
        return found if answer.ok else _refusal(found)

    async def _lines(self, path: str, query: Mapping[str, str]) -> AsyncIterator[dict[str, Any]]:
        with self._translated():
            async with self._client().get(
                f"http://node{path}",
                params=dict(query),
                timeout=_STREAM,
                read_bufsize=_LONGEST_LINE,
            ) as answer:
                if not answer.ok:
                    problem = _refusal(await answer.json(content_type=None))
                    raise NodeAwayError(f"{self.name}: {problem['error']}", hint=problem["hint"])
                async for line in answer.content:
                    if line.strip():
                        yield json.loads(line)

    @contextlib.contextmanager
    def _translated(self) -> Any:
        try:
            yield
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as exc:
            raise NodeAwayError(
                f"{self.name}: the supervisor does not answer ({str(exc) or type(exc).__name__})",
                hint="is it up? try: chapiteau status",
            ) from exc
        except asyncio.IncompleteReadError as exc:
            raise NodeAwayError(f"{self.name}: the supervisor hung up") from exc


def _refusal(problem: Mapping[str, Any]) -> dict[str, Any]:
    """problem+json as an Outcome."""
    return {
        "ok": False,
        "error": str(problem.get("detail") or problem.get("title") or "refused"),
        "hint": str(problem.get("hint", "")),
        "exit_code": int(problem.get("exit_code", 1)),
        "data": {},
    }
