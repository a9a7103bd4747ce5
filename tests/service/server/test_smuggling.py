"""One file per way to make two servers disagree where a request ends: ours refuses them all.

Each file under smuggling/ is sent as it is. The law: one answer that says no, then the end of the
connection; what follows the bad request is never taken for another one.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.service.server.conftest import Site

pytestmark = pytest.mark.slow

CORPUS = sorted((Path(__file__).parent / "smuggling").glob("*.http"))
# Refused too, but with a status that says more than 400: bombs, and codings that nobody knows.
OTHER = {
    "header-bomb-many": 431,
    "header-bomb-long": 431,
    "line-bomb": 414,
    "te-gzip-chunked": 501,
    "te-gzip-chunked-in-two-lines": 501,
}
# nginx takes these. RFC 9112 forbids it (its section), or lets the recipient choose (may, bomb).
NGINX_TAKES = {
    "bare-lf-ends-the-head": "§2.2, may",
    "chunk-extension-bomb": "§7.1.1, bomb",
    "chunk-extension-quoted-line-end": "§7.1.1",
    "chunk-size-lf": "§7.1",
    "chunk-size-space-after": "§7.1",
    "chunk-terminator-lf": "§7.1",
    "header-bomb-many": "§5, bomb",
    "request-line-http-0-9": "§2.3",
    "request-line-in-a-trailer": "§7.1.2",
    "request-line-two-spaces": "§3, may",
    "request-line-version-digits": "§2.3",
    "target-with-a-fragment": "§3.2",
    "trailer-bomb": "§7.1.2, bomb",
    "trailer-without-colon-name": "§7.1.2",
}
# Unusual and right: both answer 200, once for each.
RIGHT = [
    pytest.param(b"\r\nGET / HTTP/1.1\r\nHost: x\r\n", id="an empty line before it, §2.2"),
    pytest.param(b"GET / HTTP/1.7\r\nHost: x\r\n", id="a later minor version, RFC 9110 §2.5"),
    pytest.param(b"GET http://x/ HTTP/1.1\r\nHost: x\r\n", id="absolute form, §3.2.2"),
    pytest.param(b"GET / HTTP/1.1\r\nHost:  x \r\nX:\t y \t\r\n", id="white space, §5.1"),
    pytest.param(b"GET / HTTP/1.1\r\nhOsT: x\r\nX: \xe4\r\n", id="any case, bytes above 127, §5"),
    pytest.param(b"GET / HTTP/1.0\r\nContent-Length: 0\r\n", id="1.0, §3.2"),
    pytest.param(
        b'GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: CHUNKED\r\nConnection: close\r\n\r\n'
        b'1 ; a = "b\\"\\\\" ;c\r\nx\r\n000\r\nX-T: 1\r\n',
        id="a chunk's extension in quotes, and a trailer, §7.1",
    ),
]  # fmt: skip
NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin")


def everything(port: int, data: bytes) -> bytes:
    """What the server says until it closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as wire:
        return talk(wire, data)


def talk(wire: socket.socket, data: bytes) -> bytes:
    told = b""
    with contextlib.suppress(ConnectionError):  # refused before all of it was read
        wire.sendall(data)
        while piece := wire.recv(65536):
            told += piece
    return told


@pytest.fixture(scope="module")
def nginx() -> Iterator[Callable[[bytes], bytes]]:
    """Ask a real nginx, on a Unix socket."""
    if NGINX is None:
        pytest.skip("nginx is not installed (Debian's package nginx-light has it)")
    with tempfile.TemporaryDirectory() as folder:
        address = f"{folder}/s"
        temporary = " ".join(
            f"{kind}_temp_path {folder}/{kind};"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        Path(folder, "nginx.conf").write_text(
            f"pid {folder}/pid; error_log stderr crit; daemon off; worker_processes 1; events {{}}"
            f" http {{ access_log off; {temporary} keepalive_timeout 1s; client_body_timeout 1s;"
            f" client_header_timeout 1s; server {{ listen unix:{address};"
            " location / { return 200 x; } } }"
        )
        argv = [NGINX, "-e", "stderr", "-p", folder, "-c", f"{folder}/nginx.conf"]
        with subprocess.Popen(argv, stderr=subprocess.DEVNULL) as process:
            try:
                wait_for(lambda: Path(address).is_socket())

                def ask(data: bytes) -> bytes:
                    with socket.socket(socket.AF_UNIX) as wire:
                        wire.settimeout(60)
                        wire.connect(address)
                        return talk(wire, data)

                yield ask
            finally:
                process.terminate()


def test_every_way_to_smuggle_is_refused_and_the_connection_closed(site: Site) -> None:
    worker = site.start()
    wrong = []
    for path, data in cases():
        told = everything(site.port, data)
        expected = OTHER.get(path.stem, 400)
        answers = told.count(b"HTTP/1.1 ")
        closing = b"\r\nConnection: close\r\n" in told
        if (answers, told[9:12], closing) != (1, b"%d" % expected, True):
            wrong.append((path.stem, told[:60]))
    assert wrong == []
    assert site.connect().ask("/")[0] == 200
    assert worker.poll() is None


def test_nginx_differs_where_the_table_says_and_nowhere_else(
    nginx: Callable[[bytes], bytes],
) -> None:
    takes = {
        path.stem
        for path, data in cases()
        if not nginx(data).startswith((b"HTTP/1.1 4", b"HTTP/1.1 5"))
    }
    assert takes == set(NGINX_TAKES)


@pytest.mark.parametrize("data", RIGHT)
def test_unusual_and_right_requests_are_taken_as_nginx_takes_them(
    site: Site, nginx: Callable[[bytes], bytes], data: bytes
) -> None:
    site.start()
    if b"Connection:" not in data:
        data += b"Connection: close\r\n"
    data += b"\r\n"
    for told in (everything(site.port, data), nginx(data)):
        assert (told.count(b"HTTP/1.1 "), told[9:12]) == (1, b"200")


def test_the_table_names_files_that_are_there() -> None:
    text = CORPUS[0].with_name("README.md").read_text()
    rows = [line.split("|")[1] for line in text.splitlines() if "CVE-" in line]
    named = {name.strip() for row in rows for name in row.split(",")}
    assert len(rows) > 15
    assert named <= {path.stem for path in CORPUS}


def test_a_body_where_none_is_usual_is_no_second_request(site: Site) -> None:
    """What a GET brings along is read and thrown away (client-side desync, "CL.0")."""
    site.start()
    inner = b"GET /environ HTTP/1.1\r\nHost: x\r\n\r\n"
    wire = site.connect()
    wire.send(b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(inner) + inner)
    assert wire.answer()[2].isdigit()
    assert wire.ask("/echo")[2] == b""  # the next answer is the next question's


def cases() -> Iterator[tuple[Path, bytes]]:
    assert len(CORPUS) > 40
    for path in CORPUS:
        yield path, path.read_bytes()
