"""Requests out of bytes: what is read, and what is refused because two servers could differ."""

from __future__ import annotations

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chapiteau.service.server.connection import Connection
from chapiteau.service.server.http1 import (
    ChunkedDecoder,
    HeadParser,
    Limits,
    RefusedRequestError,
    RequestHead,
)


def parse(data: bytes, limits: Limits | None = None) -> RequestHead:
    parser = HeadParser(limits)
    end = parser.end_of(data)
    assert end, "the head is not whole"
    return parser.parse(data[:end])


def head(*lines: str) -> bytes:
    return ("\r\n".join(("GET / HTTP/1.1", "Host: a", *lines)) + "\r\n\r\n").encode("latin-1")


def test_a_plain_request() -> None:
    found = parse(
        b"GET /a?b=c HTTP/1.1\r\nHost: x\r\nX-One:  1 \r\nCookie: a=1\r\nCookie: b=2\r\n\r\n"
    )
    assert (found.method, found.target, found.version, found.keep) == ("GET", "/a?b=c", 11, True)
    assert found.fields.environ == {"HTTP_HOST": "x", "HTTP_X_ONE": "1", "HTTP_COOKIE": "a=1; b=2"}
    assert not found.fields.has_body


@pytest.mark.parametrize(
    ("data", "keep"),
    [
        pytest.param(
            b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", False, id="1.1 close"
        ),
        pytest.param(b"GET / HTTP/1.0\r\n\r\n", False, id="1.0"),
        pytest.param(b"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", True, id="1.0 keep"),
        pytest.param(
            b"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, close\r\n\r\n", False, id="both"
        ),
    ],
)
def test_when_a_connection_stays_open(data: bytes, keep: bool) -> None:
    assert parse(data).keep is keep


@pytest.mark.parametrize(
    ("data", "status"),
    [
        pytest.param(head("Content-Length: 5", "Transfer-Encoding: chunked"), 400, id="CL and TE"),
        pytest.param(head("Content-Length: 5", "Content-Length: 6"), 400, id="two lengths"),
        pytest.param(head("Content-Length: 5", "Content-Length: 5"), 400, id="two equal lengths"),
        pytest.param(head("Content-Length: +5"), 400, id="signed length"),
        pytest.param(head("Content-Length: 5, 5"), 400, id="list of lengths"),
        pytest.param(head("Content-Length: 0x5"), 400, id="hex length"),
        pytest.param(head("Content-Length: "), 400, id="empty length"),
        pytest.param(head("Content-Length: 99999999999999999999"), 413, id="huge length"),
        pytest.param(head("Transfer-Encoding: gzip, chunked"), 501, id="other coding"),
        pytest.param(head("Transfer-Encoding: xchunked"), 400, id="almost chunked"),
        pytest.param(head("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"), 400, id="TE twice"),  # noqa: E501
        pytest.param(head("Transfer-Encoding : chunked"), 400, id="space before the colon"),
        pytest.param(head(" folded: line"), 400, id="folded line"),
        pytest.param(head("X: a\nY: b"), 400, id="bare LF"),
        pytest.param(head("X: a\rY: b"), 400, id="bare CR"),
        pytest.param(head("X: a\0b"), 400, id="NUL"),
        pytest.param(head("no colon"), 400, id="no colon"),
        pytest.param(head("Host: b"), 400, id="two hosts"),
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", 400, id="no host"),
        pytest.param(b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400, id="two spaces"),
        pytest.param(b"GET /\tx HTTP/1.1\r\nHost: a\r\n\r\n", 400, id="tab in the target"),
        pytest.param(b"G(T / HTTP/1.1\r\nHost: a\r\n\r\n", 400, id="odd method"),
        pytest.param(b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505, id="other version"),
        pytest.param(b"GET / http/1.1\r\nHost: a\r\n\r\n", 400, id="lower-case version"),
        pytest.param(b"GET /\r\nHost: a\r\n\r\n", 400, id="HTTP/0.9"),
        pytest.param(b"GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400, id="1.0 chunked"),  # noqa: E501
        pytest.param(head("Expect: 200-maybe"), 417, id="unknown expectation"),
        pytest.param(head(*[f"X-{n}: 1" for n in range(200)]), 431, id="too many headers"),
    ],
)  # fmt: skip
def test_what_is_refused(data: bytes, status: int) -> None:
    with pytest.raises(RefusedRequestError) as caught:
        parse(data)
    assert caught.value.status == status


def test_a_head_that_never_ends_is_refused_before_it_fills_the_memory() -> None:
    parser = HeadParser(Limits(line=100, head=1000))
    assert parser.end_of(b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20) == 0
    with pytest.raises(RefusedRequestError) as caught:
        parser.end_of(b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 200)
    assert caught.value.status == 431
    with pytest.raises(RefusedRequestError) as caught:
        parser.end_of(b"GET /" + b"a" * 200)
    assert caught.value.status == 414


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"GET / HTTP/1.1\nHost: a\n\n", id="bare LF"),
        pytest.param(b"GET / HTTP/1.1\n", id="already in the first line"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\n\r\n", id="one bare LF"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\n\n", id="at the end"),
        pytest.param(b"GET / HTTP/1.1\rHost: a\r\r", id="bare CR"),
        pytest.param(b"\n", id="LF first"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01", id="TLS"),
    ],
)
def test_what_can_not_become_a_head_is_refused_at_once(data: bytes) -> None:
    """Its end would never come: the client would wait until the time for a head is over."""
    with pytest.raises(RefusedRequestError) as caught:
        HeadParser().end_of(data)
    assert caught.value.status == 400


def test_a_head_may_come_in_any_pieces_and_behind_one_empty_line() -> None:
    parser, whole = HeadParser(), b"\r\n" + head("X: y")
    assert [at for at in range(len(whole)) if parser.end_of(whole[:at])] == []
    assert parse(whole).fields.environ == {"HTTP_HOST": "a", "HTTP_X": "y"}
    for bad in (b"\r\n\r\n", b"\r\n\r\n" + head()):
        with pytest.raises(RefusedRequestError):
            parse(bad)


def test_a_name_with_an_underscore_is_dropped_not_mistaken() -> None:
    found = parse(head("Content_Length: 7", "X_User: admin"))
    assert found.fields.length is None
    assert "HTTP_X_USER" not in found.fields.environ


@pytest.mark.parametrize(
    ("version", "interim"), [(b"1.1", b"HTTP/1.1 100 Continue\r\n\r\n"), (b"1.0", b"")]
)
def test_only_http_1_1_gets_an_interim_answer(version: bytes, interim: bytes) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(
            b"PUT / HTTP/%b\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n"
            % version
        )
        connection = Connection(ours, {}, 0.0)
        assert connection.receive()
        assert connection.next(HeadParser(), lambda: 0.0) is None
        ours.shutdown(socket.SHUT_WR)
        assert theirs.recv(100) == interim


def test_a_later_minor_version_is_read_as_1_1() -> None:
    assert parse(b"GET / HTTP/1.7\r\nHost: a\r\n\r\n").version == 11


def chunks(data: bytes, limits: Limits | None = None) -> tuple[bytes, bytes, bool]:
    reader, rest = ChunkedDecoder(limits or Limits()), bytearray(data)
    return reader.feed(rest), bytes(rest), reader.done


def test_a_chunked_body_and_what_follows_it() -> None:
    body, rest, done = chunks(b"3;a=b\r\nabc\r\nA\r\n0123456789\r\n0\r\nX-T: 1\r\n\r\nGET ")
    assert (body, rest, done) == (b"abc0123456789", b"GET ", True)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"0x3\r\nabc\r\n0\r\n\r\n", id="0x"),
        pytest.param(b"-3\r\nabc\r\n0\r\n\r\n", id="negative"),
        pytest.param(b"3 \r\nabc\r\n0\r\n\r\n", id="space"),
        pytest.param(b"3\nabc\r\n0\r\n\r\n", id="bare LF"),
        pytest.param(b"3\r\nabcd\r\n0\r\n\r\n", id="longer than it says"),
        pytest.param(b"\r\nabc\r\n0\r\n\r\n", id="no size"),
        pytest.param(b"3;" + b"a" * 300 + b"\r\nabc\r\n", id="long extension"),
        pytest.param(b"0\r\nbad trailer\r\n\r\n", id="trailer without colon"),
        pytest.param(b"fffffffffffffff\r\n", id="huge"),
    ],
)
def test_chunks_that_are_refused(data: bytes) -> None:
    with pytest.raises(RefusedRequestError):
        chunks(data)


@given(
    st.lists(st.binary(min_size=1, max_size=50), max_size=8),
    st.lists(st.integers(1, 40), max_size=30),
)
def test_a_chunked_body_reads_the_same_however_it_is_cut(
    pieces: list[bytes], cuts: list[int]
) -> None:
    wire = b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in pieces) + b"0\r\n\r\nREST"
    reader, rest, body = ChunkedDecoder(Limits()), bytearray(), b""
    at = 0
    for cut in [*cuts, len(wire)]:
        rest += wire[at : at + cut]
        at += cut
        body += reader.feed(rest)
    assert reader.done
    assert body == b"".join(pieces)
    assert bytes(rest) == b"REST"


@given(st.binary(max_size=300))
def test_no_bytes_whatever_raise_anything_else(data: bytes) -> None:
    parser = HeadParser()
    try:
        end = parser.end_of(data + b"\r\n\r\n")
        parser.parse((data + b"\r\n\r\n")[:end])
    except RefusedRequestError:
        pass


def test_what_is_secret_in_a_head_is_in_no_repr() -> None:
    found = parse(b"GET /?key=s3cret HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer s3cret\r\n\r\n")
    assert "s3cret" not in repr(found)
    assert "s3cret" not in repr(found.fields)
