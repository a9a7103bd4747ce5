"""Relays on nodes that lend themselves, reached over the project's own hub.

The hub is asked as its page asks it; who may read the run folder is its admin.
"""

import asyncio
import contextlib
import http.client
import json
import threading
import uuid
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from chapiteau.core.errors import ChapiteauError, UnreachableError
from chapiteau.io.json_lines import encode_line

__all__ = ["HubCluster"]

_PART: Final = 256 << 10  # characters of one piece of an order
_PATIENCE: Final = 30.0  # seconds
_GOODBYE: Final = 20.0


class HubCluster:
    """The hub whose address stands in `folder` (the project's run folder)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._base = ""
        self._cookie = ""
        self._test = uuid.uuid4().hex
        self._events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._stream: http.client.HTTPResponse | None = None
        self._line: http.client.HTTPConnection | None = None
        self._launched: set[str] = set()
        self._left: set[str] = set()
        self._all_left = asyncio.Event()
        self._turns: dict[str, asyncio.Lock] = {}
        self._ending = False

    async def hosts(self) -> Sequence[str]:
        """Nodes that lend themselves. Raises ChapiteauError when there are none."""
        await asyncio.to_thread(self._log_in)
        found = await asyncio.to_thread(self._ask, "GET", "/api/relays", None)
        names = [str(name) for name in found["hosts"]]
        if not names:
            raise ChapiteauError(
                "no node of this hub lends itself for load tests",
                hint="on a node: chapiteau node lend",
            )
        await asyncio.to_thread(self._open)
        loop = asyncio.get_running_loop()
        threading.Thread(target=self._read, args=(loop,), daemon=True).start()
        return names

    async def launch(self, host: str, order: dict[str, Any]) -> None:
        """In pieces, one after the other: a scenario's files may be many."""
        if host in self._left:
            return
        self._launched.add(host)
        text = encode_line(order).decode()
        try:
            async with self._turns.setdefault(host, asyncio.Lock()):
                for at in range(0, len(text), _PART):
                    body = {"host": host, "part": text[at : at + _PART]}
                    await asyncio.to_thread(self._ask, "POST", f"/api/relays/{self._test}", body)
        except ChapiteauError as exc:
            self._lose(host, exc.what)

    async def events(self) -> AsyncIterator[dict[str, Any]]:
        """As they come."""
        while True:
            yield await self._events.get()

    async def stop(self, turn: int) -> None:
        """A word to each."""
        order = {"do": "stop", "turn": turn}
        await asyncio.gather(*(self.launch(host, order) for host in self._launched))

    async def close(self) -> None:
        """Let each tear down and leave, then hang up: that ends whatever is left."""
        self._ending = True
        order = {"do": "end", "leave": True}
        await asyncio.gather(*(self.launch(host, order) for host in list(self._launched)))
        if self._launched - self._left:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_GOODBYE):
                    await self._all_left.wait()
        if self._line is not None and self._line.sock is not None:
            with contextlib.suppress(OSError):
                self._line.sock.shutdown(2)  # wakes the thread that reads

    # ── talking ───────────────────────────────────────────────────────────────────────────────
    def _log_in(self) -> None:
        try:
            told = json.loads((self._folder / "dash.json").read_text())
        except (OSError, ValueError) as exc:
            raise UnreachableError(
                "no hub of this project runs here", hint="chapiteau hub up, or [hub] enable = true"
            ) from exc
        self._base = str(told["base"]).rstrip("/")
        token = str(told["url"]).partition("#token=")[2]
        with contextlib.closing(self._connection()) as connection:
            answer = self._send(connection, "POST", "/api/login", {"token": token})
            answer.read()
            if answer.status != 200:
                raise ChapiteauError("the hub does not let us in", hint="is it the same project's?")
            self._cookie = str(answer.headers["Set-Cookie"]).partition(";")[0]

    def _open(self) -> None:
        self._line = self._connection(timeout=None)
        self._stream = self._send(self._line, "GET", f"/api/relays/{self._test}", None)
        if self._stream.status != 200:
            raise ChapiteauError(f"the hub refused: {self._stream.read(500).decode()}")
        self._stream.readline()

    def _read(self, loop: asyncio.AbstractEventLoop) -> None:
        assert self._stream is not None  # noqa: S101 — opened before
        assert self._line is not None  # noqa: S101
        with contextlib.suppress(OSError, ValueError, http.client.HTTPException, RuntimeError):
            while raw := self._stream.readline():
                loop.call_soon_threadsafe(self._take, json.loads(raw))
        with contextlib.suppress(OSError):
            self._stream.close()
            self._line.close()
        with contextlib.suppress(RuntimeError):  # the loop is over
            loop.call_soon_threadsafe(self._hung_up)

    def _take(self, report: dict[str, Any]) -> None:
        host = str(report["host"])
        if "lost" in report:
            self._lose(host, str(report["lost"]))
        else:
            self._events.put_nowait({"host": host, **json.loads(report["line"])})

    def _hung_up(self) -> None:
        for host in self._launched:
            self._lose(host, "the hub hung up")

    def _lose(self, host: str, why: str) -> None:
        if host not in self._left:
            self._left.add(host)
            if self._left >= self._launched:
                self._all_left.set()
            if not self._ending:
                self._events.put_nowait({"host": host, "is": "lost", "why": why})

    def _ask(self, method: str, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        try:
            with contextlib.closing(self._connection()) as connection:
                answer = self._send(connection, method, path, body)
                found: dict[str, Any] = json.loads(answer.read())
        except (OSError, http.client.HTTPException, ValueError) as exc:
            raise UnreachableError(f"{self._base}: the hub does not answer ({exc})") from exc
        if answer.status != 200:
            raise ChapiteauError(str(found.get("detail", answer.status)))
        return found

    def _connection(self, timeout: float | None = _PATIENCE) -> http.client.HTTPConnection:
        parts = urlsplit(self._base)
        if parts.scheme == "https":
            return http.client.HTTPSConnection(parts.netloc, timeout=timeout)
        return http.client.HTTPConnection(parts.netloc, timeout=timeout)

    def _send(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        body: dict[str, Any] | None,
    ) -> http.client.HTTPResponse:
        headers = {"X-Chapiteau": "1", "Content-Type": "application/json", "Origin": self._base}
        if self._cookie:
            headers["Cookie"] = self._cookie
        try:
            text = None if body is None else json.dumps(body)
            connection.request(method, path, text, headers)
            return connection.getresponse()
        except (OSError, http.client.HTTPException) as exc:
            raise UnreachableError(f"{self._base}: the hub does not answer ({exc})") from exc
