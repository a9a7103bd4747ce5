"""Frames out and in; what must not be is refused with its close code."""

from __future__ import annotations

import contextlib
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chapiteau.load.protocols.websocket_frames import (
    BINARY,
    CLOSE,
    PING,
    TEXT,
    Deflate,
    Frames,
    Message,
    ProtocolError,
    accept_key,
    close_payload,
    encode_frame,
    parse_deflate,
)


def served(kind: int, data: bytes, *, last: bool = True, packed: bool = False) -> bytes:
    """A frame as servers send it: without a mask."""
    first = (0x80 if last else 0) | (0x40 if packed else 0) | kind
    if len(data) < 126:
        return bytes([first, len(data)]) + data
    if len(data) < 1 << 16:
        return struct.pack("!BBH", first, 126, len(data)) + data
    return struct.pack("!BBQ", first, 127, len(data)) + data


def unmasked(data: bytes) -> bytes:
    """What a server sees of a client's frame, for a small one."""
    size = data[1] & 0x7F
    mask, body = data[2:6], data[6:]
    assert data[1] & 0x80
    assert len(body) == size
    return bytes(byte ^ mask[i % 4] for i, byte in enumerate(body))


def test_the_handshake_of_the_rfc() -> None:
    assert accept_key("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


@given(st.binary(max_size=120), st.binary(min_size=4, max_size=4))
def test_what_goes_out_is_masked(data: bytes, mask: bytes) -> None:
    made = encode_frame(BINARY, data, mask)
    assert made[0] == 0x80 | BINARY
    assert unmasked(made) == data


@pytest.mark.parametrize("size", [125, 126, 65535, 65536])
def test_lengths_have_three_forms(size: int) -> None:
    head = encode_frame(BINARY, b"x" * size, b"\0\0\0\0")[:-size]
    assert len(head) == 6 + (0 if size < 126 else 2 if size < 1 << 16 else 8)
    assert Frames().feed(served(BINARY, b"x" * size)) == [Message(BINARY, b"x" * size)]


@given(st.lists(st.binary(max_size=300), max_size=6), st.integers(1, 40))
def test_messages_come_whole_however_the_bytes_are_cut(parts: list[bytes], step: int) -> None:
    wire = b"".join(
        served(BINARY if i == 0 else 0, part, last=i == len(parts) - 1) + served(PING, b"between")
        for i, part in enumerate(parts)
    )
    frames, found = Frames(), []
    for at in range(0, len(wire), step):
        found += frames.feed(wire[at : at + step])
    whole = [m.data for m in found if m.kind == BINARY]
    assert whole == ([b"".join(parts)] if parts else [])
    assert sum(m.kind == PING for m in found) == len(parts)


@pytest.mark.parametrize(
    ("wire", "code"),
    [
        (b"\x81\x80", 1002),  # masked
        (b"\x83\x00", 1002),  # a kind that does not exist
        (b"\xa1\x00", 1002),  # a reserved bit
        (served(TEXT, b"x", packed=True), 1002),  # compression that was not agreed
        (served(0, b"x"), 1002),  # goes on with nothing
        (served(TEXT, b"x", last=False) + served(TEXT, b"y"), 1002),
        (served(PING, b"x" * 126), 1002),
        (served(PING, b"x", last=False), 1002),
        (served(CLOSE, b"\x03"), 1002),
        (served(CLOSE, struct.pack("!H", 1005)), 1002),
        (served(CLOSE, struct.pack("!H", 1000) + b"\xff"), 1007),
        (served(TEXT, b"\xff"), 1007),
        (struct.pack("!BBQ", 0x82, 127, 1 << 40), 1009),
    ],
)
def test_what_breaks_the_protocol_has_a_close_code(wire: bytes, code: int) -> None:
    with pytest.raises(ProtocolError) as caught:
        Frames().feed(wire)
    assert caught.value.code == code


@pytest.mark.parametrize("field", ["", "permessage-deflate; server_no_context_takeover"])
def test_compression_is_what_was_agreed(field: str) -> None:
    ours = parse_deflate(field)
    assert (ours is None) == (not field)
    theirs = Deflate(alone_in=False, alone_out=True, bits=15)
    if ours is not None:
        for text in (b"again and again", b"again and again", b""):
            packed = served(TEXT, theirs.pack(text), packed=True)
            assert Frames(ours).feed(packed) == [Message(TEXT, text)]
            assert theirs.unpack(ours.pack(text)) == text


@pytest.mark.parametrize(
    "field", ["x-webkit-deflate", "permessage-deflate; client_max_window_bits=7"]
)
def test_terms_that_nobody_offered_are_refused(field: str) -> None:
    with pytest.raises(ProtocolError):
        parse_deflate(field)


def test_a_bomb_is_refused() -> None:
    pack = zlib.compressobj(wbits=-15)
    bomb = pack.compress(b"\0" * (65 << 20)) + pack.flush(zlib.Z_SYNC_FLUSH)
    ours = parse_deflate("permessage-deflate")
    with pytest.raises(ProtocolError) as caught:
        Frames(ours).feed(served(BINARY, bomb[:-4], packed=True))
    assert caught.value.code == 1009


@given(st.binary(max_size=200))
def test_any_bytes_give_messages_or_a_protocol_error(data: bytes) -> None:
    with contextlib.suppress(ProtocolError):
        for message in Frames(parse_deflate("permessage-deflate")).feed(data):
            assert len(message.data) <= 64 << 20


def test_a_close_has_code_and_reason() -> None:
    assert close_payload(1000, "bye") == b"\x03\xe8bye"
    assert Frames().feed(served(CLOSE, close_payload(1000, "bye")))[0].data == b"\x03\xe8bye"
