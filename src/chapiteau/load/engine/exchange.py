"""One request and its answer, on their way."""

import asyncio
from typing import Protocol

from chapiteau.load.engine.completion import Completion
from chapiteau.load.errors import ExchangeError

__all__ = ["Carrier", "Exchange", "ResponseShape"]


# What the last answer to a kind of request looked like.


class ResponseShape:
    """The head of the answer before, and what it said.

    Answers of one endpoint mostly differ in their bodies only: a head that is the same, byte for
    byte, need not be read again. `total` is the length of head, empty line and body.
    """

    __slots__ = ("head", "skip", "start", "status", "total", "usual")

    def __init__(self) -> None:
        self.start = b"\0"  # with the empty line; no answer begins with this
        self.skip = 1  # length of that
        self.head = b""
        self.total = -1
        self.status = 0
        self.usual = False  # nothing in the head asks for more than to be counted

    def learn(self, head: bytes, status: int, length: int) -> None:
        """An answer that was whole in one read, on a connection that stays open."""
        self.start = head + b"\r\n"
        self.skip = len(head) + 2
        self.head = head
        self.total = len(head) + 2 + length
        self.status = status
        self.usual = status < 300 and b"\nset-cookie:" not in head.lower()


class Carrier(Protocol):
    """What an exchange travels on."""

    def abandon(self, exchange: "Exchange") -> None:
        """Nobody waits for this answer any more."""
        ...


class Exchange(Completion):
    """Bytes to send; when it is over, the answer's status, head and body.

    Times are seconds of the engine's clock: `sent` when the bytes went to the kernel, `ended`
    when the answer was whole. `status`, `head` and `body` are there once it has ended well.
    """

    __slots__ = (
        "bare",
        "body",
        "carrier",
        "data",
        "deadline",
        "ended",
        "head",
        "sent",
        "shape",
        "status",
        "twice",
    )

    def __init__(  # one for each request: bundling these would be felt
        self,
        loop: asyncio.AbstractEventLoop,
        data: bytes,
        deadline: float,
        bare: bool,
        twice: bool,
        shape: ResponseShape,
    ) -> None:
        # Wakeup.__init__ written out: a call of it would cost a tenth of the whole object.
        self._asyncio_future_blocking = False
        self._loop = loop
        self._waiter = None
        self._more = None
        self.over = False
        self._error = None
        self.driver = None
        self.data = data
        self.deadline = deadline
        self.bare = bare  # the answer has no body (HEAD)
        self.twice = twice  # may be sent again when a reused connection turns out dead
        self.shape = shape
        # What follows is set before it is asked for: by what carries it, and by its end.
        self.carrier: Carrier | None
        self.sent: float
        self.ended: float
        self.status: int
        self.head = b""
        self.body: bytes

    def renew(
        self, data: bytes, deadline: float, bare: bool, twice: bool, shape: ResponseShape
    ) -> None:
        """Be the next request, once this one was answered."""
        self.over = False
        self.data = data
        self.deadline = deadline
        self.bare = bare
        self.twice = twice
        self.shape = shape

    def carry(self, carrier: Carrier | None) -> None:
        """It waits for this carrier; None: for any."""
        self.carrier = carrier

    def leave(self, carrier: Carrier, at: float) -> None:
        """Its bytes go out on this carrier at this moment."""
        self.carrier = carrier
        self.sent = at

    def answer(self, status: int, head: bytes, body: bytes, at: float) -> None:
        """The answer is whole; `wake` then tells who waits."""
        self.status = status
        self.head = head
        self.body = body
        self.ended = at

    def take_body(self) -> bytes:
        """The answer's body, which is not kept here."""
        body, self.body = self.body, b""
        return body

    def send_once(self) -> None:
        """From now on it may not be sent again."""
        self.twice = False

    def fail_at(self, error: ExchangeError, at: float) -> None:
        """End without an answer, at this moment of the engine's clock."""
        self.carrier = None
        self.ended = at
        self.fail(error)

    def dropped(self) -> None:
        """Nobody wants the answer: the connection can't be used for another request."""
        if self.carrier is not None:
            self.carrier.abandon(self)
