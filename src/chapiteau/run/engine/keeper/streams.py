"""Standard input that is more than nothing: a pipe that somebody may write to, or a terminal."""

import fcntl
import os
import struct
import termios
from typing import Any, Final

from .calls import high

__all__ = ["open_input", "open_terminal", "words_on"]

TIOCSPTLCK: Final = 0x40045431  # unlocks the slave's side (ioctl_tty(2))
TIOCGPTN: Final = 0x80045430  # its number
ROWS_COLUMNS: Final = (24, 80)
# The shell leads a session that has no terminal, so the first one that it opens becomes it.
ON_TERMINAL: Final = 'exec "$@" <>"$0" >&0 2>&1'


def open_input() -> tuple[int, int]:
    """(our end, the process's end). Ours does not block, the other does."""
    reader, writer = os.pipe2(os.O_CLOEXEC)
    try:
        os.set_blocking(writer, False)
        return high(writer), high(reader)
    finally:
        os.close(reader)
        os.close(writer)


def open_terminal(owner: tuple[int, int] | None) -> tuple[int, str]:
    """(our end, path of the other). It belongs to the process's user. Raises OSError.

    We never open the other end: from the first close on, reading ours would say "hung up".
    """
    plain = os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        fcntl.ioctl(plain, TIOCSPTLCK, struct.pack("i", 0))
        number = struct.unpack("i", fcntl.ioctl(plain, TIOCGPTN, struct.pack("i", 0)))[0]
        fcntl.ioctl(plain, termios.TIOCSWINSZ, struct.pack("HHHH", *ROWS_COLUMNS, 0, 0))
        path = f"/dev/pts/{number}"
        if owner is not None:
            os.chown(path, *owner)
        os.set_blocking(plain, False)
        return high(plain), path
    finally:
        os.close(plain)


def words_on(path: str, argv: list[Any]) -> list[Any]:
    """The words that start a program with this terminal as its own."""
    return ["/bin/sh", "-c", ON_TERMINAL, path, *argv]
