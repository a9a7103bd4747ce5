"""Wanted states and leases in key-value buckets: a revision is a generation, and a fence."""

import contextlib
import json
import secrets
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

import msgspec
from nats.errors import Error as NatsError
from nats.errors import TimeoutError as NatsTimeoutError
from nats.js.errors import KeyNotFoundError, KeyWrongLastSequenceError

from chapiteau.core.clock import Clock
from chapiteau.dash.errors import HubGoneError
from chapiteau.dash.nodes.contract import (
    DesiredServices,
    Lease,
    LeaseHeldError,
    StaleGenerationError,
)
from chapiteau.dash.nodes.nats.connection import NatsConnection, uninterrupted
from chapiteau.dash.nodes.nats.names import subject_token

__all__ = ["NatsDesiredState", "NatsLeases"]

_LOOK: Final = 1.0  # seconds between two looks whether the connection is still the same


class NatsDesiredState:
    """States; revisions count over the whole bucket, so generations do over all nodes."""

    def __init__(self, wire: NatsConnection) -> None:
        self._wire = wire

    async def get(self, node: str) -> DesiredServices:
        """The newest."""
        with _translated():
            try:
                return _wanted(
                    node, await (await self._wire.bucket("WANTED")).get(subject_token(node))
                )
            except KeyNotFoundError:
                return DesiredServices(node=node)

    async def put(self, wanted: DesiredServices, *, expect: int) -> DesiredServices:
        """Replace it."""
        value = json.dumps({"services": wanted.services, "who": wanted.who}).encode()
        with _translated():
            bucket = await self._wire.bucket("WANTED")
            try:
                revision = await uninterrupted(
                    bucket.update(subject_token(wanted.node), value, last=expect)
                )
            except KeyWrongLastSequenceError:
                raise StaleGenerationError(await self.get(wanted.node)) from None
        return msgspec.structs.replace(wanted, generation=revision)

    async def watch(self, node: str, after: int) -> AsyncIterator[DesiredServices]:
        """Newer ones."""
        with _translated():
            watcher = await (await self._wire.bucket("WANTED")).watch(subject_token(node))
            try:
                connection = self._wire.reconnects
                while True:
                    entry = await self._update(watcher, connection)
                    if entry is not None and entry.value and entry.revision > after:
                        after = entry.revision
                        yield _wanted(node, entry)
            finally:
                with contextlib.suppress(NatsError):
                    await watcher.stop()

    async def _update(self, watcher: Any, connection: int) -> Any:
        while True:
            if self._wire.reconnects != connection:
                raise HubGoneError("the connection to NATS was lost meanwhile")
            try:
                return await uninterrupted(watcher.updates(timeout=_LOOK))
            except NatsTimeoutError:
                continue


class NatsLeases:
    """Leases. No clock is compared with another's.

    A holder is gone when its entry has not changed for a whole `ttl` on our own clock.
    """

    def __init__(self, wire: NatsConnection, clock: Clock) -> None:
        self._wire = wire
        self._clock = clock
        # Our own leases → revision of the last write, and a mark that tells it from another's.
        self._own: dict[tuple[str, int], tuple[int, str]] = {}
        self._seen: dict[str, tuple[int, float]] = {}  # name → revision, since when

    async def take(self, name: str, holder: str, ttl: float) -> Lease:
        """Take it."""
        value, revision = await self._read(name)
        if value["holder"] not in ("", holder):
            self._judge(name, revision, value)
        mark = secrets.token_hex(8)
        fence = await self._write(name, revision, holder=holder, ttl=ttl, mark=mark)
        self._own[name, fence] = fence, mark
        return Lease(name=name, holder=holder, fence=fence, ttl=ttl)

    async def keep(self, lease: Lease) -> None:
        """Renew it."""
        last, mark = self._of(lease)
        last = await self._write(lease.name, last, holder=lease.holder, ttl=lease.ttl, mark=mark)
        self._own[lease.name, lease.fence] = last, mark

    async def drop(self, lease: Lease) -> None:
        """Give it back."""
        last, mark = self._of(lease)
        with contextlib.suppress(LeaseHeldError):
            await self._write(lease.name, last, holder="", ttl=0.0, mark=mark)
        self._own.pop((lease.name, lease.fence), None)

    def _of(self, lease: Lease) -> tuple[int, str]:
        found = self._own.get((lease.name, lease.fence))
        if found is None:
            raise LeaseHeldError(f"the lease {lease.name!r} is not ours")
        return found

    def _judge(self, name: str, revision: int, value: dict[str, Any]) -> None:
        """Raises HeldError while the holder may still be there."""
        now = self._clock.now()
        seen, since = self._seen.get(name, (0, 0.0))
        if seen != revision:
            since = now
            self._seen[name] = (revision, since)
        left = since + float(value["ttl"]) - now
        if left > 0:
            raise LeaseHeldError(
                f"{value['holder']} has the lease {name!r}",
                hint=f"it runs out in {left:.0f} s unless that one renews it",
            )

    async def _read(self, name: str) -> tuple[dict[str, Any], int]:
        with _translated():
            try:
                entry = await (await self._wire.bucket("LEASES")).get(name)
            except KeyNotFoundError:
                return {"holder": "", "ttl": 0.0, "mark": ""}, 0
            return json.loads(entry.value), entry.revision

    async def _write(self, name: str, last: int, **value: Any) -> int:
        with _translated():
            bucket = await self._wire.bucket("LEASES")
            try:
                return int(
                    await uninterrupted(bucket.update(name, json.dumps(value).encode(), last=last))
                )
            except KeyWrongLastSequenceError:
                # Ours all the same, when only the answer to our last write was lost.
                found, revision = await self._read(name)
                if found != value:
                    raise LeaseHeldError(f"the lease {name!r} went to another") from None
                return revision


def _wanted(node: str, entry: Any) -> DesiredServices:
    raw = json.loads(entry.value)
    return DesiredServices(
        node=node, generation=entry.revision, services=raw["services"], who=raw.get("who", "")
    )


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (NatsError, OSError) as exc:
        why = str(exc) or type(exc).__name__
        raise HubGoneError(f"the NATS server does not answer ({why})") from exc
