"""The bridge: a ROUTER socket for commands, two PUB sockets for events and figures.

circusctl, circus-top and plugins written for Circus talk to it and need not be changed.
"""

import asyncio
import contextlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import zmq
import zmq.asyncio

from chapiteau.core.errors import RefusedError
from chapiteau.migrate.circus.bridge_add import Added
from chapiteau.migrate.circus.bridge_commands import Commands
from chapiteau.migrate.circus.process_info import info_of
from chapiteau.migrate.circus.protocol import CircusError, errno, fail, ok, read_request
from chapiteau.run.client.plugin import Plugin
from chapiteau.run.config.plugin_settings import CircusOptions
from chapiteau.run.errors import NotRunningError
from chapiteau.run.logic.events import Happening

__all__ = ["CircusBridge", "changes_of", "figures", "publications", "resource_name"]


# Our events as those that Circus publishes: a topic and a body.

Publication = tuple[str, dict[str, Any]]

_PLAIN: Final = {
    "service.ready": "start",
    "service.recovered": "start",
    "service.completed": "stop",
    "service.failed": "stop",
    "service.stopped": "stop",
    "service.reloaded": "reload",
    "service.scaled": "updated",
    "process.spawned": "spawn",
    "process.stopping": "kill",
    "process.killed": "kill",
    "process.exited": "reap",
    "hook.done": "hook_success",
    "hook.failed": "hook_failure",
}


def resource_name(service: str) -> str:
    """A service's name inside a topic: a dot or a space would make two parts of it."""
    return service.lower().replace(" ", "_").replace(".", "_")


def publications(event: Happening) -> Iterator[Publication]:
    """What an event is to Circus; nothing when it has no such event."""
    action = _PLAIN.get(event.kind)
    if action is None or not event.service:
        return
    body: dict[str, Any] = {"time": event.time}
    if action in ("spawn", "kill", "reap"):
        body["process_pid"] = event.pid
    if action == "reap":
        signal = event.data.get("signal")
        body["exit_code"] = -signal if signal is not None else event.data.get("code", 0)
    if action.startswith("hook_"):
        body["name"] = event.data.get("hook", "")
        if action == "hook_failure":
            body["error"] = str(event.data.get("why", ""))
    yield f"watcher.{resource_name(event.service)}.{action}", body


def changes_of(before: Iterable[str], after: Iterable[str], time: float) -> Iterator[Publication]:
    """`add` and `remove`, when the configuration has changed."""
    old, new = set(before), set(after)
    for name in sorted(new - old):
        yield f"watcher.{resource_name(name)}.add", {"time": time}
    for name in sorted(old - new):
        yield f"watcher.{resource_name(name)}.remove", {"time": time}


# What circus-top shows, made from the supervisor's figures.


def figures(
    sample: Mapping[str, Any], addresses: Mapping[str, str], supervisor: int
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Topic and body for each process, service and socket, and for the supervisor ("circus")."""
    by_service: dict[str, list[dict[str, Any]]] = {}
    for key, pid, cpu in zip(sample["ids"], sample["pid"], sample["cpu"], strict=True):
        service = resource_name(key.rpartition("/")[0])
        info = info_of(pid, cpu, sample["time"])
        if info is not None:
            info = {**info, "subtopic": pid, "name": None}
            by_service.setdefault(service, []).append(info)
            yield f"stat.{service}.{pid}", info
    own = info_of(supervisor, sample["supervisor"]["cpu"], sample["time"])
    if own is not None:
        own = {**own, "subtopic": supervisor, "name": "circusd"}
        by_service["circus"] = [own]
        yield f"stat.circus.{supervisor}", own
    for service, infos in by_service.items():
        yield f"stat.{service}", _together(infos)
    yield from _sockets(sample.get("sockets", {}), addresses)


def _together(infos: list[dict[str, Any]]) -> dict[str, Any]:
    """Average CPU, sum of memory, age of the oldest: as Circus does."""
    return {
        "pid": [info["pid"] for info in infos],
        "cpu": sum(info["cpu"] for info in infos) / len(infos),
        "mem": sum(info["mem"] for info in infos),
        "age": max(info["age"] for info in infos),
    }


def _sockets(
    sockets: Mapping[str, Any], addresses: Mapping[str, str]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """`reads` are the connections that wait to be accepted now."""
    total: dict[str, Any] = {"addresses": [], "reads": 0}
    for fd, (name, facts) in enumerate(sockets.items(), 3):
        address, reads = addresses.get(name, name), facts.get("queued", 0)
        total["addresses"].append(address)
        total["reads"] += reads
        body = {"fd": fd, "subtopic": fd, "reads": reads, "address": address}
        yield f"stat.sockets.{fd}", body
    if sockets:
        yield "stat.sockets", total


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
        self._figures = self._bind(zmq.PUB, "stats_endpoint")
        told = {
            "endpoint": self._endpoints["endpoint"],
            "stats_endpoint": self._endpoints["stats_endpoint"],
            "pubsub_endpoint": self._endpoints["pubsub_endpoint"],
            "check_delay": self.options.check_delay,
            "multicast_endpoint": None,
        }
        given = self.options.added
        added = Added(self.client, self.around.folder / given if given else None)
        self._commands = Commands(self.client, self.clock, self.status, told, added)
        self._gate = asyncio.Semaphore(_AT_ONCE)
        self._answering: set[asyncio.Task[None]] = set()
        self._known = {s.name for s in (await self.status()).services}
        self._not_ours: set[str] = set()  # services of plugins, which Circus does not know
        self.around.start(self._serve())
        self.every(0.1, self._publish_figures)
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
                await self._gate.acquire()
                task = asyncio.ensure_future(self._answer(frames[0], frames[1]))
                self._answering.add(task)
                task.add_done_callback(self._answered)

    def _answered(self, task: "asyncio.Task[None]") -> None:
        self._gate.release()
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
    async def on_event(self, event: Happening) -> None:
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

    async def _publish_figures(self) -> None:
        """As long as one brain lives; the next one is asked anew."""
        with contextlib.suppress(NotRunningError):
            status = await self.client.status()
            addresses = {socket.name: socket.address for socket in status.sockets}
            async for sample in self.client.stats():
                for topic, body in figures(sample, addresses, status.pid):
                    await self._figures.send_multipart([topic.encode(), _written(body)])


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


def _written(body: dict[str, Any]) -> bytes:
    return json.dumps(body).encode()
