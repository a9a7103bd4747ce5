"""The connection to a NATS server, after a look whether it keeps what it acknowledges."""

import asyncio
import contextlib
import importlib.util
import json
import logging
import secrets
import ssl
import urllib.request
from collections.abc import Awaitable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from nats.errors import Error as NatsError

from chapiteau.core.errors import ChapiteauError, UnreachableError
from chapiteau.core.problems import Problem, raise_problems
from chapiteau.dash.nodes.nats.names import NatsNames, NatsServerInfo, server_problems, url_problems
from chapiteau.dash.nodes.node_state import forget_hub
from chapiteau.dash.settings import Nats
from chapiteau.io.files import write_atomic

__all__ = ["NatsAddress", "NatsConnection", "connect", "join_nats", "nats_address", "uninterrupted"]

_SOON: Final = 5.0  # seconds for an answer of the server
_ACK: Final = 2.0  # seconds for an acknowledgement
_ORDERS_KEPT: Final = 60.0  # seconds; far longer than an order may wait
_EVENTS_KEPT: Final = 7 * 86_400.0
_EVENTS_EACH: Final = 10_000  # events of one node
_EVENTS_BYTES: Final = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class NatsAddress:
    """Where and as whom; as [hub.nats] says, with whole paths."""

    url: str
    monitor: str = ""
    creds: Path | None = None
    ca: Path | None = None
    cert: Path | None = None  # with `key`: who we are, where the server asks for certificates
    key: Path | None = None
    prefix: str = "chapiteau"


def nats_address(settings: Nats, folder: Path) -> NatsAddress:
    """From [hub.nats] of a file in `folder`."""
    return NatsAddress(
        url=settings.url,
        monitor=settings.monitor,
        creds=folder / settings.creds if settings.creds else None,
        ca=folder / settings.ca if settings.ca else None,
        cert=folder / settings.cert if settings.cert else None,
        key=folder / settings.key if settings.key else None,
        prefix=settings.prefix,
    )


class NatsConnection:
    """An open connection, and what things are called there."""

    def __init__(self, nc: Any, names: NatsNames) -> None:
        self.nc = nc
        self.js = nc.jetstream(timeout=_ACK)
        self.names = names
        self._buckets: dict[str, Any] = {}

    async def bucket(self, kind: str) -> Any:
        """A key-value bucket; a hub's `connect` has made it. Raises what NATS raises."""
        if kind not in self._buckets:
            self._buckets[kind] = await self.js.key_value(self.names.bucket(kind))
        return self._buckets[kind]

    @property
    def reconnects(self) -> int:
        """How often the connection was lost; a consumer of before may be gone with its server."""
        return int(self.nc.stats["reconnects"])

    async def publish(self, subject: str, data: bytes) -> None:
        """Send and forget. Raises what NATS raises."""
        await uninterrupted(self.nc.publish(subject, data))

    async def close(self) -> None:
        """Hang up."""
        # It flushes first, which takes for ever where nobody answers any more.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_SOON):
                await self.nc.close()


async def uninterrupted(call: Awaitable[Any]) -> Any:
    """A call of the client's, after which a cancelled task ends.

    nats-py swallows a cancellation that comes while it flushes, and makes another error of one that
    comes after it was closed: a loop would go on for ever.
    """
    try:
        return await call
    finally:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise asyncio.CancelledError


async def connect(place: NatsAddress, *, keeps: bool, name: str, node: str = "") -> NatsConnection:
    """Connect; reconnects by itself from then on. `node`: as this node, else as a hub.

    `keeps`: make sure first that the server keeps acknowledged writes, and make the streams.
    Raises UnreachableError, InvalidInputError with every reason for which it is refused.
    """
    problems = url_problems(place.url, has_ca=place.ca is not None)
    if bool(place.cert) != bool(place.key):
        problems.append(Problem("hub.nats", "cert and key belong together", "give both, or none"))
    raise_problems("hub.nats", problems)
    names = NatsNames(place.prefix)
    nc = await _dial(place, name, names.inbox(node, secrets.token_hex(8)))
    wire = NatsConnection(nc, names)
    try:
        if keeps:
            facts = await _facts(place, wire)
            raise_problems("hub.nats", server_problems(facts))
            await _make(wire)
    except BaseException:
        await nc.close()
        raise
    return wire


async def _dial(place: NatsAddress, name: str, inbox: str) -> Any:
    nats = _nats()
    # asyncio tells everybody who hangs up by TLS that StreamReader's word has no effect there.
    logging.getLogger("asyncio").addFilter(_tells_news)
    options: dict[str, Any] = {
        "servers": [one.strip() for one in place.url.split(",")],
        "name": name,
        "max_reconnect_attempts": -1,
        "reconnect_time_wait": 0.5,
        "connect_timeout": _SOON,
        "error_cb": _quiet,
        "ping_interval": 5,
        "max_outstanding_pings": 3,
        "inbox_prefix": inbox,
    }
    if place.creds:
        options["user_credentials"] = str(_readable(place.creds, "credentials"))
    if place.ca or place.cert or "tls://" in place.url:
        options["tls"] = _tls(place)
    try:
        async with asyncio.timeout(_SOON):
            return await nats.connect(**{**options, "allow_reconnect": True})
    except (OSError, TimeoutError, nats.errors.Error) as exc:
        why = str(exc) or "no answer in time"
        raise UnreachableError(
            f"the NATS server at {_bare(place.url)} can't be reached: {why}",
            hint="does it run, and do address and credentials fit?",
        ) from exc


def _tells_news(record: logging.LogRecord) -> bool:
    return "eof_received" not in record.getMessage()


def _tls(place: NatsAddress) -> ssl.SSLContext:
    """Raises ChapiteauError."""
    try:
        context = ssl.create_default_context(cafile=str(place.ca) if place.ca else None)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if place.cert and place.key:
            context.load_cert_chain(place.cert, place.key)
    except (OSError, ssl.SSLError) as exc:
        files = ", ".join(str(path) for path in (place.ca, place.cert, place.key) if path)
        raise ChapiteauError(
            f"credentials for the NATS server can't be used: {exc} ({files})",
            hint="each is a PEM file that this user can read; key and certificate fit together",
        ) from exc
    return context


def _readable(path: Path, what: str) -> Path:
    if importlib.util.find_spec("nkeys") is None:
        raise ChapiteauError(
            f"{what} for NATS need the package nkeys", hint="pip install 'chapiteau[nats]'"
        )
    try:
        path.read_bytes()
    except OSError as exc:
        raise ChapiteauError(f"{path}: {exc.strerror}", hint=f"the file with the {what}") from exc
    return path


async def _quiet(_: Exception) -> None:
    """Reconnecting is what the client does by itself; each call tells its own failure."""


async def _facts(place: NatsAddress, wire: NatsConnection) -> NatsServerInfo:
    varz = await asyncio.to_thread(_varz, place.monitor) if place.monitor else None
    jetstream = True
    storage: dict[str, str] = {}
    nats = _nats()
    try:
        await wire.js.account_info()
        for info in await wire.js.streams_info():
            if info.config.name.removeprefix("KV_").startswith(wire.names.stem + "_"):
                storage[info.config.name] = str(
                    getattr(info.config.storage, "value", info.config.storage)
                )
    except nats.errors.Error:
        jetstream = False
    version = str(wire.nc.connected_server_version).rpartition("v")[2].rstrip(">")
    return NatsServerInfo(version=version, jetstream=jetstream, varz=varz, storage=storage)


def _varz(monitor: str) -> dict[str, Any] | None:
    url = monitor.rstrip("/") + "/varz"
    try:
        with urllib.request.urlopen(url, timeout=_SOON) as answer:  # noqa: S310 — from our own file
            found: dict[str, Any] = json.loads(answer.read(1 << 20))
            return found
    except (OSError, ValueError) as exc:
        raise UnreachableError(
            f"hub.nats.monitor: {url} does not answer ({exc})",
            hint='in the server\'s file: http: "127.0.0.1:8222"',
        ) from exc


async def _make(wire: NatsConnection) -> None:
    from nats.js import api

    names, file = wire.names, api.StorageType.FILE
    streams = (
        api.StreamConfig(
            name=names.events,
            subjects=[f"{names.prefix}.event.*"],
            storage=file,
            max_age=_EVENTS_KEPT,
            max_msgs_per_subject=_EVENTS_EACH,
            max_bytes=_EVENTS_BYTES,
        ),
        api.StreamConfig(
            name=names.orders,
            subjects=[f"{names.prefix}.order.*"],
            storage=file,
            max_age=_ORDERS_KEPT,
        ),
    )
    for stream in streams:
        await wire.js.add_stream(stream)
    for kind in ("WANTED", "LEASES", "NODES"):
        bucket = api.KeyValueConfig(bucket=names.bucket(kind), history=1, storage=file)
        await wire.js.create_key_value(bucket)


def _bare(url: str) -> str:
    """Without a password."""
    return ", ".join(one.rpartition("@")[2].strip() for one in url.split(","))


def _nats() -> Any:
    try:
        import nats
    except ImportError:
        raise ChapiteauError(
            "NATS needs the package nats-py", hint="pip install 'chapiteau[nats]'"
        ) from None
    return nats


# What makes a server a node at a NATS server: where that is, and as whom.


async def join_nats(folder: Path, place: NatsAddress, name: str) -> None:
    """Look whether a hub has been there, and keep the papers. Raises UnreachableError."""
    wire = await connect(place, keeps=False, name=name, node=name)
    try:
        await wire.bucket("NODES")
    except (NatsError, OSError) as exc:
        raise UnreachableError(
            f"no hub has set up {place.prefix!r} at the NATS server ({exc})",
            hint="start one first, with the same hub.nats.prefix: chapiteau hub up",
        ) from exc
    finally:
        await wire.close()
    forget_hub(folder)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    kept = {
        "url": place.url,
        "prefix": place.prefix,
        "creds": str(place.creds or ""),
        "ca": str(place.ca or ""),
        "cert": str(place.cert or ""),
        "key": str(place.key or ""),
    }
    facts = json.dumps({"name": name, "nats": kept})
    write_atomic(folder / "hub.json", facts.encode(), mode=0o600)
