"""Sends messages to syslog or journald, one datagram each: never waits, and loses none unsaid.

Both take some ten messages at once; what comes faster waits here, up to `ROOM`, and so does what
comes while nobody listens. More than that is counted as dropped.
"""

import asyncio
import contextlib
import errno
import ipaddress
import math
import os
import select
import socket
from collections import deque
from collections.abc import Callable
from typing import Final

from chapiteau.core.clock import Clock

__all__ = ["DatagramSender"]

BUFFER_SIZE: Final = 8 << 20  # bytes of messages that wait
_RETRY: Final = 1.0  # seconds until it is tried again where nobody listened
_FAILING_FOR: Final = 10.0  # seconds without a taker until it is reported
_LAST: Final = 0.5  # seconds at the end for what waits
_LONGEST: Final = 60_000  # bytes of a datagram that every system sends
_NOT_NOW: Final = (errno.EAGAIN, errno.ENOBUFS, errno.EINTR)


class DatagramSender:
    """`send` takes a message; `close` gives what waits a last chance."""

    def __init__(
        self, target: str, clock: Clock, on_drop: Callable[[int, str], None], *, journal: bool
    ) -> None:
        self._target, self._clock, self._on_drop = target, clock, on_drop
        self._address: str | tuple[str, int] = target
        self._family = socket.AF_UNIX
        if not target.startswith("/"):
            host, _, port = target.rpartition(":")
            self._address = (host.strip("[]") or target, int(port) if host else 514)
            self._family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._named = self._family != socket.AF_UNIX and not _is_number(str(self._address[0]))
        self._resolving: asyncio.Task[None] | None = None  # for the address of a name
        self._failing_since = 0.0  # when it began to take nothing; inf when that was said
        self._journal = journal  # which takes what is too long as a file
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._socket: socket.socket | None = None
        self._retry_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._waiting_in: asyncio.AbstractEventLoop | None = None

    def send(self, message: bytes) -> None:
        """Now, or as soon as it can be taken."""
        if self._size + len(message) > BUFFER_SIZE:
            self._on_drop(len(message), f"{self._target} does not take it")
            return
        self._waiting.append(message)
        self._size += len(message)
        if self._waiting_in is None and self._timer is None:
            self._flush()

    def _flush(self) -> None:
        self._timer = None
        if self._named:
            self._resolve()
            return
        while self._waiting:
            try:
                self._send_now(self._waiting[0])
                self._failing_since = 0.0
            except OSError as exc:
                if exc.errno in _NOT_NOW:
                    self._wait_until_writable()
                    return
                if exc.errno != errno.EMSGSIZE:  # nobody listens there, now
                    self._close_socket()
                    self._failed(exc)
                    return
                self._on_drop(len(self._waiting[0]), f"too long for {self._target}")
            self._size -= len(self._waiting.popleft())
        self._stop_waiting()

    def _resolve(self) -> None:
        """Look a name up aside: that may take seconds, and nothing here may wait for it."""
        if self._resolving is None:
            with contextlib.suppress(RuntimeError):  # without a loop the next message asks again
                self._resolving = asyncio.get_running_loop().create_task(self._look_up_name())

    async def _look_up_name(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(*self._address[:2], type=socket.SOCK_DGRAM)
        except OSError as exc:
            self._resolving = None
            self._failed(exc)
            return
        self._resolving = None
        self._family, *_, self._address = found[0]  # type: ignore[assignment]  # host, port …
        self._named = False
        self._flush()

    def _failed(self, exc: OSError) -> None:
        """Try again in a second; and say once that nothing has arrived for a while."""
        now = self._clock.now()
        self._failing_since = self._failing_since or now
        if now - self._failing_since >= _FAILING_FOR:
            self._failing_since = math.inf
            why = exc.strerror or str(exc)
            self._on_drop(0, f"{self._target} takes nothing: {why}; what comes waits")
        self._retry_later()

    def _send_now(self, message: bytes) -> None:
        if self._socket is None:
            made = socket.socket(self._family, socket.SOCK_DGRAM)
            try:
                made.setblocking(False)
                made.connect(self._address)
            except OSError:
                made.close()
                raise
            self._socket = made
        if len(message) <= _LONGEST:
            self._socket.send(message)
        elif self._journal:
            self._send_file(self._socket, message)
        else:
            self._socket.send(message[:_LONGEST])
            self._on_drop(len(message) - _LONGEST, f"too long for {self._target}")

    @staticmethod
    def _send_file(to: socket.socket, message: bytes) -> None:
        """As journald's protocol has it: a sealed file in memory goes in place of the message."""
        import fcntl

        memory = os.memfd_create("line", os.MFD_ALLOW_SEALING)
        try:
            os.write(memory, message)
            fcntl.fcntl(memory, fcntl.F_ADD_SEALS, 0xF)  # it takes no other
            socket.send_fds(to, [b""], [memory])
        finally:
            os.close(memory)

    def _wait_until_writable(self) -> None:
        """Go on when it takes more."""
        if self._waiting_in is None and self._socket is not None:
            with contextlib.suppress(RuntimeError):  # without a loop the next message goes on
                loop = asyncio.get_running_loop()
                loop.add_writer(self._socket, self._flush)
                self._waiting_in = loop

    def _retry_later(self) -> None:
        with contextlib.suppress(RuntimeError):
            self._timer = asyncio.get_running_loop().call_later(_RETRY, self._flush)

    def _stop_waiting(self) -> None:
        if self._waiting_in is not None and self._socket is not None:
            self._waiting_in.remove_writer(self._socket)
        self._waiting_in = None

    def _close_socket(self) -> None:
        self._stop_waiting()
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def close(self) -> None:
        """What waits has half a second; what is left then is counted as dropped."""
        if self._timer is not None:
            self._timer.cancel()
        if self._resolving is not None:
            self._resolving.cancel()
            self._resolving = None
        self._stop_waiting()
        deadline = self._clock.now() + _LAST
        while self._waiting and not self._named and (left := deadline - self._clock.now()) > 0:
            self._flush()
            if self._timer is not None:  # nobody listens
                self._timer.cancel()
                break
            self._stop_waiting()
            if self._waiting and self._socket is not None:
                select.select((), (self._socket,), (), left)
        if self._waiting:
            self._on_drop(self._size, f"{self._target} did not take it before the end")
        self._waiting.clear()
        self._close_socket()


def _is_number(host: str) -> bool:
    with contextlib.suppress(ValueError):
        ipaddress.ip_address(host)
        return True
    return False
