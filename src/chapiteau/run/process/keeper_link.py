"""The brain's end of the channel to the keeper."""

import asyncio
import contextlib
import json
import os
import socket
import sys
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Final, Protocol, cast

from chapiteau.run import keeper
from chapiteau.run.errors import KeeperGoneError, TooLargeError
from chapiteau.run.keeper.channel import MAX_MESSAGE
from chapiteau.run.keeper.frames import Child, ExitFrame, Hello, SpawnAnswer, SpawnRequest
from chapiteau.run.keeper.syscalls import receive, receive_buffer

__all__ = ["KEEPER_FOLDER", "KeeperLink", "KeeperListener"]

Message = dict[str, Any]  # one JSON object, whose shape its `op` tells (run/keeper/frames.py)
KEEPER_FOLDER: Final = Path(keeper.__file__).parent
_MAX_VARIABLES: Final = 100  # of the environment in one message
_MAX_BATCH: Final = 32  # requests that share a message
_MAX_BATCH_BYTES: Final = 1 << 16
_MAX_READS: Final = 64  # messages that are read before others have a turn
_BUSY: Final = 8  # answers that are awaited at once: the keeper has much to do
_REST: Final = 0.01  # seconds until its answers are read then, together
_GONE: Final = "the keeper has gone"


class KeeperListener(Protocol):
    """Who learns what the keeper says by itself, from the event loop."""

    def on_exit(self, key: str, frame: ExitFrame) -> None:
        """A process has ended."""

    def on_asked(self, what: str) -> None:
        """ "stop", "reload", or "owner-gone"."""

    def on_keeper_gone(self) -> None:
        """It has died; everybody who waited for its last answers has had them."""


class KeeperLink:
    """Requests with answers; `listen` says who learns of the rest."""

    in_process = False  # whether there is no keeper behind it (run/supervisor/keeperless.py)

    def __init__(self, channel: socket.socket) -> None:
        channel.setblocking(False)
        self._prepare()
        self._channel = channel
        self._waiting: dict[int, asyncio.Future[tuple[Message, list[int]]]] = {}
        self._number = 0
        self._outgoing: list[tuple[bytes, list[int]]] = []
        self._full = False  # whether the keeper does not take what we send
        self._buffer = receive_buffer(MAX_MESSAGE)
        self._resting: asyncio.TimerHandle | None = None
        self._batch: list[bytes] = []  # what is told in this turn of the loop
        self._loop.add_reader(channel, self._read)

    def _prepare(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._listener: KeeperListener | None = None
        self._unheard: list[Message] = []
        self._over = self._reported = False  # whether it has died, and that was reported
        self.notes: dict[str, Any] = {}  # as the keeper holds them
        self.children: list[tuple[Child, list[int]]] = []  # (child, its pipes), found at `hello`

    def listen(self, listener: KeeperListener) -> None:
        """Report to it, also what came before."""
        self._listener = listener
        unheard, self._unheard = self._unheard, []
        for message in unheard:
            self._report(message)
        if self._reported:
            listener.on_keeper_gone()

    def ignore(self) -> None:
        """Whatever it says from now on, its end too, is of no interest."""
        self._listener = None

    # ── requests ────────────────────────────────────────────────────────────────────────────
    async def hello(self) -> Hello:
        """What the keeper knows; `children` then holds its processes."""
        answer, _ = await self.ask("hello")
        hello = cast("Hello", answer)
        self.notes.update(hello["notes"])
        return hello

    async def spawn(self, request: SpawnRequest) -> tuple[SpawnAnswer, list[int]]:
        """Start a process. Raises TooLargeError."""
        answer, fds = await self.ask("spawn", **request)
        return cast("SpawnAnswer", answer), fds

    async def store(self, name: str, fd: int) -> None:
        """Let the keeper hold a copy of the descriptor under this name."""
        await self.ask("store", (fd,), name=name)

    def keep(self, name: str, fd: int) -> None:
        """As `store`, without waiting for the answer."""
        self._send({"op": "store", "name": name}, [fd])

    async def fetch(self, name: str) -> int | None:
        """A copy of a stored descriptor; None when there is none."""
        _, fds = await self.ask("fetch", name=name)
        return fds[0] if fds else None

    async def upgrade(self) -> int:
        """The keeper becomes the one that is installed now; its pid, which stays."""
        answer, _ = await self.ask("upgrade", python=sys.executable, folder=str(KEEPER_FOLDER))
        if "error" in answer:
            raise KeeperGoneError(f"the keeper could not be renewed: {answer['error']}")
        return int(answer["pid"])

    def base(self, environ: Mapping[str, str]) -> None:
        """What most processes inherit; in parts, for all of it may be more than a message."""
        for start in range(0, len(environ), _MAX_VARIABLES):
            self.tell("base", env=dict(islice(environ.items(), start, start + _MAX_VARIABLES)))

    def note(self, name: str, value: Any) -> None:
        """Leave a note for the next brain; None takes it away."""
        if value is None:
            self.notes.pop(name, None)
        else:
            self.notes[name] = value
        self.tell("note", name=name, value=value)

    async def ask(
        self, op: str, carried: tuple[int, ...] = (), **rest: Any
    ) -> tuple[Message, list[int]]:
        """Send a request; its answer and descriptors. Raises KeeperGoneError, TooLargeError."""
        if self._reported:
            raise KeeperGoneError(_GONE)
        self._number += 1
        future: asyncio.Future[tuple[Message, list[int]]] = self._loop.create_future()
        self._waiting[self._number] = future
        if size := self._send({"op": op, "id": self._number, **rest}, list(carried)):
            del self._waiting[self._number]
            raise TooLargeError(f"{size >> 10} KiB, more than {MAX_MESSAGE >> 10} KiB")
        answer = await future
        self._yield_cpu()
        return answer

    def tell(self, op: str, **rest: Any) -> None:
        """Send a request that needs no answer; at the end of this turn, with others like it."""
        if self._over:
            return
        self._batch.append(json.dumps({"op": op, **rest}).encode())
        if len(self._batch) >= _MAX_BATCH:
            self._send_batch()
        elif len(self._batch) == 1:
            self._loop.call_soon(self._send_batch)

    async def wait_until_idle(self, patience: float) -> None:
        """Wait until the keeper has done most of what it was asked for; seconds at most."""
        until = self._loop.time() + patience
        await asyncio.sleep(0)
        # An Event would be asked at each of a thousand answers, for this one time.
        while len(self._waiting) > _BUSY and self._loop.time() < until:  # noqa: ASYNC110
            await asyncio.sleep(_REST)

    def close(self) -> None:
        """Stop listening."""
        self._send_batch()
        self._stop_reading()
        self._loop.remove_writer(self._channel)
        self._channel.close()

    # ── sending ─────────────────────────────────────────────────────────────────────────────
    def _yield_cpu(self) -> None:
        """In a row of starts: let a process run that the kernel has put on our processor.

        The keeper waits for it; without this it would wait for our next pause, or the next tick.
        """
        if len(self._waiting) > _BUSY:
            os.sched_yield()

    def _send(self, message: Message, fds: list[int]) -> int:
        """Its size when it is too large to be sent, else 0."""
        data = json.dumps(message).encode()
        if len(data) > MAX_MESSAGE:
            return len(data)
        if self._batch and not fds and len(data) < _MAX_BATCH_BYTES:
            self._batch.append(data)
            self._send_batch()
            return 0
        self._send_batch()  # in the order in which they were said
        if not self._over:
            self._put(data, [os.dup(fd) for fd in fds])
        self._yield_cpu()
        return 0

    def _send_batch(self) -> None:
        batch, self._batch = self._batch, []
        if batch and not self._over:
            many = b'{"op": "many", "all": [%s]}' % b", ".join(batch)
            self._put(many if len(batch) > 1 else batch[0], [])

    def _put(self, data: bytes, fds: list[int]) -> None:
        self._outgoing.append((data, fds))
        if len(self._outgoing) == 1:
            self._flush()

    def _flush(self) -> None:
        while self._outgoing:
            data, fds = self._outgoing[0]
            try:
                socket.send_fds(self._channel, [data], fds)
            except (BlockingIOError, InterruptedError):
                self._full = True
                self._loop.add_writer(self._channel, self._flush)
                return
            except ConnectionError:
                break  # it has died: `_read` comes to the end of what it said before that
            except OSError:
                self._gone()
                return
            _close(fds)
            del self._outgoing[0]
        self._forget_outgoing()

    def _forget_outgoing(self) -> None:
        if self._full:
            self._full = False
            self._loop.remove_writer(self._channel)
        for _, fds in self._outgoing:
            _close(fds)
        self._outgoing.clear()

    # ── receiving ───────────────────────────────────────────────────────────────────────────
    def _read(self) -> None:
        for _ in range(_MAX_READS):
            try:
                data, fds = receive(self._channel, self._buffer)
            except (BlockingIOError, InterruptedError):
                self._rest()
                return
            except ConnectionResetError:
                continue  # it died before it read all of ours; what it said is still there
            except OSError:
                data, fds = b"", []
            if not data:
                self._gone()
                return
            self._take(json.loads(data), fds)

    def _rest(self) -> None:
        """In a row of starts each answer alone would wake us, and take the time of the next."""
        if len(self._waiting) > _BUSY:
            self._loop.remove_reader(self._channel)
            self._resting = self._loop.call_later(_REST, self._resume)

    def _resume(self) -> None:
        self._resting = None
        self._loop.add_reader(self._channel, self._read)
        self._read()

    def _stop_reading(self) -> None:
        self._loop.remove_reader(self._channel)
        if self._resting is not None:
            self._resting.cancel()

    def _take(self, message: Message, fds: list[int]) -> None:
        if "re" in message:
            future = self._waiting.pop(message["re"], None)
            if future is not None and not future.done():
                future.set_result((message, fds))
                return
        elif message["op"] == "child":
            self.children.append((cast("Child", message), fds))
            return
        elif message["op"] == "ping":
            self.tell("pong")
        else:
            self._report(message)
        _close(fds)  # nobody waits for these

    def _report(self, message: Message) -> None:
        if self._listener is None:
            self._unheard.append(message)
        elif message["op"] == "exited":
            self._listener.on_exit(message["key"], message["exit"])
        elif message["op"] == "asked":
            self._listener.on_asked(message["what"])

    def _gone(self) -> None:
        """It has died. Whoever waited for its last answers acts on them first: else a process
        that it had started would be unsupervised."""
        self._over = True
        self._stop_reading()
        self._forget_outgoing()
        self._loop.call_soon(self._report_gone)

    def _report_gone(self) -> None:
        self._reported = True
        if self._listener is not None:
            self._listener.on_keeper_gone()
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(KeeperGoneError(_GONE))
        self._waiting.clear()


def _close(fds: list[int]) -> None:
    for fd in fds:
        with contextlib.suppress(OSError):
            os.close(fd)
