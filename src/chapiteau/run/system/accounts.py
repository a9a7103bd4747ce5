"""Users and groups as services name them: by name, or by number, which need not be listed."""

import grp
import os
import pwd

from chapiteau.run.config.spec import Service
from chapiteau.run.errors import SpawnError

__all__ = ["account_environment", "has_account", "supplementary_groups", "user_ids"]


def user_ids(name: str, service: Service) -> tuple[int | None, int | None]:
    """uid and gid that a service asks for; None where it stays as the supervisor.

    A number that no user has gets the group of the same number, unless `group` says another.
    Raises SpawnError when there is no such user or group, or when that needs root.
    """
    if not service.user and not service.group:
        return None, None
    uid, own_gid = _user(name, service.user)
    gid = _group(name, service.group)
    own = os.geteuid()
    if own != 0 and (uid not in (None, own) or gid is not None):
        raise SpawnError(
            f"{name}: only root may run it as {service.user or service.group}",
            hint="start the supervisor as root, or take `user` out",
        )
    if own != 0:
        return None, None  # it is our own user already
    return uid, own_gid if gid is None else gid


def _user(name: str, user: str) -> tuple[int | None, int | None]:
    if not user:
        return None, None
    if (entry := _entry(user)) is not None:
        return entry.pw_uid, entry.pw_gid
    if user.isdecimal():
        return int(user), int(user)
    raise SpawnError(f"{name}: there is no user {user!r}", hint=f"look with: getent passwd {user}")


def _group(name: str, group: str) -> int | None:
    if not group:
        return None
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        if group.isdecimal():
            return int(group)
        what = f"{name}: there is no group {group!r}"
        raise SpawnError(what, hint=f"look with: getent group {group}") from None


def _entry(user: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(user)
    except KeyError:
        pass
    try:
        return pwd.getpwuid(int(user)) if user.isdecimal() else None
    except (KeyError, OverflowError):
        return None


def supplementary_groups(uid: int | None, gid: int | None) -> list[int]:
    """All groups of a user; none of one that is not listed."""
    if uid is None or gid is None or not has_account(uid):
        return []
    return os.getgrouplist(pwd.getpwuid(uid).pw_name, gid)


def has_account(uid: int | None) -> bool:
    """Whether a user has an entry, which its groups are found by."""
    try:
        return uid is not None and pwd.getpwuid(uid).pw_uid == uid
    except KeyError:
        return False


def account_environment(service: Service) -> dict[str, str]:
    """HOME, USER and so on of the user that a service runs as."""
    if not service.user or (entry := _entry(service.user)) is None:
        return {}
    return {
        "HOME": entry.pw_dir,
        "USER": entry.pw_name,
        "LOGNAME": entry.pw_name,
        "SHELL": entry.pw_shell,
    }
