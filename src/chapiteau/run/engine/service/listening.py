"""The sockets of a changed configuration: bound anew, or taken over under another name."""

import contextlib
import socket
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from chapiteau.core.errors import ChapiteauError
from chapiteau.run.engine.machine.sockets import BindError, adjust, bind
from chapiteau.run.logic.plan import Plan
from chapiteau.run.logic.spec import Socket, Spec

__all__ = ["bind_fresh", "remove_paths"]

_ANYWHERE: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104 — compared, not bound


def bind_fresh(
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
                adjust(change.name, made[change.name], wanted, folder)
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
        return bind(name, wanted, folder)
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


def remove_paths(left: Iterable[str], bound: Iterable[socket.socket]) -> None:
    """Remove the files of sockets that are closed, unless another one has the place now."""
    used = {one.getsockname() for one in bound if one.family == socket.AF_UNIX}
    for name in left:
        path = Path(name)
        if name not in used and path.is_socket():
            with contextlib.suppress(OSError):
                path.unlink()
