"""One file per way to make two servers disagree where a request ends: ours refuses them all.

Each file under smuggling/ is sent as it is. The law: one answer that says no, then the end of the
connection; what follows the bad request is never taken for another one.
"""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.service.server.conftest import Site

pytestmark = pytest.mark.slow

CORPUS = sorted((Path(__file__).parent / "smuggling").glob("*.http"))
# Refused too, but with a status that says more than 400: bombs, and codings that nobody knows.
OTHER = {
    "header-bomb-many": 431,
    "header-bomb-long": 431,
    "line-bomb": 414,
    "te-te-obfuscated": 501,
    "te-not-last": 501,
    "obs-fold-te": 501,
    "te-identity-second": 501,
    "te-unknown": 501,
    "te-joined": 501,
    "te-quoted": 501,
    "te-empty": 501,
}


def everything(port: int, data: bytes) -> bytes:
    """What the server says until it closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as wire:
        wire.sendall(data)
        told = b""
        while piece := wire.recv(65536):
            told += piece
        return told


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
