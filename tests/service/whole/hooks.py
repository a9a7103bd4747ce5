"""What schemathesis does not know by itself: two media types."""

from typing import Any

import cbor2
import msgspec
import schemathesis


@schemathesis.serializer("application/msgpack")
def pack_msgpack(_context: Any, value: Any) -> bytes:
    return msgspec.msgpack.encode(_fitting(value))


def _fitting(value: Any) -> Any:
    """MessagePack has integers of 64 bits; larger ones go as numbers."""
    if isinstance(value, list):
        return [_fitting(item) for item in value]
    if isinstance(value, dict):
        return {key: _fitting(item) for key, item in value.items()}
    if isinstance(value, int) and not -(1 << 63) <= value < 1 << 64:
        return float(value)
    return value


@schemathesis.serializer("application/cbor")
def pack_cbor(_context: Any, value: Any) -> bytes:
    return cbor2.dumps(value)


@schemathesis.deserializer("application/msgpack")
def read_msgpack(_context: Any, response: Any) -> Any:
    return msgspec.msgpack.decode(response.content)


@schemathesis.deserializer("application/cbor")
def read_cbor(_context: Any, response: Any) -> Any:
    return cbor2.loads(response.content)
