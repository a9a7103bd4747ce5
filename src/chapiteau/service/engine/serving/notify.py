"""Words to the supervisor (sd_notify(3)): READY=1, WATCHDOG=1, STOPPING=1."""

import os
import socket
from collections.abc import MutableMapping

__all__ = ["Notifier"]


class Notifier:
    """Sends states to NOTIFY_SOCKET; without one it does nothing.

    `watchdog` is half of WATCHDOG_USEC in seconds (0: nobody watches).
    """

    def __init__(self, environ: MutableMapping[str, str] | None = None) -> None:
        env = os.environ if environ is None else environ
        self._address = env.pop("NOTIFY_SOCKET", "")
        usec, pid = env.pop("WATCHDOG_USEC", ""), env.pop("WATCHDOG_PID", "")
        mine = not pid or pid == str(os.getpid())
        self.watchdog = int(usec) / 2e6 if usec.isdigit() and mine else 0.0

    def send(self, *states: str) -> bool:
        """Whether the supervisor's socket took it; a supervisor that is gone is no error here."""
        if not self._address:
            return False
        address = self._address
        if address.startswith("@"):
            address = "\0" + address[1:]
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as pipe:
                pipe.setblocking(False)
                pipe.connect(address)
                pipe.send("\n".join(states).encode())
        except OSError:
            return False
        return True
