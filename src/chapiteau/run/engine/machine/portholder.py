"""Who holds a port: /proc/net names the socket, a scan of /proc/PID/fd the process."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

__all__ = ["holder_of"]

_TABLES: Final = ("tcp", "tcp6", "udp", "udp6")
_LISTEN: Final = "0A"  # include/net/tcp_states.h
_UDP_OPEN: Final = "07"


def holder_of(port: int, *, proc: Path = Path("/proc")) -> str:
    """ "pid 4711 (nginx)" for who listens on this port; several with commas; "" when unknown.

    A process of another user is seen as "a process of uid 33": its descriptors are hidden.
    """
    inodes = dict(_listening(port, proc))
    if not inodes:
        return ""
    found = sorted(_owners(set(inodes), proc))
    if found:
        return ", ".join(f"pid {pid} ({name})" for pid, name in found)
    uids = ", ".join(sorted(set(inodes.values())))
    return f"a process of uid {uids} (run as root to see which)"


def _listening(port: int, proc: Path) -> Iterator[tuple[str, str]]:
    """(inode, uid) of each listening socket on the port, IPv4 and IPv6."""
    for table in _TABLES:
        try:
            lines = (proc / "net" / table).read_text().splitlines()[1:]
        except OSError:
            continue
        state = _LISTEN if table.startswith("tcp") else _UDP_OPEN
        for line in lines:
            words = line.split()
            if (
                len(words) > 9
                and words[3] == state
                and int(words[1].rpartition(":")[2], 16) == port
            ):
                yield words[9], words[7]


def _owners(inodes: set[str], proc: Path) -> Iterator[tuple[int, str]]:
    wanted = {f"socket:[{inode}]" for inode in inodes}
    for folder in proc.iterdir():
        if folder.name.isdigit() and _has(folder, wanted):
            name = "?"
            with contextlib.suppress(OSError):
                name = (folder / "comm").read_text().strip()
            yield int(folder.name), name


def _has(folder: Path, wanted: set[str]) -> bool:
    try:
        names = os.listdir(f"{folder}/fd")  # noqa: PTH208 — thousands of them
    except OSError:  # ended in the meantime, or another user's
        return False
    for name in names:
        with contextlib.suppress(OSError):  # closed in the meantime
            if os.readlink(f"{folder}/fd/{name}") in wanted:  # noqa: PTH115
                return True
    return False
