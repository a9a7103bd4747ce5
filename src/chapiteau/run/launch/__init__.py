"""Launchers of other servers on a held socket, so that a reload loses no request.

    command = "python -m chapiteau.run.launch.uvicorn shop:app"
    command = "python -m chapiteau.run.launch.waitress shop:app"

Each takes the options of the server's own command, listens on the first socket that the supervisor
hands over, says when it is ready (`ready.notify = true`), and at SIGTERM finishes what it accepted.
"""

import os
import socket
from typing import Final

__all__ = ["held_socket"]

_FIRST: Final = 3  # SD_LISTEN_FDS_START


def held_socket() -> socket.socket | None:
    """The first socket of LISTEN_FDS (sd_listen_fds(3)), or None. Children don't inherit it."""
    if os.environ.pop("LISTEN_FDS", "0") == "0":
        return None
    os.environ.pop("LISTEN_PID", None)
    os.environ.pop("LISTEN_FDNAMES", None)
    os.set_inheritable(_FIRST, False)
    return socket.socket(fileno=_FIRST)
