"""The sockets of a changed configuration: bound anew, or taken over under another name."""

import contextlib
import fcntl
import json
import os
import socket
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from chapiteau.core.errors import ChapiteauError
from chapiteau.run.config.plan import Plan
from chapiteau.run.config.spec import Socket, Spec
from chapiteau.run.system.sockets import BindError, adjust_socket, bind_socket, socket_address

__all__ = ["bind_changed", "inherited_sockets", "set_aside_inherited", "unlink_sockets"]

_ANYWHERE: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104 — compared, not bound


def bind_changed(
    plan: Plan, old: Spec, new: Spec, held: Mapping[str, socket.socket], folder: Path
) -> dict[str, socket.socket]:
    """Every socket of the plan that must be bound, all or none. Raises BindError.

    One whose address another leaves at the same time takes over that one's descriptor: who waits
    to be accepted waits on. `held` are the bound sockets by name.
    """
    leaving = {
        change.name: _as_bound(old.socket[change.name], held[change.name])
        for change in plan.of("socket")
        if change.effect in ("close", "replace") and change.name in held
    }
    made: dict[str, socket.socket] = {}
    try:
        for change in plan.of("socket"):
            if change.effect not in ("bind", "replace"):
                continue
            wanted = new.socket[change.name]
            before = next((n for n, one in leaving.items() if _same_address(one, wanted)), None)
            if before is None:
                made[change.name] = _bind(change.name, wanted, folder, leaving)
            else:
                made[change.name] = held[before].dup()
                adjust_socket(change.name, made[change.name], wanted, folder)
    except ChapiteauError:
        for bound in made.values():
            bound.close()
        raise
    return made


def _as_bound(spec: Socket, bound: socket.socket) -> Socket:
    """With the port that it was given, where any would do."""
    return spec if spec.path or spec.port else replace(spec, port=bound.getsockname()[1])


def _same_address(one: Socket, two: Socket) -> bool:
    """Whether one descriptor can be the other: processes may share it while both are there."""
    if one.reuse_port or two.reuse_port or not (one.path or one.port):
        return False
    keys = ("host", "port", "path", "type", "interface", "blocking")
    return all(getattr(one, key) == getattr(two, key) for key in keys)


def _bind(name: str, wanted: Socket, folder: Path, leaving: Mapping[str, Socket]) -> socket.socket:
    try:
        return bind_socket(name, wanted, folder)
    except BindError as exc:
        ours = next((n for n, one in leaving.items() if exc.in_use and _meet(one, wanted)), None)
        if ours is None:
            raise
        what = f"{exc.what.partition(', held by')[0]} by the socket {ours!r} as it is now"
        hint = "`chapiteau down`, then `chapiteau up`: one can't be bound beside the other"
        raise BindError(what, hint=hint, in_use=True) from exc


def _meet(one: Socket, two: Socket) -> bool:
    if one.path or two.path:
        return one.path == two.path
    return one.port == two.port and (one.host == two.host or bool(_ANYWHERE & {one.host, two.host}))


def unlink_sockets(left: Iterable[str], bound: Iterable[socket.socket]) -> None:
    """Remove the files of sockets that are closed, unless another one has the place now."""
    used = {one.getsockname() for one in bound if one.family == socket.AF_UNIX}
    for name in left:
        path = Path(name)
        if name not in used and path.is_socket():
            with contextlib.suppress(OSError):
                path.unlink()


# Sockets that a service manager has bound already (systemd's .socket units, sd_listen_fds(3)).

_VARIABLE: Final = "CHAPITEAU_HANDED"
_FIRST: Final = 3  # SD_LISTEN_FDS_START
_ASIDE: Final = 300  # above all that a brain closes when it begins


def set_aside_inherited(pid: int) -> None:
    """Move what was handed to process `pid`, whose fork we are, to where it is out of the way."""
    if os.environ.pop("LISTEN_PID", "") != str(pid):
        return
    count, names = os.environ.pop("LISTEN_FDS", ""), os.environ.pop("LISTEN_FDNAMES", "").split(":")
    found = []
    for index in range(int(count) if count.isdigit() else 0):
        with contextlib.suppress(OSError):
            aside = fcntl.fcntl(_FIRST + index, fcntl.F_DUPFD_CLOEXEC, _ASIDE)
            found.append([names[index] if index < len(names) else "", aside])
    os.environ[_VARIABLE] = json.dumps(found)


def inherited_sockets(wanted: Mapping[str, Socket], folder: Path) -> dict[str, socket.socket]:
    """Those that are [socket.NAME] here, by FileDescriptorName= or by address; others are closed.

    Called once: what is taken belongs to the caller.
    """
    taken: dict[str, socket.socket] = {}
    for name, fd in json.loads(os.environ.pop(_VARIABLE, "[]")):
        given = socket.socket(fileno=fd)
        at = name if name in wanted else _named_by_address(given, wanted, folder)
        if at and at not in taken:
            taken[at] = given
        else:
            given.close()
    return taken


def _named_by_address(given: socket.socket, wanted: Mapping[str, Socket], folder: Path) -> str:
    address, _ = socket_address(given)
    for name, one in wanted.items():
        host = f"[{one.host}]" if ":" in one.host else one.host
        if address == (str((folder / one.path).absolute()) if one.path else f"{host}:{one.port}"):
            return name
    return ""
