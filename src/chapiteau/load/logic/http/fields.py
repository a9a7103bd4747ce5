"""Requests' heads as HTTP/2 has them (RFC 9113 §8.3), in HPACK without a table (RFC 7541)."""

from typing import Final

__all__ = ["block_of"]

# Fields that belong to a connection have no place here (§8.2.2).
_DROPPED: Final = frozenset(
    {b"host", b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"}
)


def block_of(head: bytes, scheme: str) -> bytes:
    """The header block of a request whose head is written as in HTTP/1.1."""
    lines = head.split(b"\r\n")
    method, target, _ = lines[0].split(b" ", 2)
    pairs = []
    authority = b""
    for line in lines[1:]:
        name, colon, value = line.partition(b":")
        name, value = name.strip().lower(), value.strip()
        if name == b"host":
            authority = value
        if colon and name not in _DROPPED:
            pairs.append((name, value))
    first = [
        (b":method", method),
        (b":scheme", scheme.encode()),
        (b":authority", authority),
        (b":path", target),
    ]
    return b"".join(
        b"\x00" + _text(name) + _text(value) for name, value in [*first, *pairs]
    )  # literal fields without indexing, RFC 7541 §6.2.2


def _text(value: bytes) -> bytes:
    """A string without Huffman coding (RFC 7541 §5.2)."""
    size = len(value)
    if size < 127:
        return bytes([size]) + value
    made, size = bytearray([127]), size - 127
    while size >= 128:
        made.append(size % 128 + 128)
        size //= 128
    made.append(size)
    return bytes(made) + value
