"""waitress that loses no request when it is replaced: python -m chapiteau.run.launch.waitress APP.

waitress alone ends at SIGTERM where it stands, in the middle of answers too. This one stops to
accept first, so that its neighbours on the same socket do, and finishes what it has.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any, Final

import waitress
from waitress import runner

from chapiteau.io.clock import SystemClock
from chapiteau.io.sd_notify import sd_notify
from chapiteau.run.launch import held_socket

__all__ = ["main"]

_SETTLE: Final = 0.1  # seconds in which what was just accepted is read
_PATIENCE: Final = 1.0  # seconds for idle connections to send one more request


def _finish(server: Any) -> None:
    """Answer what was accepted, then end the process."""
    clock = SystemClock()
    sd_notify("STOPPING=1")
    server.accepting = False  # its neighbours accept from now on
    clock.sleep(_SETTLE)
    patient_until = clock.wall() + _PATIENCE
    while channels := list(server.active_channels.values()):
        for one in channels:
            busy = one.requests or one.request or one.total_outbufs_len
            if not busy and clock.wall() > min(one.last_activity + _SETTLE, patient_until):
                one.will_close = True
        server.pull_trigger()
        clock.sleep(0.01)
    os._exit(0)  # its loop has no other end


def _serve(app: Callable[..., Any], **settings: Any) -> None:
    handed = held_socket()
    if handed is not None:
        settings["sockets"] = [handed]
    server = waitress.create_server(app, **settings)
    signal.signal(
        signal.SIGTERM, lambda *_: threading.Thread(target=_finish, args=(server,)).start()
    )
    sd_notify("READY=1")
    server.run()


def main() -> int:
    """waitress's own command, with all its options. The status with which to end."""
    status: int = runner.run(["waitress-serve", *sys.argv[1:]], _serve)
    return status


if __name__ == "__main__":
    sys.exit(main())
