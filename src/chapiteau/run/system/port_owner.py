"""Who holds a port: /proc/net names the socket, a scan of /proc/PID/fd the process.

A listener at a path says who it is to everybody who connects.
"""

import contextlib
import functools
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from chapiteau.io.clock import SystemClock
from chapiteau.run.system.process_tree import with_descendants

__all__ = ["has_accepted", "path_owner", "port_owner", "port_owner_note", "socket_owners"]

_TABLES: Final = ("tcp", "tcp6", "udp", "udp6")
_LISTEN: Final = "0A"  # include/net/tcp_states.h
_UDP_OPEN: Final = "07"
_ESTABLISHED: Final = ("01", "08")  # … and closed by the other side
_UNIX_CONNECTED: Final = "03"  # SS_CONNECTED, include/uapi/linux/net.h
_KEPT: Final = 5.0  # seconds
_PEERCRED: Final = getattr(socket, "SO_PEERCRED", 17)


def port_owner(port: int, *, proc: Path = Path("/proc")) -> str:
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


@functools.lru_cache(maxsize=64)
def _held(port: int, _moment: int) -> str:
    return port_owner(port)


def port_owner_note(port: int) -> str:
    """ ", held by pid 4711 (nginx)", or "". The look is kept for a few seconds: many may ask."""
    holder = _held(port, int(SystemClock().now() / _KEPT))
    return f", held by {holder}" if holder else ""


def path_owner(path: Path) -> str:
    """ "pid 4711 (nginx)" for who listens on this Unix socket; "" when unknown."""
    try:
        with socket.socket(socket.AF_UNIX) as asking:
            asking.settimeout(1.0)
            asking.connect(str(path))
            size = struct.calcsize("3i")  # unix(7): SO_PEERCRED is pid, uid, gid of who listens
            pid = struct.unpack("3i", asking.getsockopt(socket.SOL_SOCKET, _PEERCRED, size))[0]
    except OSError:  # a datagram socket, or one that lets nobody in
        return ""
    return f"pid {pid} ({_name_of(Path(f'/proc/{pid}'))})"


def has_accepted(pid: int, address: str, *, proc: Path = Path("/proc")) -> bool:
    """Whether a process, or one that it started, has an accepted connection to this listener.

    What waits in the listener's queue has no inode yet.
    """
    found = _accepted_at(address, proc) if address.startswith("/") else _accepted_on(address, proc)
    wanted = {f"socket:[{inode}]" for inode in found if inode != "0"}
    return bool(wanted) and any(_has(proc / str(one), wanted) for one in with_descendants([pid]))


def _accepted_at(path: str, proc: Path) -> Iterator[str]:
    for line in (proc / "net/unix").read_text(errors="replace").splitlines()[1:]:
        words = line.split(None, 7)
        if len(words) == 8 and words[5] == _UNIX_CONNECTED and words[7] == path:
            yield words[6]


def _accepted_on(address: str, proc: Path) -> Iterator[str]:
    port = f"{int(address.rpartition(':')[2]):04X}"
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in (proc / "net" / table).read_text().splitlines()[1:]:
                words = line.split()
                if words[3] in _ESTABLISHED and words[1].endswith(f":{port}"):
                    yield words[9]


def socket_owners(
    inodes: set[int], *, proc: Path = Path("/proc")
) -> tuple[list[tuple[int, str]], int]:
    """(pid, name) of every process with one of these sockets, and of how many that is hidden."""
    wanted, found, hidden = {f"socket:[{inode}]" for inode in inodes}, [], 0
    for folder in proc.iterdir():
        if not folder.name.isdigit():
            continue
        if _has(folder, wanted):
            found.append((int(folder.name), _name_of(folder)))
        elif not os.access(folder / "fd", os.R_OK) and folder.exists():
            hidden += 1
    return sorted(found), hidden


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
            yield int(folder.name), _name_of(folder)


def _name_of(folder: Path) -> str:
    try:
        return (folder / "comm").read_text(errors="replace").strip()
    except OSError:
        return "?"


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
