"""The brain's end of the channel to the keeper."""

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import Callable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Final

from chapiteau.run.errors import KeeperGoneError, TooLargeError
from chapiteau.run.keeper.syscalls import receive, receive_buffer

__all__ = ["KeeperLink", "Message"]

Message = dict[str, Any]
KEEPER_FOLDER: Final = Path(__file__).parent.parent / "keeper"
LARGEST: Final = 1 << 18
_AT_ONCE: Final = 100  # variables of the environment; few machines have more
_TOGETHER: Final = 32  # of what is told at once goes into one message
_ROW: Final = 8  # answers that are awaited at once: the keeper has much to do
_REST: Final = 0.01  # seconds until its answers are heard then, together
_TOGETHER_BYTES: Final = 1 << 16  # what is asked besides, unless it is longer
_GONE: Final = "the keeper has gone"


class KeeperLink:
    """Requests with answers, and what the keeper says by itself.

    `on_exit(key, exit)` hears of every child's end, `on_asked(what)` of "stop", "reload" and
    "owner-gone", `on_gone()` when the keeper has died. They are called from the event loop.
    """

    alone = False  # whether there is no keeper behind it (run/supervisor/keeperless.py)

    def __init__(self, channel: socket.socket) -> None:
        channel.setblocking(False)
        self._channel = channel
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[int, asyncio.Future[tuple[Message, list[int]]]] = {}
        self._number = 0
        self._outgoing: list[tuple[bytes, list[int]]] = []
        self._full = False  # whether the keeper does not take what we send
        self._room = receive_buffer(LARGEST)
        self._together = False  # whether the keeper takes several requests in one message
        self._resting: asyncio.TimerHandle | None = None
        self._aside: list[bytes] = []  # what is told in this turn of the loop
        self._over = self._told = False  # whether the keeper has died, and `on_gone` was called
        self._listen()
        self._loop.add_reader(channel, self._read)

    def _listen(self) -> None:
        """Nobody hears anything yet."""
        self.on_exit: Callable[[str, Message], None] = lambda key, end: None
        self.on_asked: Callable[[str], None] = lambda what: None
        self.on_gone: Callable[[], None] = lambda: None
        self.notes: dict[str, Any] = {}  # as the keeper holds them
        self.children: list[tuple[Message, list[int]]] = []  # as found at `hello`

    async def hello(self) -> Message:
        """What the keeper remembers; `children` then holds (child, its pipes)."""
        answer, _ = await self.ask("hello")
        self.notes.update(answer["notes"])
        self._together = bool(answer.get("many"))
        return answer

    async def ask(
        self, op: str, carried: tuple[int, ...] = (), **rest: Any
    ) -> tuple[Message, list[int]]:
        """Send a request; its answer and descriptors. Raises KeeperGoneError, TooLargeError."""
        if self._told:
            raise KeeperGoneError(_GONE)
        self._number += 1
        future: asyncio.Future[tuple[Message, list[int]]] = self._loop.create_future()
        self._waiting[self._number] = future
        if size := self._send({"op": op, "id": self._number, **rest}, list(carried)):
            del self._waiting[self._number]
            raise TooLargeError(f"{size >> 10} KiB, more than {LARGEST >> 10} KiB")
        answer = await future
        self.make_way()
        return answer

    async def calm(self, patience: float) -> None:
        """Wait until the keeper has done most of what it was asked for; seconds at most."""
        until = self._loop.time() + patience
        await asyncio.sleep(0)
        # An Event would be asked at each of a thousand answers, for this one time.
        while len(self._waiting) > _ROW and self._loop.time() < until:  # noqa: ASYNC110
            await asyncio.sleep(_REST)

    def make_way(self) -> None:
        """In a row of starts: let a process run that the kernel has put on our processor.

        The keeper waits for it; without this it would wait for our next pause, or the next tick.
        """
        if len(self._waiting) > _ROW:
            os.sched_yield()

    def base(self, environ: Mapping[str, str]) -> None:
        """What most processes inherit; in parts, for all of it may be more than a message."""
        for start in range(0, len(environ), _AT_ONCE):
            self.tell("base", env=dict(islice(environ.items(), start, start + _AT_ONCE)))

    def tell(self, op: str, **rest: Any) -> None:
        """Send a request that needs no answer; at the end of this turn, with others like it."""
        if op == "note":
            self._remember(rest["name"], rest["value"])
        if self._over:
            return
        self._aside.append(json.dumps({"op": op, **rest}).encode())
        if not self._together or len(self._aside) >= _TOGETHER:
            self._send_aside()
        elif len(self._aside) == 1:
            self._loop.call_soon(self._send_aside)

    def _remember(self, name: str, value: Any) -> None:
        """A note, as the keeper holds it: None takes it away."""
        if value is None:
            self.notes.pop(name, None)
        else:
            self.notes[name] = value

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
        import sys

        answer, _ = await self.ask("upgrade", python=sys.executable, folder=str(KEEPER_FOLDER))
        if "error" in answer:
            raise KeeperGoneError(f"the keeper could not be renewed: {answer['error']}")
        return int(answer["pid"])

    def close(self) -> None:
        """Stop listening."""
        self._send_aside()
        self._stop_listening()
        self._loop.remove_writer(self._channel)
        self._channel.close()

    def _send(self, message: Message, fds: list[int]) -> int:
        """Its size when it can't be sent, for it is too large; else 0."""
        data = json.dumps(message).encode()
        if len(data) > LARGEST:
            return len(data)
        if self._aside and not fds and len(data) < _TOGETHER_BYTES:
            self._aside.append(data)
            self._send_aside()
            return 0
        self._send_aside()  # in the order in which they were said
        if not self._over:
            self._put(data, [os.dup(fd) for fd in fds])
        self.make_way()
        return 0

    def _send_aside(self) -> None:
        words, self._aside = self._aside, []
        if words and not self._over:
            many = b'{"op": "many", "all": [%s]}' % b", ".join(words)
            self._put(many if len(words) > 1 else words[0], [])

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
            for fd in fds:
                os.close(fd)
            del self._outgoing[0]
        self._forget_outgoing()

    def _forget_outgoing(self) -> None:
        if self._full:
            self._full = False
            self._loop.remove_writer(self._channel)
        for _, fds in self._outgoing:
            for fd in fds:
                os.close(fd)
        self._outgoing.clear()

    def _read(self) -> None:
        for _ in range(64):  # then let others have a turn
            try:
                data, fds = receive(self._channel, self._room)
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
        if len(self._waiting) > _ROW:
            self._loop.remove_reader(self._channel)
            self._resting = self._loop.call_later(_REST, self._go_on)

    def _go_on(self) -> None:
        self._resting = None
        self._loop.add_reader(self._channel, self._read)
        self._read()

    def _stop_listening(self) -> None:
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
            self.children.append((message, fds))
            return
        elif message["op"] == "exited":
            self.on_exit(message["key"], message["exit"])
        elif message["op"] == "asked":
            self.on_asked(message["what"])
        elif message["op"] == "ping":
            self.tell("pong")
        for fd in fds:  # nobody waits for these
            with contextlib.suppress(OSError):
                os.close(fd)

    def _gone(self) -> None:
        """It has died. Whoever waited for its last answers acts on them first: else a process
        that it had started would be known to nobody."""
        self._over = True
        self._stop_listening()
        self._forget_outgoing()
        self._loop.call_soon(self._tell_gone)

    def _tell_gone(self) -> None:
        self._told = True
        self.on_gone()
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(KeeperGoneError(_GONE))
        self._waiting.clear()
