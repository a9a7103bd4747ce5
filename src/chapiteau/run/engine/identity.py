"""Who is at the other end of a Unix socket, and who has which role: what the kernel says."""

import grp
import os
import pwd
import socket
import struct
from typing import Final

from chapiteau.core.errors import UsageError
from chapiteau.run.config.access import ROLES, Access, Caller, Role
from chapiteau.run.config.spec import Project

__all__ = ["access_of", "peer_of"]

_UCRED: Final = struct.Struct("3i")
_SO_PEERGROUPS: Final = 59  # include/uapi/asm-generic/socket.h; all groups, not only the first
_GID: Final = struct.Struct("I")


def peer_of(sock: socket.socket) -> Caller:
    """uid, all gids and pid of the process that connected. Raises OSError.

    Where the kernel can't tell (no SO_PEERCRED), the caller counts as our own user: the
    socket's 0600 in a 0700 folder then is all that guards it.
    """
    if not hasattr(socket, "SO_PEERCRED"):
        return Caller(uid=os.getuid(), gids=frozenset(os.getgroups()))
    raw = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    pid, uid, gid = _UCRED.unpack(raw)
    return Caller(uid=uid, gids=frozenset({gid, *_groups(sock)}), pid=pid)


def _groups(sock: socket.socket) -> list[int]:
    try:
        raw = sock.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, 1024)
    except OSError:  # an old kernel, or more than 256 groups: the primary one still counts
        return []
    return [gid for (gid,) in _GID.iter_unpack(raw)]


def access_of(project: Project) -> Access:
    """The roles that [project] gives. Raises UsageError for a user or group that isn't there."""
    uids: dict[int, Role] = {}
    gids: dict[int, Role] = {}
    for role in ROLES:  # rising, so that the highest role of a name stays
        for entry in getattr(project, f"{role}s"):
            kind, _, name = entry.partition(":")
            (uids if kind in {"user", "uid"} else gids)[_number(kind, name, role)] = role
    return Access(own_uid=os.geteuid(), uids=uids, gids=gids)


def _number(kind: str, name: str, role: str) -> int:
    try:
        if kind == "user":
            return pwd.getpwnam(name).pw_uid
        if kind == "group":
            return grp.getgrnam(name).gr_gid
        return int(name)
    except KeyError:
        raise UsageError(
            f"project.{role}s: no {kind} {name!r} on this machine",
            hint=f"look with: getent {'passwd' if kind == 'user' else 'group'} {name}",
        ) from None
