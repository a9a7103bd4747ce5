"""One client's connection: bytes in, whole requests out, bytes back."""

import contextlib
import socket
import tempfile
from collections.abc import Callable
from io import BytesIO
from typing import IO, Any, Final

import msgspec

from chapiteau.service.server.http1 import (
    ChunkedDecoder,
    HeadParser,
    RefusedRequestError,
    RequestHead,
)

__all__ = ["BodyBudget", "BodyBuffer", "Connection", "IncomingRequest"]


# Bodies that have not come whole yet: in memory while there is room, else in temporary files.
#
# Slow clients may hold many of them at a time. Law: together they take no more memory than the room
# has, however many connections there are, and no more of the disk either.

_IN_MEMORY: Final = 1 << 20  # a longer body waits in a file in any case


class BodyBudget:
    """How much of all bodies a worker holds; in bytes. Only the leading thread touches it."""

    def __init__(self, memory: int = 64 << 20, disk: int = 2 << 30) -> None:
        self.memory = memory
        self.disk = disk
        self.in_memory = 0
        self.on_disk = 0

    def __repr__(self) -> str:
        return f"<BodyBudget {self.in_memory} in memory, {self.on_disk} on disk>"


class BodyBuffer:
    """One body, piece by piece."""

    __slots__ = ("_budget", "_file", "_on_disk", "_size")

    def __init__(self, budget: BodyBudget) -> None:
        self._budget = budget
        self._file: Any = BytesIO()
        self._on_disk = False
        self._size = 0

    def write(self, piece: bytes) -> None:
        """Take one more piece. Raises RefusedRequestError (503) when there is no room left."""
        budget, size = self._budget, len(piece)
        self._file.write(piece)
        self._size += size
        if self._on_disk:
            budget.on_disk += size
        else:
            budget.in_memory += size
            if self._size > _IN_MEMORY or budget.in_memory > budget.memory:
                self._move()
        if budget.on_disk > budget.disk:
            raise RefusedRequestError(503, "too many bodies are on their way at once")

    def _move(self) -> None:
        made = tempfile.TemporaryFile()  # noqa: SIM115 — it lives as long as the request
        made.write(self._file.getvalue())
        self._file, self._on_disk = made, True
        self._budget.in_memory -= self._size
        self._budget.on_disk += self._size

    def whole(self) -> IO[bytes]:
        """The body, to be read from its beginning; it takes no room any more."""
        self._leave()
        self._file.seek(0)
        found: IO[bytes] = self._file
        return found

    def close(self) -> None:
        """Throw away what has come."""
        self._leave()
        self._file.close()

    def _leave(self) -> None:
        if self._on_disk:
            self._budget.on_disk -= self._size
        else:
            self._budget.in_memory -= self._size
        self._size = 0


_READ: Final = 64 * 1024
_SLOWEST: Final = 16 * 1024  # bytes a second, below which a body takes too long


class IncomingRequest(msgspec.Struct, eq=False):
    """A whole request: head, and the body as a file."""

    head: RequestHead
    body: IO[bytes]
    length: int

    def __repr__(self) -> str:
        return f"<IncomingRequest {self.head!r}>"

    def close(self) -> None:
        """Give a file back; memory may be read on by work that goes on behind the answer."""
        if type(self.body) is not BytesIO:
            self.body.close()


class Connection:
    """Only the leading thread touches it, but for the time in which another runs its request."""

    __slots__ = (
        "_body",
        "_budget",
        "_chunks",
        "_head",
        "_left",
        "_total",
        "base",
        "broken",
        "busy",
        "closing",
        "data",
        "fd",
        "mask",
        "out",
        "requests",
        "since",
        "sock",
        "waiting",
    )  # fmt: skip

    def __init__(
        self,
        sock: socket.socket,
        base: dict[str, Any],
        now: float,
        budget: BodyBudget | None = None,
    ) -> None:
        self.sock = sock
        self.fd = sock.fileno()
        self.base = base
        self.data = bytearray()
        self.out: bytes | memoryview = b""
        self.mask = 0  # what the poller watches it for; 0: not registered
        self.busy = False
        self.closing = False  # close when `out` is written
        self.broken = False
        self.since = now
        self.requests = 0
        self.waiting = "request"  # request | head | body | flush | linger
        self._head: RequestHead | None = None
        self._chunks: ChunkedDecoder | None = None
        self._body: BodyBuffer | None = None
        self._budget = budget or BodyBudget()
        self._left = 0
        self._total = 0

    def __repr__(self) -> str:
        return f"<Connection {self.fd} {self.waiting}{' busy' if self.busy else ''}>"

    @property
    def grace(self) -> float:
        """Seconds that a body may take longer, for what has come of it: a large one over a slow
        line is welcome, one that trickles is not."""
        return self._total / _SLOWEST if self.waiting == "body" else 0.0

    @property
    def idle(self) -> bool:
        """Whether nobody works for it: between requests, or with a head that is half there."""
        return not self.busy and self.waiting in ("request", "head")

    def is_silent(self) -> bool:
        """Whether nothing has come that was not read yet; also when the client has gone."""
        try:
            return not self.sock.recv(1, socket.MSG_PEEK)
        except OSError:
            return True

    def begin(self) -> int:
        """A request runs; how many there have been with it."""
        self.busy = True
        self.requests += 1
        return self.requests

    def end(self, now: float, keep: bool, busy: bool) -> None:
        """A request has run; `busy` when it did so in a thread that doesn't lead any more."""
        self.since = now
        self.closing = not keep
        self.waiting = "flush" if self.out else "request"
        self.busy = busy

    def take_back(self) -> None:
        """The leading thread has it again."""
        self.busy = False

    def note_mask(self, mask: int) -> None:
        """The poller watches it for this now."""
        self.mask = mask

    # ── in ───────────────────────────────────────────────────────────────────────────────────
    def receive(self) -> bool:
        """Read what is there. False when the client has gone."""
        try:
            piece = self.sock.recv(_READ)
        except (BlockingIOError, InterruptedError):
            return True
        except OSError:
            self.broken = True
            return False
        if not piece:
            return False
        if self.waiting != "linger":
            self.data += piece
        return True

    def next(self, parser: HeadParser, now: Callable[[], float]) -> IncomingRequest | None:
        """The next whole request, or None when more bytes are needed.

        Raises RefusedRequestError.
        """
        if self._head is None:
            if not self.data:
                self.waiting = "request"
                return None
            end = parser.end_of(self.data)
            if not end:
                if self.waiting != "head":
                    self.waiting, self.since = "head", now()
                return None
            if end == len(self.data):
                head = parser.parse(bytes(self.data))
                self.data.clear()
            else:
                head = parser.parse(bytes(self.data[:end]))
                del self.data[:end]
            if not head.fields.has_body:
                return IncomingRequest(head, BytesIO(), 0)
            length = head.fields.length
            if not head.fields.chunked and length is not None and length <= len(self.data):
                piece = bytes(self.data[:length])
                del self.data[:length]
                return IncomingRequest(head, BytesIO(piece), length)
            self._start_body(head, parser, now())
        return self._more_body()

    def _start_body(self, head: RequestHead, parser: HeadParser, now: float) -> None:
        self._head = head
        self.waiting, self.since = "body", now
        self._total = 0
        length = head.fields.length
        self._chunks = ChunkedDecoder(parser.limits) if head.fields.chunked else None
        self._left = length or 0
        self._body = BodyBuffer(self._budget)
        # HTTP/1.0 knows no interim answers (RFC 9110 §10.1.1).
        if head.fields.expects and head.version == 11 and not self.data:
            self.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _more_body(self) -> IncomingRequest | None:
        head, body = self._head, self._body
        if head is None or body is None:
            return None
        if self._chunks is not None:
            piece = self._chunks.feed(self.data)
            whole = self._chunks.done
        else:
            piece = bytes(self.data[: self._left])
            del self.data[: len(piece)]
            self._left -= len(piece)
            whole = self._left == 0
        body.write(piece)
        self._total += len(piece)
        if not whole:
            return None
        self._body = self._head = self._chunks = None
        return IncomingRequest(head, body.whole(), self._total)

    # ── out ──────────────────────────────────────────────────────────────────────────────────
    def write(self, data: bytes) -> None:
        """Send now what the socket takes; the rest waits in `out`."""
        if self.out:
            self.out = bytes(self.out) + data
            return
        try:
            sent = self.sock.send(data)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError:
            self.broken = True
            return
        if sent < len(data):
            self.out = memoryview(data)[sent:]

    def flush(self) -> None:
        """Send more of `out`."""
        rest = self.out
        if not rest:
            return
        try:
            sent = self.sock.send(rest)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self.broken = True
            self.out = b""
            return
        self.out = memoryview(rest)[sent:] if sent < len(rest) else b""

    def half_close(self, now: float) -> None:
        """Say that nothing more will come; what the client still sends is thrown away."""
        self.waiting, self.since = "linger", now
        self.data.clear()
        self._drop_body()
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Close for good."""
        self.waiting = "closed"
        self._drop_body()
        self.sock.close()

    def _drop_body(self) -> None:
        body, self._body = self._body, None
        if body is not None:
            body.close()
