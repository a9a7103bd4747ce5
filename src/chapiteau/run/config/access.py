"""Who may do what over the control socket: one table, and what is not in it is refused."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Literal

__all__ = ["ROLES", "VERBS", "Access", "Caller", "Role", "who_problem"]

Role = Literal["viewer", "operator", "admin"]
ROLES: Final[tuple[Role, ...]] = ("viewer", "operator", "admin")

# Every deed of the control API and the least role that may do it.
VERBS: Final[dict[str, Role]] = {
    "ping": "viewer",
    "status": "viewer",
    "events": "viewer",
    "logs": "viewer",
    "stats": "viewer",
    "metrics": "viewer",
    "plan": "viewer",
    "openapi": "viewer",
    "start": "operator",
    "stop": "operator",
    "restart": "operator",
    "reload": "operator",
    "scale": "operator",
    "signal": "operator",
    "reopen": "operator",
    "drain": "operator",
    "undrain": "operator",
    "input": "admin",  # whoever types into a program is that program
    "set": "admin",  # a command is a setting
    "config": "admin",  # commands and paths may tell more than a viewer should know
    "apply": "admin",
    "say": "admin",
    "upgrade": "admin",
    "shutdown": "admin",
}
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

    def may(self, caller: Caller, verb: str) -> bool:
        """Whether the caller may do this; a verb that is not in the table is for nobody."""
        role, least = self.role(caller), VERBS.get(verb)
        if role is None or least is None:
            return False
        return ROLES.index(role) >= ROLES.index(least)


def _highest(roles: Iterable[Role]) -> Role | None:
    return max(roles, key=ROLES.index, default=None)


def who_problem(text: str) -> str:
    """Why this can't name a person or group; empty when it can."""
    if _WHO.fullmatch(text):
        return ""
    return f"{text!r} names nobody; write user:NAME, group:NAME, uid:N or gid:N"
