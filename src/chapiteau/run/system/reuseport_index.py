"""To which of the sockets that share a port (SO_REUSEPORT) the kernel deals new connections.

By itself it deals to all that listen. A program for its old packet filter chooses otherwise
(socket(7), SO_ATTACH_REUSEPORT_CBPF): it answers with the place of a socket in the order in which
they began to listen. When one of them closes, the last one takes its place. A place that is not
there is no error: the kernel then chooses as ever. None of this needs privileges.
"""

import contextlib
import socket
import struct
from collections.abc import Sequence
from typing import Final

__all__ = ["order_without", "select_sockets"]

_ATTACH, _DETACH = 51, 68  # SO_ATTACH_REUSEPORT_CBPF, SO_DETACH_REUSEPORT_BPF
_RANDOM: Final = 0xFFFFF038  # SKF_AD_OFF + SKF_AD_RANDOM: where the filter finds chance
_LOAD, _MODULO, _IS, _RETURN = 0x20, 0x94, 0x15, 0x06  # <linux/bpf_common.h>


def select_sockets(one: socket.socket, places: Sequence[int]) -> None:
    """Deal to these places alone, each as often; to all when there are none.

    `one` is any socket of the port. A kernel that can't goes on as it was.
    """
    with contextlib.suppress(OSError):
        if not places:
            one.setsockopt(socket.SOL_SOCKET, _DETACH, 0)
            return
        code = [(_LOAD, 0, 0, _RANDOM), (_MODULO, 0, 0, len(places))]
        for index, place in enumerate(places):
            code += [(_IS, 0, 1, index), (_RETURN, 0, 0, place)]
        code.append((_RETURN, 0, 0, places[0]))
        import ctypes

        words = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *word) for word in code))
        program = struct.pack("HL", len(code), ctypes.addressof(words))
        one.setsockopt(socket.SOL_SOCKET, _ATTACH, program)


def order_without(order: Sequence[int], gone: int) -> list[int]:
    """The order after this one has closed."""
    rest = [number for number in order if number != gone]
    if gone in order[:-1]:
        rest.insert(order.index(gone), rest.pop())
    return rest
