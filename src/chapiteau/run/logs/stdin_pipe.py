"""The way into a process: its standard input, or the terminal that all its streams are."""

import asyncio
import contextlib
import fcntl
import os
import struct
import termios
from collections.abc import Callable
from typing import Final

from chapiteau.run.logs.capture import pipe_size

__all__ = ["StdinPipe", "Terminal"]

_MOST: Final = 1 << 18  # bytes that may wait for a process that does not read
_CHUNK: Final = 1 << 16
_END_OF_TRANSMISSION: Final = b"\x04"  # Ctrl-D


class StdinPipe:
    """`write` never blocks: what the process does not take yet waits here, within bounds."""

    def __init__(self, fd: int, on_end: Callable[[], None] = lambda: None) -> None:
        """`on_end`: whoever holds it too lets go of it."""
        self.fd = fd
        os.set_blocking(fd, False)
        self._waiting = bytearray()
        self._on_end = on_end
        self._ending = False

    def write(self, data: bytes) -> str:
        """Give it to the process; why not, else ""."""
        if self.fd < 0 or self._ending:
            return "its standard input is closed"
        if len(self._waiting) + len(data) > _MOST:
            return "it does not read its standard input"
        self._waiting += data
        self._flush()
        return ""

    def finish(self) -> None:
        """No more will come: the process reads an end of file, once it has read the rest."""
        self._ending = True
        self._flush()

    def _flush(self) -> None:
        while self._waiting:
            try:
                done = os.write(self.fd, self._waiting[:_CHUNK])
            except BlockingIOError:
                asyncio.get_running_loop().add_writer(self.fd, self._flush)
                return
            except OSError:  # nobody reads any more
                self._waiting.clear()
                break
            del self._waiting[:done]
        asyncio.get_running_loop().remove_writer(self.fd)
        if self._ending:
            self._say_end()

    def _say_end(self) -> None:
        self.close()
        self._on_end()

    def resize(self, rows: int, columns: int) -> None:
        """Only a terminal has a size."""

    def drain(self) -> None:
        """Only a terminal is also a way out."""

    def close(self) -> None:
        """Let go of it; what a keeper holds stays open."""
        if self.fd >= 0:
            asyncio.get_running_loop().remove_writer(self.fd)
            os.close(self.fd)
            self.fd = -1


class Terminal(StdinPipe):
    """Our side of a process's terminal: its output is pumped into `reader`, a pipe as any other."""

    def __init__(self, fd: int) -> None:
        super().__init__(fd)
        self.reader, self._pipe = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        asyncio.get_running_loop().add_reader(fd, self._pump)

    def _pump(self) -> bool:
        """Move what is there; the pipe is emptied in the same turn of the loop, or we wait."""
        try:
            room = fcntl.fcntl(self._pipe, fcntl.F_GETPIPE_SZ) - pipe_size(self.reader)
            data = os.read(self.fd, min(room, _CHUNK)) if room > 0 else b""
            return bool(data) and os.write(self._pipe, data) > 0
        except BlockingIOError:
            return False
        except OSError:  # EIO: everybody has closed the other side
            asyncio.get_running_loop().remove_reader(self.fd)
            return False

    def _say_end(self) -> None:
        self._ending = False
        with contextlib.suppress(OSError):
            os.write(self.fd, _END_OF_TRANSMISSION)

    def resize(self, rows: int, columns: int) -> None:
        """The program hears of it by SIGWINCH."""
        size = struct.pack("HHHH", rows, columns, 0, 0)
        with contextlib.suppress(OSError):
            fcntl.ioctl(self.fd, termios.TIOCSWINSZ, size)

    def drain(self) -> None:
        """The process has ended: take what its terminal still holds."""
        while self.fd >= 0 and self._pump():
            pass

    def close(self) -> None:
        """Let go of it; the reader is its reader's."""
        if self.fd >= 0:
            asyncio.get_running_loop().remove_reader(self.fd)
            os.close(self._pipe)
        super().close()
