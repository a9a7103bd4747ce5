"""Listening sockets: bound here once, then held by the keeper."""

import asyncio
import contextlib
import errno
import os
import pwd
import select
import socket
import stat
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Final, Self

from chapiteau.core.errors import ChapiteauError
from chapiteau.run.config.spec import Socket

__all__ = [
    "ArrivalMonitor",
    "BindError",
    "accept_queue_length",
    "adjust_socket",
    "bind_socket",
    "connections_by_path",
    "connections_by_port",
    "connections_to",
    "socket_address",
    "socket_mode",
]

_TCP_INFO_UNACKED: Final = 24  # offset of tcpi_unacked: for a listener, the accept queue's length
# sock_diag(7), <linux/unix_diag.h>: ask for the one socket of an inode, and for its queue only.
_BY_FAMILY: Final = 20  # SOCK_DIAG_BY_FAMILY
_SHOW_RQLEN: Final = 0x10
_RQLEN: Final = 4
_ANY: Final = 0xFFFFFFFF
_HEAD: Final = struct.Struct("=IHHII")  # length, type, flags, sequence, pid
_ASK: Final = struct.Struct("=BBHIIIII")  # family, protocol, pad, states, inode, show, cookie
_BODY: Final = 16  # bytes of unix_diag_msg before its attributes


class BindError(ChapiteauError):
    """A socket can't be bound; `in_use` tells whether somebody else has the address."""

    def __init__(self, what: str, *, hint: str = "", in_use: bool = False) -> None:
        super().__init__(what, hint=hint)
        self.in_use = in_use


def bind_socket(name: str, wanted: Socket, folder: Path) -> socket.socket:
    """A bound (and listening) socket. Raises BindError."""
    try:
        made = _bind_unix(wanted, folder) if wanted.path else _bind_inet(wanted)
        made.setblocking(wanted.blocking)
        return made
    except OSError as exc:
        raise _explain(name, wanted, folder, exc) from exc


def _kind(wanted: Socket) -> socket.SocketKind:
    return socket.SOCK_DGRAM if wanted.type == "datagram" else socket.SOCK_STREAM


def _bind_inet(wanted: Socket) -> socket.socket:
    family = socket.AF_INET6 if ":" in wanted.host else socket.AF_INET
    made = socket.socket(family, _kind(wanted))
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if wanted.reuse_port:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if wanted.interface:
            made.setsockopt(
                socket.SOL_SOCKET, socket.SO_BINDTODEVICE, wanted.interface.encode() + b"\0"
            )
        if wanted.type == "stream" and wanted.nodelay:
            # Accepted sockets inherit it; programs that get a descriptor often forget it and
            # then wait 40 ms for a delayed ACK on small answers.
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        made.bind((wanted.host, wanted.port))
        if wanted.type == "stream":
            made.listen(wanted.backlog)
    except OSError:
        made.close()
        raise
    return made


def _bind_unix(wanted: Socket, folder: Path) -> socket.socket:
    path = folder / wanted.path
    before = os.umask(0o022)  # others must come through to the socket; its own rights guard it
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    finally:
        os.umask(before)
    _remove_stale(path, _kind(wanted))
    made = socket.socket(socket.AF_UNIX, _kind(wanted))
    os.umask(0o177)  # nobody may connect before mode and owner are set
    try:
        made.bind(str(path))
        _give_rights(path, wanted)
        if wanted.type == "stream":
            made.listen(wanted.backlog)
    except OSError:
        made.close()
        raise
    finally:
        os.umask(before)
    return made


def _give_rights(path: Path, wanted: Socket) -> None:
    owner = _owner(wanted.owner) if wanted.owner else (os.geteuid(), os.getegid())
    os.chown(path, *owner)
    path.chmod(int(wanted.mode or "0660", 8))


def adjust_socket(name: str, bound: socket.socket, wanted: Socket, folder: Path) -> None:
    """Give a bound socket what may change while it listens: rights, backlog, TCP_NODELAY.

    Raises BindError.
    """
    try:
        if wanted.path:
            _give_rights(folder / wanted.path, wanted)
        elif wanted.type == "stream":
            bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, wanted.nodelay)
        if wanted.type == "stream":
            bound.listen(wanted.backlog)
    except OSError as exc:
        what = f"socket {name}: its rights or its backlog can't be changed: {exc.strerror}"
        raise BindError(what, hint="see owner, mode and backlog") from exc


def _remove_stale(path: Path, kind: socket.SocketKind) -> None:
    """A socket file that nobody listens on is left over from a crash; a living one is kept."""
    if not path.is_socket():
        return
    with socket.socket(socket.AF_UNIX, kind) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            with contextlib.suppress(FileNotFoundError):
                path.unlink()


def _owner(text: str) -> tuple[int, int]:
    import grp

    user, _, group = text.partition(":")
    try:
        entry = pwd.getpwnam(user)
        return entry.pw_uid, grp.getgrnam(group).gr_gid if group else entry.pw_gid
    except KeyError:
        raise OSError(errno.EINVAL, f"no such user or group: {text}") from None


def _explain(name: str, wanted: Socket, folder: Path, exc: OSError) -> BindError:
    shown = str(folder / wanted.path) if wanted.path else f"{wanted.host}:{wanted.port}"
    what = f"socket {name}: cannot bind {shown}: {exc.strerror}"
    if exc.errno == errno.EADDRINUSE:
        from chapiteau.run.system.port_owner import path_owner, port_owner

        if wanted.path and not (folder / wanted.path).is_socket():
            hint = "move that file away, or choose another path"
            return BindError(f"{what} by a file that is no socket", hint=hint, in_use=True)
        holder = path_owner(folder / wanted.path) if wanted.path else port_owner(wanted.port)
        if holder:
            what += f", held by {holder}"
        other = "path" if wanted.path else "port"
        return BindError(what, hint=f"stop that program, or choose another {other}", in_use=True)
    if exc.errno in (errno.EACCES, errno.EPERM):
        hint = "ports below 1024 need root or CAP_NET_BIND_SERVICE" if wanted.port else ""
        return BindError(what, hint=hint)
    if exc.errno == errno.EADDRNOTAVAIL:
        return BindError(what, hint="no interface of this machine has that address (`ip addr`)")
    return BindError(what)


def socket_address(bound: socket.socket) -> tuple[str, int]:
    """("127.0.0.1:8000", 8000), ("[::1]:8000", 8000) or ("/path", 0)."""
    name = bound.getsockname()
    if isinstance(name, str | bytes):
        return (name if isinstance(name, str) else os.fsdecode(name)), 0
    host, port = name[0], name[1]
    return (f"[{host}]:{port}" if ":" in host else f"{host}:{port}"), port


def socket_mode(path: Path) -> str:
    """Mode and owner of a socket's file: "0660 www"; "" when it is gone."""
    try:
        found = path.stat()
    except OSError:
        return ""
    try:
        owner = pwd.getpwuid(found.st_uid).pw_name
    except KeyError:
        owner = str(found.st_uid)
    return f"{stat.S_IMODE(found.st_mode):04o} {owner}"


def connections_to(bound: socket.socket) -> int:
    """Connections to this socket's address that are open or wait; from /proc/net (proc(5))."""
    name = bound.getsockname()
    if isinstance(name, str | bytes):
        return connections_by_path().get(os.fsdecode(name), 0)
    return connections_by_port().get(name[1], 0)


class ArrivalMonitor:
    """Whether connections or datagrams came to these sockets, also such as were gone at once.

    The kernel wakes us at each arrival; whoever serves it is woken too, and may be faster now and
    then, so that one arrival alone can be missed.
    """

    def __init__(self, bound: Iterable[socket.socket]) -> None:
        self._some = False
        self._edges = select.epoll()
        for one in bound:
            self._edges.register(one, select.EPOLLIN | select.EPOLLET)

    def __enter__(self) -> Self:
        asyncio.get_running_loop().add_reader(self._edges, self._woken)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.get_running_loop().remove_reader(self._edges)
        self._edges.close()

    def _woken(self) -> None:
        self._some = True
        self._edges.poll(0)

    def some(self) -> bool:
        """Since the last time that this was asked."""
        found, self._some = self._some, False
        return found


def connections_by_path() -> dict[str, int]:
    """Accepted connections to Unix sockets by their path (proc(5), /proc/net/unix)."""
    counts: dict[str, int] = {}
    with contextlib.suppress(OSError):
        for row in Path("/proc/net/unix").read_text(errors="surrogateescape").splitlines()[1:]:
            words = row.split(None, 7)
            # 03: connected; with a path it is the end of who listens, the caller's has none
            if len(words) > 7 and words[5] == "03":
                counts[words[7]] = counts.get(words[7], 0) + 1
    return counts


def connections_by_port() -> dict[int, int]:
    """Established TCP connections by local port, of this network namespace (proc_net_tcp(5))."""
    counts: dict[int, int] = {}
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            for row in Path(table).read_text().splitlines()[1:]:
                words = row.split(None, 4)
                if words[3] == "01":
                    port = int(words[1].rpartition(":")[2], 16)
                    counts[port] = counts.get(port, 0) + 1
    return counts


def accept_queue_length(bound: socket.socket) -> int:
    """How many connections wait to be accepted; 0 where there is no queue, or none can be seen."""
    if bound.family == socket.AF_UNIX:
        return _unix_queue(bound) if bound.type == socket.SOCK_STREAM else 0
    try:
        info = bound.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
    except OSError:
        return 0
    return int.from_bytes(info[_TCP_INFO_UNACKED : _TCP_INFO_UNACKED + 4], "little")


def _unix_queue(bound: socket.socket) -> int:
    inode = os.fstat(bound.fileno()).st_ino
    body = _ASK.pack(socket.AF_UNIX, 0, 0, _ANY, inode, _SHOW_RQLEN, _ANY, _ANY)
    # Elsewhere than on Linux, and in a kernel without unix_diag, nobody tells.
    with contextlib.suppress(OSError, struct.error, AttributeError):
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 4) as asking:  # NETLINK_SOCK_DIAG
            asking.setblocking(False)  # the kernel answers before `send` returns
            asking.send(_HEAD.pack(_HEAD.size + len(body), _BY_FAMILY, 1, 1, 0) + body)
            said = asking.recv(4096)
        if _HEAD.unpack_from(said)[1] == _BY_FAMILY:
            return _attribute(said[_HEAD.size + _BODY :])
    return 0


def _attribute(said: bytes) -> int:
    """The first number of the queue's attribute."""
    while len(said) >= 8:
        length, kind, value = struct.unpack_from("=HHI", said)
        if kind == _RQLEN:
            return int(value)
        said = said[max(4, (length + 3) & ~3) :]
    return 0
