"""This machine as a node: its supervisor, over the control socket."""

import asyncio
import contextlib
import fcntl
import json
import os
import socket
import struct
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, cast

from chapiteau.core.clock import Clock
from chapiteau.core.errors import NotFoundError, UnreachableError
from chapiteau.core.text import at_least
from chapiteau.dash.errors import BadRequestError, NodeAwayError
from chapiteau.dash.fleet.fetch import fetch
from chapiteau.dash.fleet.node import (
    DiskUsage,
    NodeHealth,
    NodeStats,
    ServiceRequest,
    ServiceResponse,
    read_only_call,
)
from chapiteau.dash.fleet.status import NodeStatus
from chapiteau.dash.nodes.scraper import Scraper
from chapiteau.run.client import AsyncClient
from chapiteau.run.events import EventMessage
from chapiteau.run.logs.grep import compile_grep
from chapiteau.run.logs.messages import (
    Gap,
    LogMessage,
    LogQuery,
    Outcome,
    PageMessage,
    parse_position,
)

__all__ = ["SUPERVISOR", "LocalNode", "disk_usage", "host_address", "supervisor_log"]


# What the supervisor itself says: the end of its log, searched and followed.
#
# Its lines carry no time of their own; those that come while somebody follows get the time at which
# they were seen.

SUPERVISOR: Final = "@supervisor"  # as a service's name, which none can have
_SOURCE: Final = f"{SUPERVISOR}/0/stderr"  # as LogQuery.after names it
_MOST: Final = 8 << 20  # bytes from the end that are looked through
_LONGEST: Final = 1 << 16  # bytes of one line
_LOOK: Final = 0.5  # seconds between two looks for what is new


async def supervisor_log(
    path: Path, query: LogQuery, clock: Clock
) -> AsyncIterator[LogMessage | PageMessage]:
    """Lines as in docs/reference/control-api.md, with stream `stderr`. Raises UsageError."""
    fits = _sieve(query)
    kept, at = await asyncio.to_thread(_kept, path, query, fits)
    for text, end in kept:
        yield _line(0.0, text, end)
    if query.pages:
        yield {"older": {}, "unread": []}
    while query.follow and not query.until and not query.whole:
        await asyncio.sleep(_LOOK)
        fresh, at = _since(path, at)
        for text, end in fresh:
            if fits(text):
                yield _line(clock.wall(), text, end)


def _kept(
    path: Path, query: LogQuery, fits: Callable[[str], bool]
) -> tuple[list[tuple[str, int]], int]:
    """The newest lines that fit, or those that a reader has not seen; and up to where it read."""
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        return [], 0
    been = query.after.get(_SOURCE, 0)
    lines, at = _since(path, been or max(0, size - _MOST))
    if size > _MOST and not been:
        lines = lines[1:]  # its beginning is not there
    most = None if query.whole or been else query.last
    return list(deque((line for line in lines if fits(line[0])), maxlen=most)), at


def _since(path: Path, at: int) -> tuple[list[tuple[str, int]], int]:
    """Whole lines after a place, each with its end, and the place after them.

    A file that shrank begins anew.
    """
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(at if at <= size else 0)
            place = file.tell()
            data = file.read(_MOST)
    except FileNotFoundError:
        return [], 0
    whole = data.rfind(b"\n") + 1
    if not whole and len(data) < _LONGEST:
        return [], place  # somebody is still writing it
    found = []
    for line in data[: whole or len(data)].splitlines(keepends=True):
        place += len(line)
        if text := line.rstrip(b"\r\n"):
            found.append((text[:_LONGEST].decode("utf-8", "replace"), place))
    return found, place


def _sieve(query: LogQuery) -> Callable[[str], bool]:
    pattern = compile_grep(query.grep) if query.grep else None

    def fits(text: str) -> bool:
        if query.level and not at_least(text, query.level):
            return False
        return pattern is None or pattern.search(text) is not None

    return fits


def _line(time: float, text: str, end: int) -> LogMessage:
    return {
        "time": time,
        "service": SUPERVISOR,
        "process": 0,
        "stream": "stderr",
        "text": text,
        "at": end,
    }


_FAR: Final = ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"))  # nobody's
_SIOCGIFADDR: Final = 0x8915


def host_address() -> str:
    """The one from which it speaks to the world; without a way there, its first; "" for none."""
    for family, far in _FAR:
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((far, 9))  # sends nothing: the kernel only chooses a route
            return str(probe.getsockname()[0])
    return next(_addresses(), "")


def _addresses() -> Iterator[str]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            request = struct.pack("256s", name.encode()[:15])
            with contextlib.suppress(OSError):
                answer = fcntl.ioctl(probe.fileno(), _SIOCGIFADDR, request)
                address = socket.inet_ntoa(answer[20:24])
                if not address.startswith("127."):
                    yield address


def disk_usage(places: Iterable[Path]) -> list[DiskUsage]:
    """Each file system of these places, once.

    What can't be asked (a path that is gone) is left out.
    """
    found: dict[int, DiskUsage] = {}
    for place in places:
        try:
            device, room = place.stat().st_dev, os.statvfs(place)
        except OSError:
            continue
        found.setdefault(
            device,
            {
                "path": str(place),
                "total": room.f_blocks * room.f_frsize,
                "free": room.f_bavail * room.f_frsize,
                "inodes_free": room.f_favail / room.f_files if room.f_files else 1.0,
            },
        )
    return list(found.values())


class LocalNode:
    """Asks the supervisor of this machine."""

    def __init__(self, name: str, run_dir: Path, clock: Clock) -> None:
        self.name = name
        self._run_dir = run_dir
        self._clock = clock
        self._client = AsyncClient.at(run_dir)
        self._scraper = Scraper(clock)

    async def status(self) -> NodeStatus:
        """The state now."""
        with self._translated():
            found: NodeStatus = await self._client.read("/v1/status")
        self._scraper.learn(found)
        return found

    async def read(self, path: str) -> Mapping[str, object]:
        """A read-only call of the control API."""
        read_only_call(path)
        with self._translated():
            found: Mapping[str, object] = await self._client.read(path)
            return found

    async def events(self, after: int) -> AsyncIterator[EventMessage]:
        """Kept events, then new ones."""
        with self._translated():
            async for item in self._client.events(after, follow=True):
                if isinstance(item, Gap):
                    # Too slow: begin again after the last one that came.
                    raise NodeAwayError(f"{self.name}: {item.count} events were skipped")
                yield cast("EventMessage", item.to_dict())

    async def logs(self, query: Mapping[str, str]) -> AsyncIterator[LogMessage | PageMessage]:
        """Lines of output; what was skipped is a line of its own."""
        wanted = _log_query(query)
        if query.get("service") == SUPERVISOR:
            async for line in supervisor_log(self._run_dir / "supervisor.log", wanted, self._clock):
                yield line
            return
        with self._translated():
            async for item in self._client.log_items(wanted):
                if isinstance(item, Gap):
                    yield {"time": 0.0, "stream": "note", "text": f"{item.count} lines skipped"}
                else:
                    yield cast("LogMessage | PageMessage", item.to_dict())

    async def stats(self, after: int = -1) -> AsyncIterator[NodeStats]:
        """One message per second; none is kept. `requests`: what services count themselves."""
        try:
            with self._translated():
                async for message in self._client.stats():
                    requests = self._scraper.rates()
                    yield {**message, **({"requests": requests} if requests else {})}
        finally:
            self._scraper.stop()

    async def stats_to(self, after: int, sink: Callable[[NodeStats], None]) -> None:
        """The same, each given to `sink`."""
        async for message in self.stats(after):
            sink(message)

    async def command(
        self, verb: str, service: str, options: Mapping[str, Any], who: str, command_id: str = ""
    ) -> Outcome:
        """Do it; a refusal is an outcome as well."""
        with self._translated():
            return await self._as(who).command(verb, service, **options)

    async def recall(self, command_id: str) -> Outcome | None:
        """A supervisor knows no ids of commands."""
        raise NotFoundError(
            "whether it was done is not known", hint=f"look at the events of {self.name}"
        )

    async def config(self, *, dry_run: bool, who: str) -> Outcome:
        """Plan or apply the project's file."""
        with self._translated():
            return await (self._client.plan() if dry_run else self._as(who).apply())

    async def health(self) -> NodeHealth:
        """Time, address, free disk space, and whether the file differs from what runs."""
        outcome = await self.config(dry_run=True, who="")
        return {
            "time": self._clock.wall(),
            "address": host_address(),
            "disks": await asyncio.to_thread(disk_usage, (self._run_dir, Path("/"))),
            "changes": len(outcome.data.get("changes", ())),
            "config_error": "" if outcome.ok else outcome.error,
        }

    async def fetch(self, request: ServiceRequest) -> ServiceResponse:
        """Send a request to one of our own services."""
        return await fetch(await self.status(), request)

    async def close(self) -> None:
        """Every call has its own connection: only the scraper is stopped."""
        self._scraper.stop()

    def _as(self, who: str) -> AsyncClient:
        """The client that acts for a person: the supervisor's events name them."""
        return AsyncClient.at(self._run_dir, speaks_as=who)

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except UnreachableError as exc:
            raise NodeAwayError(f"{self.name}: {exc.what}", hint=exc.hint) from exc
        except (ValueError, KeyError, TypeError) as exc:
            # An answer cut in the middle, or of another version.
            raise NodeAwayError(f"{self.name}: an answer that can't be read ({exc})") from exc


def _log_query(query: Mapping[str, str]) -> LogQuery:
    def positions(key: str) -> dict[str, str]:
        return dict(json.loads(query.get(key) or "{}").items())

    try:
        return LogQuery(
            services=(query["service"],) if query.get("service") else (),
            process=int(query.get("process") or 0),
            stream=query.get("stream", ""),
            last=int(query.get("last") or 100),
            follow=query.get("follow") == "1",
            grep=query.get("grep", ""),
            level=query.get("level", ""),
            since=float(query.get("since") or 0),
            until=float(query.get("until") or 0),
            after={source: int(at) for source, at in positions("after").items()},
            pages=query.get("pages") == "1",
            before={source: parse_position(at) for source, at in positions("before").items()},
            whole=query.get("whole") == "1",
        )
    except (ValueError, AttributeError) as exc:
        raise BadRequestError(f"not a log query: {exc}") from exc
