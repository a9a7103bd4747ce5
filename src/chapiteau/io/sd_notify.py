"""Messages to the supervisor that started this process (sd_notify(3)): READY=1, STOPPING=1 …"""

import os
import socket
from collections.abc import MutableMapping

__all__ = ["Notifier", "sd_notify"]


def sd_notify(*states: str, address: str | None = None) -> bool:
    """Send states to `address`, by default NOTIFY_SOCKET: whether its owner took them.

    Without an address, and when the supervisor has gone, nothing happens. Never blocks.
    """
    target = os.environ.get("NOTIFY_SOCKET", "") if address is None else address
    if not target:
        return False
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            sender.connect("\0" + target[1:] if target.startswith("@") else target)
            sender.send("\n".join(states).encode())
    except OSError:
        return False
    return True


class Notifier:
    """Takes NOTIFY_SOCKET out of the environment, so that children do not inherit it.

    `watchdog` is half of WATCHDOG_USEC in seconds (0: no watchdog).
    """

    def __init__(self, environ: MutableMapping[str, str] | None = None) -> None:
        env = os.environ if environ is None else environ
        self._address = env.pop("NOTIFY_SOCKET", "")
        usec, pid = env.pop("WATCHDOG_USEC", ""), env.pop("WATCHDOG_PID", "")
        mine = not pid or pid == str(os.getpid())
        self.watchdog = int(usec) / 2e6 if usec.isdigit() and mine else 0.0

    @property
    def is_supervised(self) -> bool:
        """Whether there is a supervisor to notify."""
        return bool(self._address)

    def send(self, *states: str) -> bool:
        """Whether the supervisor took them."""
        return sd_notify(*states, address=self._address)
