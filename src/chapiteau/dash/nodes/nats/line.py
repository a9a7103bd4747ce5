"""A line between a hub and a node through the server: bytes both ways, as over TCP.

Every piece carries its number. A hole (the server drops what a slow reader leaves) ends the line:
whoever sees it hangs up and dials again, and nothing is ever silently missing.
"""

import asyncio
import contextlib
from typing import Any, Final

from nats.errors import Error as NatsError

from chapiteau.dash.nodes.nats.connection import NatsConnection
from chapiteau.dash.nodes.transport import PushReader

__all__ = ["NatsLine"]

_PIECE: Final = 256 << 10  # bytes; below the 1 MiB that servers take by default
_AHEAD: Final = 16 << 20  # bytes that may wait before a Link reads
_HEAD: Final = 8


class NatsLine:
    """Looks to a Link like its StreamWriter, and fills its PushReader."""

    def __init__(
        self, wire: NatsConnection, node: str, session: str, *, ours: str, theirs: str
    ) -> None:
        self.reader = PushReader(limit=_AHEAD)
        self.transport = self  # `abort` is all that a Link asks of it
        self._wire = wire
        self._out = wire.names.line(node, session, ours)
        self._in = wire.names.line(node, session, theirs)
        self._sent = 0
        self._heard = 0
        self._waiting: list[bytes] = []
        self._subscription: Any = None
        self._over = False
        self._closing: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Begin to hear. Raises what NATS raises."""
        self._subscription = await self._wire.nc.subscribe(self._in, cb=self._take)
        await self._wire.nc.flush()

    def write(self, data: bytes) -> None:
        """Keep it until `drain`."""
        self._waiting.append(data)

    async def drain(self) -> None:
        """Send what was written."""
        data, self._waiting = b"".join(self._waiting), []
        for start in range(0, len(data), _PIECE):
            if self._over:
                raise ConnectionResetError("the line is closed")
            # Numbered without a pause in between: two writers must not change places.
            self._sent += 1
            head = self._sent.to_bytes(_HEAD, "big")
            try:
                await self._wire.publish(self._out, head + data[start : start + _PIECE])
            except NatsError as exc:
                raise ConnectionResetError(str(exc)) from exc

    def abort(self) -> None:
        """Hang up, and tell the other side."""
        if self._over:
            return
        self._over = True
        self.reader.feed_eof()
        self._closing = asyncio.ensure_future(self._close())

    async def _close(self) -> None:
        with contextlib.suppress(NatsError, OSError):
            await self._wire.nc.publish(self._out, b"")
            if self._subscription is not None:
                await self._subscription.unsubscribe()

    async def _take(self, message: Any) -> None:
        if self._over:
            return
        data: bytes = message.data
        self._heard += 1
        if len(data) <= _HEAD or int.from_bytes(data[:_HEAD], "big") != self._heard:
            self.abort()
            return
        self.reader.feed_data(data[_HEAD:])
