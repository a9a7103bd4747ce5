"""Under which address this machine is known to others."""

import contextlib
import fcntl
import socket
import struct
from collections.abc import Iterator
from typing import Final

__all__ = ["own_address"]

_FAR: Final = ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"))  # nobody's
_SIOCGIFADDR: Final = 0x8915


def own_address() -> str:
    """The one from which it speaks to the world; without a way there, its first; "" for none."""
    for family, far in _FAR:
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((far, 9))  # sends nothing: the kernel only chooses a route
            return str(probe.getsockname()[0])
    return next(_addresses(), "")


def _addresses() -> Iterator[str]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            request = struct.pack("256s", name.encode()[:15])
            with contextlib.suppress(OSError):
                answer = fcntl.ioctl(probe.fileno(), _SIOCGIFADDR, request)
                address = socket.inet_ntoa(answer[20:24])
                if not address.startswith("127."):
                    yield address
