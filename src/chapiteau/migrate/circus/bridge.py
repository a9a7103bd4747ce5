"""The bridge: a ROUTER socket for commands, two PUB sockets for events and figures.

circusctl, circus-top and plugins written for Circus talk to it and need not be changed.
"""

import asyncio
import contextlib
import json
import os
from pathlib import Path
from typing import Any, Final

import msgspec
import zmq
import zmq.asyncio

from chapiteau.core.errors import RefusedError
from chapiteau.migrate.circus.bridge_add import AddedServices
from chapiteau.migrate.circus.bridge_commands import Commands
from chapiteau.migrate.circus.process_info import process_stats
from chapiteau.migrate.circus.protocol import (
    CircusError,
    changes_of,
    errno,
    fail,
    ok,
    publications,
    read_request,
)
from chapiteau.run.config.plugin_settings import CircusOptions
from chapiteau.run.errors import NotRunningError
from chapiteau.run.events import Event
from chapiteau.run.plugins.plugin import Plugin

__all__ = ["CircusBridge"]

_LARGEST: Final = 1 << 20  # bytes of one request
_AT_ONCE: Final = 64  # requests that are being answered; more wait in ZMQ
_LONGEST_PATH: Final = 100  # bytes: as much as a Unix socket's address takes, with room to spare
_PARTS: Final = {"endpoint": "ctrl", "pubsub_endpoint": "pubsub", "stats_endpoint": "stats"}


class CircusBridge(Plugin):
    """Whoever may connect may command: the folder of the endpoints is closed to others."""

    Options = CircusOptions
    options: CircusOptions

    async def started(self) -> None:
        """Bind, and begin to answer."""
        self._context = zmq.asyncio.Context()
        self._endpoints = {key: self._endpoint(key, part) for key, part in _PARTS.items()}
        self._router = self._bind(zmq.ROUTER, "endpoint")
        self._events = self._bind(zmq.PUB, "pubsub_endpoint")
        self._stats = self._bind(zmq.PUB, "stats_endpoint")
        check_delay = self.options.check_delay
        shown = {**self._endpoints, "check_delay": check_delay, "multicast_endpoint": None}
        given = self.options.added
        added = AddedServices(self.client, self.around.folder / given if given else None)
        self._commands = Commands(self.client, self.clock, self.status, shown, added)
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._answering: set[asyncio.Task[None]] = set()
        self._known = {s.name for s in (await self.status()).services}
        self._not_ours: set[str] = set()  # services of plugins, which Circus does not know
        self.around.start(self._serve())
        self.every(0.1, self._publish_stats)
        for key, where in self._endpoints.items():
            print(f"{key} = {where}", flush=True)  # noqa: T201 — people want to read it in its log
        if self.options.allow_tcp:
            await self.say("tcp endpoints: every user of this machine may command the supervisor")

    async def stopped(self) -> None:
        """Answer no more; remove what was made."""
        self._context.destroy(linger=200)
        for where in self._endpoints.values():
            if where.startswith("ipc://"):
                Path(where.removeprefix("ipc://")).unlink(missing_ok=True)

    # ── sockets ─────────────────────────────────────────────────────────────────────────────
    def _endpoint(self, key: str, part: str) -> str:
        """As configured, or beside the control socket, whose folder is private and short enough."""
        given: str = getattr(self.options, key)
        if given.startswith("tcp://"):
            return given
        path = self.client.path.parent / "circus" / part
        if given:
            path = (self.around.folder / given.removeprefix("ipc://")).absolute()
        if len(os.fsencode(path)) > _LONGEST_PATH:
            hint = f"set plugin.{self.name}.options.{key} to a shorter path"
            raise RefusedError(f"{path}: too long for a socket's address", hint=hint)
        return f"ipc://{path}"

    def _bind(self, kind: int, key: str) -> zmq.asyncio.Socket:
        where = self._endpoints[key]
        if where.startswith("ipc://"):
            _private_folder(Path(where.removeprefix("ipc://")).parent)
        made = self._context.socket(kind)
        made.linger = 200
        if kind == zmq.ROUTER:
            made.setsockopt(zmq.MAXMSGSIZE, _LARGEST)
        try:
            made.bind(where)
        except zmq.ZMQError as exc:
            raise RefusedError(f"{where}: {exc.strerror}", hint=f"choose another {key}") from None
        if where.startswith("ipc://"):
            Path(where.removeprefix("ipc://")).chmod(0o600)
        return made

    # ── commands ────────────────────────────────────────────────────────────────────────────
    async def _serve(self) -> None:
        while True:
            frames = await self._router.recv_multipart()
            if len(frames) == 2:  # anything else is not from Circus's client
                await self._slots.acquire()
                task = asyncio.ensure_future(self._answer(frames[0], frames[1]))
                self._answering.add(task)
                task.add_done_callback(self._answered)

    def _answered(self, task: "asyncio.Task[None]") -> None:
        self._slots.release()
        self._answering.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            loop = asyncio.get_running_loop()
            loop.call_exception_handler({"message": "a request failed", "exception": error})

    async def _answer(self, who: bytes, message: bytes) -> None:
        id_, cast, now = None, False, self.clock.wall
        try:
            request = read_request(_parsed(message))
            id_, cast = request.id, request.cast
            answer = ok(id_, now(), **await self._commands.answer(request))
        except CircusError as exc:
            answer = fail(id_, now(), exc)
        except Exception as exc:
            failure = CircusError(f"server error: {exc}", errno.BAD_MSG_DATA_ERROR)
            await self._router.send_multipart([who, _written(fail(id_, now(), failure))])
            raise
        if not cast:
            await self._router.send_multipart([who, _written(answer)])

    # ── events and figures ──────────────────────────────────────────────────────────────────
    async def on_event(self, event: Event) -> None:
        """Publish what Circus knows, too."""
        if event.kind == "supervisor.config_applied":
            self._not_ours.clear()
            await self._learn(event.time, set())
        elif event.service and event.service not in self._known | self._not_ours:
            # A new service starts before it is said to be there.
            await self._learn(event.time, self._known)
            if event.service not in self._known:
                self._not_ours.add(event.service)  # a plugin's own
        if event.service in self._known:
            for topic, body in publications(event):
                await self._events.send_multipart([topic.encode(), _written(body)])

    async def _learn(self, time: float, before: set[str]) -> None:
        """Which services there are now, beside those that were there before."""
        names = before | {s.name for s in (await self.status()).services}
        for topic, body in changes_of(self._known, names, time):
            await self._events.send_multipart([topic.encode(), _written(body)])
        self._known = names

    async def _publish_stats(self) -> None:
        """As long as one brain lives; the next one is asked anew."""
        with contextlib.suppress(NotRunningError):
            status = await self.client.status()
            addresses = {socket.name: socket.address for socket in status.sockets}
            async for sample in self.client.stats():
                for topic, body in process_stats(sample, addresses, status.pid):
                    await self._stats.send_multipart([topic.encode(), _written(body)])


def _private_folder(folder: Path) -> None:
    """Make it, 0700; one that others may enter is refused: they could command."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.stat()
    except OSError as exc:
        raise RefusedError(f"{folder}: {exc.strerror}") from None
    if found.st_uid not in (os.geteuid(), 0) or found.st_mode & 0o077:
        raise RefusedError(
            f"{folder}: others may enter it (mode {found.st_mode & 0o777:04o})",
            hint=f"whoever reaches the endpoint may command: chmod 700 {folder}",
        )


def _parsed(message: bytes) -> Any:
    try:
        return json.loads(message)
    except (ValueError, RecursionError):
        raise CircusError("json invalid", errno.INVALID_JSON) from None


def _written(body: object) -> bytes:
    return msgspec.json.encode(body)
