"""Who has which role at the control socket; run/api/calls.py names the role of each call."""

import grp
import os
import pwd
import re
import socket
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from chapiteau.core.errors import UsageError

if TYPE_CHECKING:
    from chapiteau.run.config.spec import Project

__all__ = [
    "ROLES",
    "Access",
    "Caller",
    "Role",
    "access_of",
    "peer_of",
    "principal_problem",
]

Role = Literal["viewer", "operator", "admin"]
ROLES: Final[tuple[Role, ...]] = ("viewer", "operator", "admin")

_WHO: Final = re.compile(r"(?:user|group):[A-Za-z_][\w.-]*\$?|(?:uid|gid):\d+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who is at the other end of a connection, as the kernel says."""

    uid: int
    gids: frozenset[int] = frozenset()
    pid: int = 0

    def __str__(self) -> str:
        return f"uid {self.uid}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Which uids and gids have which role; root and the supervisor's own user may do all."""

    own_uid: int
    uids: dict[int, Role] = field(default_factory=dict)
    gids: dict[int, Role] = field(default_factory=dict)

    @property
    def has_others(self) -> bool:
        """Whether anybody besides root and the own user has a role."""
        return bool(self.uids or self.gids)

    def role(self, caller: Caller) -> Role | None:
        """The highest role of a caller; None for a stranger."""
        if caller.uid in {0, self.own_uid}:
            return "admin"
        found = [self.uids.get(caller.uid), *(self.gids.get(gid) for gid in caller.gids)]
        return _highest(role for role in found if role)

    def may(self, caller: Caller, least: Role) -> bool:
        """Whether the caller has this role or a higher one."""
        role = self.role(caller)
        return role is not None and ROLES.index(role) >= ROLES.index(least)


def _highest(roles: Iterable[Role]) -> Role | None:
    return max(roles, key=ROLES.index, default=None)


def principal_problem(text: str) -> str:
    """Why this can't name a person or group; empty when it can."""
    if _WHO.fullmatch(text):
        return ""
    return f"{text!r} names nobody; write user:NAME, group:NAME, uid:N or gid:N"


# Who is at the other end of a Unix socket, and who has which role: what the kernel says.

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


def access_of(project: "Project") -> Access:
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
