"""uvicorn that loses no request when it is replaced: python -m chapiteau.run.launch.uvicorn APP.

uvicorn alone closes, at SIGTERM, each connection on which it has read no request yet, also one that
it accepted a moment ago. This one stops to accept first, so that its neighbours on the same socket
do, and reads what has come.
"""

import asyncio
import importlib
import socket
import sys
from typing import Any, Final

import uvicorn

from chapiteau.io.sd_notify import sd_notify
from chapiteau.run.launch import held_socket

__all__ = ["PatientServer", "main"]

_PATIENCE: Final = 1.0  # seconds for the first request of an accepted connection
_STEP: Final = 0.05


class PatientServer(uvicorn.Server):
    """Says when it is ready, and reads what was sent to it before it ends."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn does."""
        await super().startup(sockets)
        if self.started:
            sd_notify("READY=1")

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn does, after a while in which the accepted connections are read."""
        sd_notify("STOPPING=1")
        for listener in self.servers:
            listener.close()
        for _ in range(round(_PATIENCE / _STEP)):
            await asyncio.sleep(_STEP)
            # A protocol has a cycle once it has read a request; a WebSocket has none, and is read.
            if all(getattr(one, "cycle", one) for one in self.server_state.connections):
                break
        await super().shutdown(sockets)


def main() -> None:
    """uvicorn's own command, with all its options."""
    handed = held_socket()
    if handed is not None:
        sys.argv[1:1] = ["--fd", str(handed.detach())]
    # It offers no other way; and `uvicorn.main` as an attribute is the command in that module.
    module: Any = importlib.import_module("uvicorn.main")
    module.Server = PatientServer
    module.main(prog_name="uvicorn")


if __name__ == "__main__":
    main()
