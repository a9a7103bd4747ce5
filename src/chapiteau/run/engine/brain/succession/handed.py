"""Sockets that a service manager has bound already (systemd's .socket units, sd_listen_fds(3))."""

import contextlib
import fcntl
import json
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from chapiteau.run.engine.machine.sockets import address_of
from chapiteau.run.logic.spec import Socket

__all__ = ["put_aside", "take_handed"]

_VARIABLE: Final = "CHAPITEAU_HANDED"
_FIRST: Final = 3  # SD_LISTEN_FDS_START
_ASIDE: Final = 300  # above all that a brain closes when it begins


def put_aside(pid: int) -> None:
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


def take_handed(wanted: Mapping[str, Socket], folder: Path) -> dict[str, socket.socket]:
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
    address, _ = address_of(given)
    for name, one in wanted.items():
        host = f"[{one.host}]" if ":" in one.host else one.host
        if address == (str((folder / one.path).absolute()) if one.path else f"{host}:{one.port}"):
            return name
    return ""
