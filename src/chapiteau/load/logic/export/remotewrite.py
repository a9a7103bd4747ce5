"""Prometheus remote write 1.0 (https://prometheus.io/docs/specs/prw/remote_write_spec/).

A WriteRequest is three nested messages of strings and numbers, so that it is written here in
Protocol Buffers' wire format (https://protobuf.dev/programming-guides/encoding/); and it is packed
as Snappy's block format allows it without compressing: a length, and literals (0046).
"""

import struct
from collections.abc import Sequence

from chapiteau.load.logic.export.metrics import Labels, Metric

__all__ = ["snappy", "write_request"]


def write_request(metrics: Sequence[Metric], common: Labels, milliseconds: int) -> bytes:
    """The message, unpacked: repeated TimeSeries timeseries = 1."""
    return b"".join(_field(1, _series(metric, common, milliseconds)) for metric in metrics)


def _series(metric: Metric, common: Labels, milliseconds: int) -> bytes:
    """repeated Label labels = 1, sorted by name; repeated Sample samples = 2."""
    labels = {**dict(common), **dict(metric.labels), "__name__": f"chapiteau_load_{metric.name}"}
    written = b"".join(
        _field(1, _field(1, name.encode()) + _field(2, value.encode("utf-8", "replace")))
        for name, value in sorted(labels.items())
    )
    # Sample: double value = 1 (fixed, 8 bytes), int64 timestamp = 2 (varint).
    sample = b"\x09" + struct.pack("<d", metric.value) + b"\x10" + _varint(milliseconds)
    return written + _field(2, sample)


def _field(number: int, value: bytes) -> bytes:
    """A field of the wire type 2: its length, then its bytes."""
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def snappy(data: bytes) -> bytes:
    """A Snappy block of literals (https://github.com/google/snappy, format_description.txt)."""
    out = bytearray(_varint(len(data)))
    for start in range(0, len(data), 1 << 16):
        part = data[start : start + (1 << 16)]
        if len(part) <= 60:
            out += bytes([(len(part) - 1) << 2]) + part
        else:
            # 61: the literal's length less one follows in two bytes.
            out += bytes([61 << 2]) + struct.pack("<H", len(part) - 1) + part
    return bytes(out)
