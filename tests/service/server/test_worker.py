"""What a worker does with connections and requests, good and bad."""

from __future__ import annotations

import json
import random
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import wait_for

if TYPE_CHECKING:
    from tests.service.server.conftest import Site

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent


def test_many_requests_on_one_connection_also_sent_ahead(site: Site) -> None:
    site.start()
    wire = site.connect()
    assert wire.ask("/environ?a=%20b", "X-A: 1")[2] == (
        b"REQUEST_METHOD=GET\nPATH_INFO=/environ\nQUERY_STRING=a=%20b\nREMOTE_ADDR=127.0.0.1\nHTTP_X_A=1\nHTTP_HOST=x"
    )
    wire.send(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n" * 5)
    assert [wire.answer()[0] for _ in range(5)] == [200] * 5
    assert wire.ask("/", "Connection: close")[0] == 200
    assert wire.closed()


def test_bodies_with_a_length_in_chunks_and_after_100_continue(site: Site) -> None:
    site.start()
    wire = site.connect()
    wire.send(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhel")
    wire.send(b"lo")
    assert wire.answer()[2] == b"hello"
    wire.send(b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
    wire.send(b"2\r\nde\r\n0\r\n\r\n")
    assert wire.answer()[2] == b"abcde"
    wire.send(
        b"POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
    )
    assert wire.answer()[0] == 100
    wire.send(b"ok")
    assert wire.answer()[2] == b"ok"
    long = b"y" * (3 << 20)
    wire.send(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(long) + long)
    assert wire.answer()[2] == long


def test_a_stream_goes_out_in_chunks_and_a_large_answer_whole(site: Site) -> None:
    site.start()
    wire = site.connect()
    status, head, body = wire.ask("/stream")
    assert (status, body) == (200, b"part 0\npart 1\npart 2\n")
    assert b"Transfer-Encoding: chunked" in head
    assert len(wire.ask("/big?8000000")[2]) == 8_000_000
    wire.send(b"GET /stream HTTP/1.0\r\n\r\n")
    while not wire.closed():
        pass


def test_head_has_no_body(site: Site) -> None:
    site.start()
    wire = site.connect()
    wire.send(b"HEAD /big?5 HTTP/1.1\r\nHost: x\r\n\r\nGET /big?3 HTTP/1.1\r\nHost: x\r\n\r\n")
    data = b""
    while b"xxx" not in data:
        data += wire.sock.recv(4096)
    assert data.count(b"HTTP/1.1 200 OK") == 2
    assert b"Content-Length: 5\r\n" in data
    assert not data.endswith(b"xxxx")


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"BROKEN\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"GET /%00 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET http://[/ HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400),
        (b"GET /#a HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"GET " + b"/" + b"a" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
    ],
)  # fmt: skip
def test_a_bad_request_is_told_so_and_the_connection_closed(
    site: Site, data: bytes, status: int
) -> None:
    site.start()
    wire = site.connect()
    wire.send(data)
    found, head, body = wire.answer()
    assert found == status
    assert b"Connection: close" in head
    problem = json.loads(body)
    assert problem["status"] == status
    assert problem["code"]
    assert f"X-Request-ID: {problem['request_id']}\r\n".encode() in head
    assert wire.closed()


def test_what_the_target_names_is_the_host(site: Site) -> None:
    """RFC 9112 §3.2.2: a cache in front took it for that host; so must we."""
    site.start()
    wire = site.connect()
    wire.send(b"GET http://[::1]:80/environ HTTP/1.1\r\nHost: other\r\n\r\n")
    assert b"HTTP_HOST=[::1]:80" in wire.answer()[2]


def test_faults_of_the_application_hurt_only_their_own_request(site: Site) -> None:
    worker = site.start()
    for path in ("/raise", "/forge"):
        status, head, body = site.connect().ask(path)
        assert status == 500
        assert b"Set-Cookie" not in head
        assert b"purpose" not in body
    with pytest.raises(ConnectionError):
        site.connect().ask("/short")  # half an answer must not look like a whole one
    assert site.connect().ask("/")[0] == 200
    assert worker.poll() is None


def test_who_thinks_again_answers_with_the_second_thought(site: Site) -> None:
    site.start()
    status, head, body = site.connect().ask("/second-thoughts")
    assert (status, body) == (500, b"something went wrong")
    assert b"text/plain" in head
    assert b"application/json" not in head


def test_slow_requests_do_not_keep_fast_ones_waiting(site: Site) -> None:
    site.start("--threads", "3")
    slow, done = [site.connect() for _ in range(2)], site.folder / "done"
    for wire in slow:
        wire.send(f"GET /until?{done} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    wire = site.connect()
    for _ in range(30):
        assert wire.ask("/")[0] == 200
    done.touch()
    assert [w.answer()[0] for w in slow] == [200, 200]
    assert slow[0].ask("/")[0] == 200  # and the connection is as good as before


def test_a_client_that_sends_slowly_holds_no_thread(site: Site) -> None:
    site.start("--threads", "1")
    drip = site.connect()
    drip.send(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\na")
    assert site.connect().ask("/")[0] == 200
    drip.send(b"bcd")
    assert drip.answer()[2] == b"abcd"


def test_a_reader_that_takes_nothing_holds_no_other_client(site: Site) -> None:
    site.start("--threads", "1")
    lazy = site.connect()
    lazy.send(b"GET /big?8000000 HTTP/1.1\r\nHost: x\r\n\r\n")
    assert site.connect().ask("/")[0] == 200
    assert len(lazy.answer()[2]) == 8_000_000


def test_a_stream_ends_when_its_client_has_gone(site: Site) -> None:
    """It would hold its thread, here the only one, for as long as it has something to say."""
    worker = site.start("--threads", "1", "--linger", "0")
    wire = site.connect()
    wire.send(b"GET /ticks HTTP/1.1\r\nHost: x\r\n\r\n")
    while b"tick" not in wire.data:
        wire.data += wire.sock.recv(4096)
    wire.close()
    assert site.connect().ask()[0] == 200
    worker.terminate()
    assert b"Traceback" not in worker.communicate(timeout=60)[1]


def test_term_ends_with_0_after_what_was_asked(site: Site) -> None:
    worker = site.start("--linger", "0.3")
    idle, busy = site.connect(), site.connect()
    assert idle.ask("/")[0] == 200
    done = site.folder / "done"
    busy.send(f"GET /until?{done} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    half = site.connect()
    half.send(b"GET / HTTP/1.1\r\nHo")
    wait_for(lambda: busy.is_read() and half.is_read(), what="the worker has read both")
    worker.terminate()
    half.send(b"st: x\r\n\r\n")
    assert half.answer()[0] == 200
    done.touch()
    status, head, _ = busy.answer()
    assert status == 200
    assert b"Connection: close" in head
    assert idle.closed()
    assert worker.wait(60) == 0


def test_a_request_that_comes_while_draining_is_answered(site: Site) -> None:
    worker = site.start("--linger", "2")
    wire = site.connect()
    assert wire.ask("/")[0] == 200
    worker.terminate()
    other = site.connect()  # stays in the queue of the socket, for whoever comes next
    other.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert wire.ask("/")[0] == 200
    assert worker.wait(60) == 0
    site.start()
    assert other.answer()[0] == 200


def test_a_factory_that_fails_is_told_in_words(site: Site) -> None:
    for app, words in (
        ("apps:broken", "no database"),
        ("apps:ap", "did you mean 'app'?"),
        ("nowhere:app", "no module 'nowhere'"),
        ("apps", "names no application"),
    ):
        worker = site.spawn(app=app)
        _, told = worker.communicate(timeout=60)
        assert worker.returncode in (1, 3), app
        assert words in told.decode()


def test_an_address_in_use_is_told_with_the_address(site: Site) -> None:
    from tests.support import run_cli

    site.start()
    for option, value in (("--bind", f"127.0.0.1:{site.port}"), ("--port", str(site.port))):
        done = run_cli("service", "serve", "apps:app", option, value)
        assert done.returncode == 1
        assert f"127.0.0.1:{site.port}" in done.stderr


def test_threads_of_a_worker_serve_at_the_same_time(site: Site) -> None:
    site.start("--threads", "4")
    wires = [site.connect() for _ in range(4)]
    for wire in wires:
        wire.send(b"GET /together HTTP/1.1\r\nHost: x\r\n\r\n")
    assert [wire.answer()[0] for wire in wires] == [200] * 4


def test_the_access_log_has_one_line_of_json_per_request(tmp_path: Path) -> None:
    worker = subprocess.Popen(
        [sys.executable, "-m", "chapiteau", "service", "serve", "apps:app",
         "--bind", f"unix:{tmp_path}/s", "--access-log", "--linger", "0"],
        cwd=HERE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert worker.stderr is not None
    assert worker.stderr.readline().strip().endswith(f"unix:{tmp_path}/s")
    for sent in (b"GET /big?3 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", b"BROKEN\r\n\r\n"):
        with socket.socket(socket.AF_UNIX) as wire:
            wire.connect(f"{tmp_path}/s")
            wire.sendall(sent)
            while wire.recv(4096):
                pass
    worker.terminate()
    told, _ = worker.communicate(timeout=60)
    line, refused = [json.loads(text) for text in told.splitlines()]
    assert (line["method"], line["path"], line["query"], line["status"]) == (
        "GET",
        "/big",
        "3",
        200,
    )
    assert line["ms"] >= 0
    assert (refused["method"], refused["status"]) == ("-", 400)
    assert refused["request_id"]


def test_slow_and_fast_requests_mixed_never_confuse_the_threads(site: Site) -> None:
    """Leadership changes hands all the time; two leaders at once would end the process."""
    worker = site.start("--threads", "3")
    lost: list[str] = []

    def client(number: int) -> None:
        chance = random.Random(number)
        wire = site.connect()
        try:
            for _ in range(150):
                path = "/slow?0.012" if chance.random() < 0.1 else "/"
                assert wire.ask(path)[0] == 200
        except OSError as exc:
            lost.append(repr(exc))

    threads = [threading.Thread(target=client, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert lost == []
    assert worker.poll() is None
