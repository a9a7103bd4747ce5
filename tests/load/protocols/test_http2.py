"""HTTP/2 frames against a peer of our own making, and against any bytes."""

from __future__ import annotations

import contextlib
import struct

import hpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chapiteau.load.protocols.http2 import Http2Protocol
from chapiteau.load.protocols.http2_messages import (
    GoAway,
    Http2Error,
    StreamEnded,
    StreamResponse,
    encode_headers,
)

HEAD = b"GET /a?b=c HTTP/1.1\r\nhost: shop.test\r\naccept: */*\r\nconnection: close\r\n"


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    size = struct.pack("!I", len(payload))[1:]
    return size + bytes([kind, flags]) + struct.pack("!I", stream) + payload


def multiplex() -> Http2Protocol:
    made = Http2Protocol(hpack.Decoder().decode, hpack.HPACKError)
    made.out.clear()
    return made


def answer(encoder: hpack.Encoder, stream: int, body: bytes, status: str = "200") -> bytes:
    block = encoder.encode([(":status", status), ("x-n", str(stream))])
    return frame(1, 4, stream, block) + frame(0, 1, stream, body)


def frames_of(data: bytes) -> list[tuple[int, int, int, bytes]]:
    found, at = [], 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 3], "big")
        number = int.from_bytes(data[at + 5 : at + 9], "big")
        found.append((data[at + 3], data[at + 4], number, data[at + 9 : at + 9 + size]))
        at += 9 + size
    return found


def test_a_request_is_a_block_that_anyone_can_read() -> None:
    pairs = hpack.Decoder().decode(encode_headers(HEAD, "http"), raw=True)
    assert [tuple(pair) for pair in pairs] == [
        (b":method", b"GET"),
        (b":scheme", b"http"),
        (b":authority", b"shop.test"),
        (b":path", b"/a?b=c"),
        (b"accept", b"*/*"),
    ]
    long = b"GET / HTTP/1.1\r\nx: " + b"y" * 70_000 + b"\r\n"
    decoder = hpack.Decoder(max_header_list_size=1 << 20)
    assert decoder.decode(encode_headers(long, "http"), raw=True)[-1][1] == b"y" * 70_000


def test_the_connection_begins_as_it_must() -> None:
    out = b"".join(Http2Protocol(hpack.Decoder().decode, hpack.HPACKError).out)
    assert out.startswith(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    assert [kind for kind, *_ in frames_of(out[24:])] == [4, 8]


@given(st.lists(st.binary(max_size=50), min_size=1, max_size=6), st.integers(1, 60))
def test_answers_come_whole_however_the_bytes_are_cut(bodies: list[bytes], step: int) -> None:
    ours, encoder, wire = multiplex(), hpack.Encoder(), b""
    for body in bodies:
        wire += answer(encoder, ours.request(encode_headers(HEAD, "http"), b""), body)
    found: list[object] = []
    for at in range(0, len(wire), step):
        found += ours.feed(wire[at : at + step])
    assert [event.body for event in found if isinstance(event, StreamResponse)] == bodies
    assert all(
        isinstance(e, StreamResponse) and e.head == b"HTTP/2.0 200 \r\nx-n: %d\r\n" % e.stream
        for e in found
    )
    assert ours.active == 0


def test_interim_answers_pieces_padding_and_trailers() -> None:
    ours, encoder = multiplex(), hpack.Encoder()
    stream = ours.request(b"", b"")
    interim = encoder.encode([(":status", "103")])
    block = encoder.encode([(":status", "200"), ("a", "b" * 50)])
    trailer = encoder.encode([("x-sum", "1")])
    wire = frame(1, 4, stream, interim)
    wire += frame(1, 0x28, stream, b"\x02" + b"\0\0\0\0\x10" + block[:9] + b"..")
    wire += frame(9, 0, stream, block[9:20]) + frame(9, 4, stream, block[20:])
    wire += frame(0, 8, stream, b"\x01ok.") + frame(1, 5, stream, trailer)
    (event,) = ours.feed(wire)
    assert isinstance(event, StreamResponse)
    assert (event.status, event.body) == (200, b"ok")


def test_a_body_waits_for_the_window() -> None:
    ours = multiplex()
    ours.feed(frame(4, 0, 0, struct.pack("!HI", 4, 10)))
    ours.out.clear()
    stream = ours.request(b"h", b"x" * 100_000)
    sent = frames_of(b"".join(ours.out))
    assert [(f[0], len(f[3])) for f in sent] == [(1, 1), (0, 10)]
    ours.out.clear()
    ours.feed(frame(8, 0, stream, struct.pack("!I", 1 << 20)))
    sent = frames_of(b"".join(ours.out))
    assert sum(len(f[3]) for f in sent) == 65535 - 10  # now the connection's own
    ours.out.clear()
    ours.feed(frame(8, 0, 0, struct.pack("!I", 1 << 20)))
    sent = frames_of(b"".join(ours.out))
    assert sum(len(f[3]) for f in sent) == 100_000 - 65535
    assert sent[-1][1] == 1  # the stream's end


def test_what_comes_is_let_go_on() -> None:
    ours = multiplex()
    stream = ours.request(b"", b"")
    ours.feed(frame(1, 4, stream, hpack.Encoder().encode([(":status", "200")])))
    for _ in range(1100):
        ours.feed(frame(0, 0, stream, b"x" * 16384))
    grown = [f for f in frames_of(b"".join(ours.out)) if f[0] == 8]
    assert {f[2] for f in grown} == {0, stream}


def test_resets_pings_and_farewells() -> None:
    ours = multiplex()
    one, two = ours.request(b"", b""), ours.request(b"", b"")
    ours.out.clear()
    assert ours.feed(frame(6, 0, 0, b"12345678")) == []
    assert frames_of(ours.out[0]) == [(6, 1, 0, b"12345678")]
    (ended,) = ours.feed(frame(3, 0, one, struct.pack("!I", 7)))
    assert ended == StreamEnded(one, 7)
    assert isinstance(ended, StreamEnded)
    assert ended.error.kind == "http2 REFUSED_STREAM"
    assert ours.feed(frame(7, 0, 0, struct.pack("!II", one, 11))) == [GoAway(one, 11)]
    assert ours.going
    ours.cancel(two)
    assert frames_of(ours.out[-1])[0][0] == 3
    late = answer(hpack.Encoder(), two, b"late")
    assert ours.feed(late) == []


@pytest.mark.parametrize(
    "wire",
    [
        frame(0, 0, 1, b"x"),  # data before a head
        frame(0, 0, 0, b"x"),
        frame(0, 0, 99, b"x"),
        frame(1, 4, 2, b""),
        frame(1, 4, 1, b"\xff\xff\xff\xff\xff"),  # no HPACK
        frame(1, 4, 1, b""),  # no status
        frame(1, 0, 1, b"") + frame(6, 0, 0, b"12345678"),
        frame(9, 4, 1, b""),
        frame(1, 8, 1, b"\x09"),
        frame(5, 4, 1, b""),
        frame(3, 0, 1, b""),
        frame(6, 0, 0, b"1"),
        frame(7, 0, 0, b"1"),
        frame(8, 0, 0, struct.pack("!I", 0)),
        frame(8, 0, 0, struct.pack("!I", 0x7FFFFFFF)),
        frame(4, 0, 0, b"1"),
        frame(4, 0, 0, struct.pack("!HI", 4, 1 << 31)),
        frame(4, 0, 0, struct.pack("!HI", 5, 1)),
        b"\x00\x80\x00" + b"\0" * 6,
    ],
)
def test_what_breaks_the_protocol_is_told(wire: bytes) -> None:
    ours = multiplex()
    ours.request(b"", b"")
    with pytest.raises(Http2Error):
        ours.feed(wire)


kinds = st.tuples(st.integers(0, 10), st.integers(0, 63), st.integers(0, 5), st.binary(max_size=40))


@given(st.lists(kinds, max_size=8), st.binary(max_size=30))
def test_any_frames_give_events_or_a_protocol_error(
    parts: list[tuple[int, int, int, bytes]], rest: bytes
) -> None:
    ours = multiplex()
    ours.request(b"", b"body")
    with contextlib.suppress(Http2Error):
        for event in ours.feed(b"".join(frame(*part) for part in parts) + rest):
            assert isinstance(event, StreamResponse | StreamEnded | GoAway)


@pytest.mark.parametrize(
    ("fields", "body", "what"),
    [
        ([(":status", "200"), ("content-length", "9")], b"half", "4 bytes of a body of 9"),
        ([(":status", "200"), ("content-length", "2")], b"more", "4 bytes of a body of 2"),
        ([(":status", "200"), ("x", "a\r\nset-cookie: evil=1")], b"ok", "end of a line"),
        ([(":status", "103"), ("link", "</a>")], b"", "ended before its head"),
    ],
)
def test_an_answer_that_is_none_costs_its_stream_only(
    fields: list[tuple[str, str]], body: bytes, what: str
) -> None:
    ours, encoder = multiplex(), hpack.Encoder()
    bad, next_one = (ours.request(encode_headers(HEAD, "http"), b"") for _ in range(2))
    ours.out.clear()
    wire = frame(1, 4 if body else 5, bad, encoder.encode(fields))
    wire += frame(0, 1, bad, body) if body else b""
    found = ours.feed(wire + answer(encoder, next_one, b"fine"))
    ended = found[0]
    assert isinstance(ended, StreamEnded)
    assert (ended.stream, ended.error.kind) == (bad, "bad answer")
    assert what in ended.error.what
    assert [kind for kind, *_ in frames_of(b"".join(ours.out))] == [3]
    assert isinstance(found[-1], StreamResponse)
    assert (found[-1].stream, found[-1].body) == (next_one, b"fine")


def test_a_length_without_a_body_is_right_for_head_and_304() -> None:
    ours, encoder = multiplex(), hpack.Encoder()
    head = ours.request(encode_headers(HEAD, "http"), b"", bare=True)
    fresh = ours.request(encode_headers(HEAD, "http"), b"")
    wire = b""
    for stream, status in ((head, "200"), (fresh, "304")):
        fields = encoder.encode([(":status", status), ("content-length", "9")])
        wire += frame(1, 5, stream, fields)
    assert [type(event) for event in ours.feed(wire)] == [StreamResponse, StreamResponse]
