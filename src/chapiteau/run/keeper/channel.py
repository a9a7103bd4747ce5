"""The keeper's end of the channel to its brain: JSON messages with descriptors beside them."""

import contextlib
import json
import select
import socket
from typing import Any, Final

from .syscalls import receive, receive_buffer

__all__ = ["MAX_MESSAGE", "Channel"]

Message = dict[str, Any]
Queued = tuple[bytes, tuple[int, ...]]
MAX_MESSAGE: Final = 1 << 18  # bytes


class Channel:
    """Never blocks and never raises: what the brain does not take waits, an error is its end."""

    def __init__(self, poll: select.poll) -> None:
        self._poll = poll
        self._socket: socket.socket | None = None
        self._buffer = receive_buffer(MAX_MESSAGE)
        self._waits_to_write = False
        self.queued: list[Queued] = []

    def open(self, brain: socket.socket, queued: list[Queued] | None = None) -> None:
        """Speak to this brain; `queued` is what another keeper could not send it."""
        brain.setblocking(False)
        self._socket, self.queued = brain, queued or []
        self._waits_to_write = bool(queued)
        self._poll.register(brain, select.POLLIN | (select.POLLOUT if queued else 0))

    def close(self) -> None:
        """Forget this brain."""
        if self._socket is not None:
            with contextlib.suppress(KeyError, OSError, ValueError):
                self._poll.unregister(self._socket)
            self._socket.close()
            self._socket = None

    def fileno(self) -> int:
        """Its descriptor; -1 when there is no brain."""
        return self._socket.fileno() if self._socket is not None else -1

    def send(self, message: Message, fds: tuple[int, ...] = ()) -> None:
        """Send it now, or as soon as the brain takes it."""
        if self._socket is not None:
            self.queued.append((json.dumps(message).encode(), fds))
            if len(self.queued) == 1:
                self.flush()

    def flush(self) -> None:
        """Send what is queued."""
        while self.queued and self._socket is not None:
            data, fds = self.queued[0]
            try:
                socket.send_fds(self._socket, [data], list(fds))
            except (BlockingIOError, InterruptedError):
                self._waits_to_write = True
                self._poll.modify(self._socket, select.POLLIN | select.POLLOUT)
                return
            except OSError:
                pass  # the brain has gone (its exit will tell), or a descriptor has
            del self.queued[0]
        if self._waits_to_write and self._socket is not None:
            self._waits_to_write = False
            self._poll.modify(self._socket, select.POLLIN)

    def receive(self) -> tuple[bytes, list[int]] | None:
        """A message and its descriptors; empty bytes are none to be had of; None: nothing now."""
        if self._socket is None:
            return None
        try:
            data, fds = receive(self._socket, self._buffer)
        except (BlockingIOError, InterruptedError):
            return None
        except ConnectionResetError:  # it died before it read all of ours; what it said is there
            return b"{}", []
        except OSError:
            data, fds = b"", []
        if not data:
            self.close()
            return None
        return data, fds
