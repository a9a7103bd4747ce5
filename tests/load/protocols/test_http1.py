"""Answers from bytes: whole or in pieces, with lengths, chunks or an end, and rubbish."""

from __future__ import annotations

import http.client
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chapiteau.load.errors import BadResponseError
from chapiteau.load.protocols.http1 import Headers, ResponseReader, dechunk

PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: 1\r\n\r\nhello"
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3\r\nhel\r\n2;ext=1\r\nlo\r\n0\r\nTrailer: x\r\n\r\n"
)
TO_THE_END = b"HTTP/1.1 200 OK\r\n\r\nhello"


def reader(*, bare: bool = False) -> ResponseReader:
    made = ResponseReader()
    made.start(bare=bare)
    return made


@pytest.mark.parametrize(
    ("data", "status", "body", "keep"),
    [
        pytest.param(PLAIN, 200, b"hello", True, id="with a length"),
        pytest.param(CHUNKED, 200, b"hello", True, id="in chunks, with extension and trailer"),
        pytest.param(b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"", True, id="without content"),
        pytest.param(
            b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
            304, b"", True, id="unchanged",
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
            200, b"", False, id="says that it closes",
        ),
        pytest.param(
            b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", 200, b"", False, id="old: closes"
        ),
        pytest.param(
            b"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 0\r\n\r\n",
            200, b"", True, id="old, but keeps",
        ),
        pytest.param(
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + PLAIN,
            200, b"hello", True, id="interim ones are skipped",
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\nContent-Length: 5\r\n\r\nhello",
            200, b"hello", True, id="the same length several times (RFC 9110, 8.6)",
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\nContent-Length: 8\nX: y\n\na\r\n\r\nbcd",
            200, b"a\r\n\r\nbcd", True, id="lines end with bare line feeds",
        ),
        pytest.param(
            b"HTTP/1.1 100 Continue\r\n\r\n" * 2_000 + PLAIN,
            200, b"hello", True, id="interim ones without end",
        ),
    ],
)  # fmt: skip
@pytest.mark.parametrize("piece", [1, 3, 7, 10_000])
def test_an_answer_is_the_same_in_any_pieces(
    data: bytes, status: int, body: bytes, keep: bool, piece: int
) -> None:
    made = reader()

    whole = [made.feed(data[i : i + piece]) for i in range(0, len(data), piece)]

    assert whole == [False] * (len(whole) - 1) + [True]
    assert (made.status, made.body, made.keep, made.rest) == (status, body, keep, b"")


def test_without_length_the_body_ends_with_the_connection() -> None:
    made = reader()

    assert not made.feed(TO_THE_END[:22])
    assert not made.feed(TO_THE_END[22:])
    assert made.end()
    assert (made.body, made.keep) == (b"hello", False)


def test_an_end_in_the_middle_is_no_answer() -> None:
    made = reader()
    made.feed(PLAIN[:-1])

    assert made.begun
    assert not made.end()


def test_an_answer_to_head_has_no_body_whatever_its_length_says() -> None:
    made = reader(bare=True)

    assert made.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
    assert made.body == b""


def test_what_follows_an_answer_is_kept_for_the_next() -> None:
    made = reader()

    assert made.feed(PLAIN + PLAIN)
    assert made.rest == PLAIN
    made.start(bare=False)
    assert made.feed(b"")
    assert made.body == b"hello"


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"SSH-2.0-OpenSSH_9.2\r\n\r\n", id="another protocol"),
        pytest.param(b"\x00\x01\x02\x03\x04\x05\x06\x07", id="binary"),
        pytest.param(b"HTTP/1.1 abc OK\r\n\r\n", id="no number as status"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", id="negative length"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 5x\r\n\r\n", id="no number as length"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", id="two lengths"
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n",
            id="a chunk size that only int() takes",
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhello\r\n",
            id="a chunk longer than its size",
        ),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: " + b"a" * 300_000, id="an endless head"),
        pytest.param(b"HTTP/1.1 2000 OK\r\n\r\n", id="a status of four digits"),
        pytest.param(b"HTTP/1.1 042 OK\r\n\r\n", id="a status below 100"),
        pytest.param(b"HTTP/1.1200 OK\r\n\r\n", id="no space before the status"),
    ],
)
def test_rubbish_is_told_from_an_answer(data: bytes) -> None:
    with pytest.raises(BadResponseError):
        reader().feed(data)


def test_a_head_in_lower_case_and_with_spaces_is_understood() -> None:
    made = reader()

    assert made.feed(b"HTTP/1.1 201 Created\r\ncontent-length:   2  \r\n\r\nok")
    assert made.body == b"ok"


@given(st.binary(max_size=400), st.integers(1, 40))
def test_any_bytes_give_an_answer_or_a_complaint(data: bytes, piece: int) -> None:
    """Never another exception, and never an answer from nothing."""
    made = reader()
    try:
        for start in range(0, len(data), piece):
            if made.feed(data[start : start + piece]):
                assert data.startswith(b"HTTP/1.")
                return
    except BadResponseError:
        pass


class _Given:
    """A socket that has these bytes, for http.client."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, *_: object) -> io.BytesIO:
        return io.BytesIO(self._data)


def as_http_client_reads(data: bytes) -> tuple[int, bytes] | None:
    """Status and body; None when it complains."""
    answer = http.client.HTTPResponse(_Given(data))  # type: ignore[arg-type]
    try:
        answer.begin()
        return answer.status, answer.read()
    except (http.client.HTTPException, ValueError, OSError):
        return None


@st.composite
def answers(draw: st.DrawFn) -> bytes:
    """What services send, in many spellings, and now and then a byte of it wrong."""
    body = draw(st.binary(max_size=80))
    length = draw(st.sampled_from(["Content-Length", "content-length", "CONTENT-LENGTH"]))
    space = draw(st.sampled_from([" ", "", "  ", "\t"]))
    fields = draw(st.lists(st.sampled_from(["X-A: b", "Set-Cookie: a=b", "X:"]), max_size=3))
    framing = draw(st.sampled_from(["length", "chunks", "end"]))
    if framing == "length":
        fields.append(f"{length}:{space}{len(body)}")
    if framing == "chunks":
        fields.append(f"Transfer-Encoding:{space}{draw(st.sampled_from(['chunked', 'Chunked']))}")
        size = draw(st.integers(1, 30))
        parts = [body[i : i + size] for i in range(0, len(body), size)]
        mark = draw(st.sampled_from([b"", b";a=b", b" ; c"]))
        body = b"".join(b"%X%s\r\n%s\r\n" % (len(p), mark, p) for p in parts)
        body += draw(st.sampled_from([b"0\r\n\r\n", b"00\r\nX-T: 1\r\n\r\n"]))
    fields = draw(st.permutations(fields))
    lines = ["HTTP/1.1 200 OK", "HTTP/1.0 404 ", "HTTP/1.1 500", "HTTP/1.1 204"]
    line = draw(st.sampled_from(lines))
    end = draw(st.sampled_from(["\r\n"] * 4 + ["\n"]))
    head = end.join([line, *fields, "", ""]).encode()
    interim = draw(st.sampled_from([b"", b"HTTP/1.1 100 Continue\r\n\r\n"]))
    data = bytearray(interim + head + body)
    if draw(st.booleans()):
        # Behind the status: http.client takes 110 for an answer. And it gives up on all fields at
        # one that is none: it must stay a field.
        at = draw(st.integers(len(interim) + len(line), len(data) - 1))
        if data[at] not in b"\r\n:":
            data[at] = draw(st.integers(0x21, 0x7E))
    return bytes(data)


@given(answers(), st.integers(1, 200))
def test_what_is_read_is_what_another_client_reads(data: bytes, piece: int) -> None:
    made = reader()
    try:
        whole = any(made.feed(data[i : i + piece]) for i in range(0, len(data), piece))
        if not (whole or made.end()):
            return
    except BadResponseError:
        return
    other = as_http_client_reads(data)
    if made.status in {204, 304}:  # http.client reads a body in chunks that these can't have
        assert made.body == b""
        return
    # http.client is stricter here and there; what both take for an answer is the same one.
    assert other in {None, (made.status, made.body)}


@given(st.binary(max_size=300), st.integers(1, 50), st.integers(1, 60))
def test_chunks_of_any_size_join_to_the_same_body(body: bytes, size: int, piece: int) -> None:
    parts = [body[i : i + size] for i in range(0, len(body), size)]
    sent = b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in parts) + b"0\r\n\r\n"
    data = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + sent
    made = reader()

    done = [made.feed(data[i : i + piece]) for i in range(0, len(data), piece)]

    assert done[-1]
    assert not any(done[:-1])
    assert made.body == body


def test_chunks_are_taken_only_when_whole() -> None:
    parts: list[bytes] = []

    assert dechunk(b"3\r\nabc\r\n5\r\nde", parts) == (8, False)
    assert parts == [b"abc"]


def test_headers_are_found_in_any_case_and_all_of_a_name() -> None:
    headers = Headers(b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\nEmpty:\r\nbad\r\n")

    assert headers["SET-COOKIE"] == "a=1"
    assert headers.all("Set-Cookie") == ["a=1", "b=2"]
    assert headers.get("nothing", "x") == "x"
    assert "empty" in headers
    assert "bad" not in headers
    with pytest.raises(KeyError):
        headers["nothing"]
