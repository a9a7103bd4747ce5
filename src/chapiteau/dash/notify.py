"""Telling whoever started us that we are ready: sd_notify's datagram."""

import contextlib
import os
import socket

__all__ = ["notify"]


def notify(message: str) -> None:
    """Send `READY=1` and its like to NOTIFY_SOCKET, when there is one."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
        out.sendto(message.encode(), address)
