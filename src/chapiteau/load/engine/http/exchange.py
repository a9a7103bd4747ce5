"""One request and its answer, on their way."""

import asyncio
from typing import TYPE_CHECKING

from chapiteau.load.engine.http.wakeup import Wakeup

if TYPE_CHECKING:
    from chapiteau.load.engine.http.connection import Connection

__all__ = ["Exchange"]


class Exchange(Wakeup):
    """Bytes to send; when it is over, the answer's status, head and body.

    Times are seconds of the engine's clock: `sent` when the bytes went to the kernel, `ended`
    when the answer was whole.
    """

    __slots__ = (
        "bare",
        "body",
        "connection",
        "data",
        "deadline",
        "ended",
        "head",
        "sent",
        "status",
        "tried",
        "twice",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        data: bytes,
        deadline: float,
        bare: bool,
        twice: bool,
    ) -> None:
        # Wakeup.__init__ written out: a call of it would cost a tenth of the whole object.
        self._asyncio_future_blocking = False
        self._loop = loop
        self._waiter = None
        self._more = None
        self._over = False
        self._error = None
        self.data = data
        self.deadline = deadline
        self.bare = bare  # the answer has no body (HEAD)
        self.twice = twice  # may be sent again when a reused connection turns out dead
        self.connection: Connection | None = None
        self.tried = False
        self.sent = 0.0
        self.ended = 0.0
        self.status = 0
        self.head = b""
        self.body = b""

    def dropped(self) -> None:
        """Nobody wants the answer: the connection can't be used for another request."""
        if self.connection is not None:
            self.connection.abandon()
