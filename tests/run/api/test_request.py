"""Requests of the control API: read from any bytes, answered over one connection."""

import asyncio
import contextlib
import http.client
import json
import socket
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chapiteau.run.api.request import MalformedError, Request, read_request
from chapiteau.run.testing import MemorySupervisor, control_server

_LINES = st.sampled_from(
    [
        b"GET / HTTP/1.1",
        b"Host: x",
        b"Content-Length: 3",
        b"Content-Length: -1",
        b"",
        b"abc",
        b": x",
    ]
)


@given(st.one_of(st.binary(max_size=200), st.lists(_LINES, max_size=8).map(b"\r\n".join)))
@example(b"GET http://[ HTTP/1.1\r\n\r\n")
@example(b"GET //[ HTTP/1.1\r\n\r\n")
@example(b"GET /?a=%zz&\xff HTTP/1.1\r\n\r\n")
def test_any_bytes_are_a_request_or_refused_or_not_enough(data: bytes) -> None:
    buffer = bytearray(data)
    with contextlib.suppress(MalformedError):
        found = read_request(buffer)
        assert found is None or len(buffer) < len(data)


@given(
    st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=3),
    st.binary(max_size=50),
    st.integers(1, 30),
)
def test_a_request_may_come_in_any_pieces(names: list[str], body: bytes, size: int) -> None:
    from urllib.parse import quote

    path = "/".join(quote(name, safe="") for name in names)
    sent = f"POST /{path}?a=1&a=2 HTTP/1.1\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    buffer, found = bytearray(), []
    for at in range(0, 2 * len(sent), size):
        buffer += (sent + sent)[at : at + size]
        while (request := read_request(buffer)) is not None:
            found.append(request)
    assert [(r.segments, r.body, r.query) for r in found] == [
        (tuple(names), body, {"a": ["1", "2"]})
    ] * 2


@pytest.mark.parametrize(
    ("head", "status"),
    [
        pytest.param("GET / HTTP/2.0", 505, id="another version"),
        pytest.param("GET /", 400, id="no version"),
        pytest.param("GET / HTTP/1.1\r\nA: 1\r\n folded", 400, id="a folded header"),
        pytest.param("GET / HTTP/1.1\r\nA : 1", 400, id="a space before the colon"),
        pytest.param(
            "GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1", 400, id="a length twice"
        ),
        pytest.param("GET / HTTP/1.1\r\nContent-Length: 1_0", 400, id="a length for Python only"),
        pytest.param("GET / HTTP/1.1\r\nContent-Length: 1048577", 413, id="too much"),
        pytest.param("GET / HTTP/1.1\r\nTransfer-Encoding: chunked", 411, id="in chunks"),
        pytest.param("GET * HTTP/1.1", 400, id="no path"),
        pytest.param("GET /" + 70_000 * "x", 431, id="a head without an end"),
    ],
)
def test_what_parsers_might_disagree_about_is_refused(head: str, status: int) -> None:
    with pytest.raises(MalformedError) as caught:
        read_request(bytearray(f"{head}\r\n\r\n".encode()))
    assert caught.value.status == status


def test_whether_the_connection_stays_is_said_by_version_and_header() -> None:
    def stays(head: str) -> bool:
        found = read_request(bytearray(f"GET / {head}\r\n\r\n".encode()))
        assert isinstance(found, Request)
        return found.keep_alive

    assert stays("HTTP/1.1")
    assert not stays("HTTP/1.1\r\nConnection: close")
    assert not stays("HTTP/1.0")


class _OverUnix(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=10)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(str(self._path))


async def test_a_client_of_the_standard_library_keeps_one_connection_for_all(
    tmp_path: Path,
) -> None:
    supervisor = MemorySupervisor()
    supervisor.happen("service.ready", text="é")

    def talk(path: Path) -> list[object]:
        said: list[object] = []
        client = _OverUnix(path)
        client.connect()
        sock = client.sock
        for method, target, body in (
            ("GET", "/v1/ping", None),
            ("GET", "/v1/events", None),  # a flow, in chunks
            ("POST", "/v1/services/web/scale", json.dumps({"processes": 3})),
            ("POST", "/v1/services/web/scale", "{"),
            ("DELETE", "/v1/status", None),
            ("GET", "/v1/status", None),
        ):
            client.request(method, target, body)
            with client.getresponse() as answer:
                said.append((answer.status, len(answer.read()) > 2))
            assert client.sock is sock
        client.close()
        return said

    async with control_server(supervisor, tmp_path / "c.sock") as path:
        said = await asyncio.to_thread(talk, path)
    statuses = (200, 200, 200, 400, 405, 200)
    assert said == [(status, True) for status in statuses]
    assert supervisor.wanted["web"] == 3


async def test_requests_sent_ahead_are_answered_in_their_order(tmp_path: Path) -> None:
    async with control_server(MemorySupervisor(), tmp_path / "c.sock") as path:
        reader, writer = await asyncio.open_unix_connection(str(path))
        writer.write(
            b"GET /v1/ping HTTP/1.1\r\n\r\nGET /v1/nothing HTTP/1.1\r\n\r\n"
            b"GET /v1/ping HTTP/1.1\r\nConnection: close\r\n\r\nGET /v1/ping HTTP/1.1\r\n\r\n"
        )
        answer = (await asyncio.wait_for(reader.read(), 60)).decode()
        writer.close()
    heads = [line for line in answer.splitlines() if "HTTP/1.1 " in line]
    assert [head.rpartition("HTTP/1.1 ")[2][:3] for head in heads] == ["200", "404", "200"]


async def test_a_stream_ends_when_its_reader_hangs_up(tmp_path: Path) -> None:
    ended = asyncio.Event()

    class Watched(MemorySupervisor):
        async def stats(self):  # type: ignore[no-untyped-def]
            try:
                while True:
                    yield {"x": "y" * 1000}
                    await asyncio.sleep(0.001)
            finally:
                ended.set()

    async with control_server(Watched(), tmp_path / "c.sock") as path:
        reader, writer = await asyncio.open_unix_connection(str(path))
        writer.write(b"GET /v1/stats HTTP/1.1\r\n\r\n")
        await reader.readuntil(b"yyy")
        writer.close()
        await asyncio.wait_for(ended.wait(), 60)


async def test_a_broken_request_gets_its_problem_and_the_end(tmp_path: Path) -> None:
    async with control_server(MemorySupervisor(), tmp_path / "c.sock") as path:
        reader, writer = await asyncio.open_unix_connection(str(path))
        writer.write(b"nonsense\r\n\r\n")
        head, _, body = (await asyncio.wait_for(reader.read(), 60)).partition(b"\r\n\r\n")
        writer.close()
    assert head.startswith(b"HTTP/1.1 400 ")
    assert "not an HTTP request" in json.loads(body)["detail"]
