"""Bodies out and in."""

from __future__ import annotations

import gzip
import os
import tracemalloc
import zlib
from typing import TYPE_CHECKING

import brotli
import pytest
import zstandard

from chapiteau.load.errors import BadResponseError
from chapiteau.load.protocols.content import accept_encoding, charset, decode_body, encode_body

if TYPE_CHECKING:
    from collections.abc import Callable

PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstandard.compress,
}


def test_what_goes_out_has_its_content_type() -> None:
    assert encode_body({"ä": 1}, None, has_json=True) == ('{"ä":1}'.encode(), "application/json")
    assert encode_body(None, None, has_json=True) == (b"null", "application/json")
    assert encode_body(None, b"x", has_json=False) == (b"x", "")
    assert encode_body(None, {"a": "b c"}, has_json=False) == (
        b"a=b+c",
        "application/x-www-form-urlencoded",
    )
    with pytest.raises(TypeError, match="bytes, text or a mapping"):
        encode_body(None, 7, has_json=False)


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (gzip.compress(b"hello", mtime=0), "gzip"),
        (zlib.compress(b"hello"), "deflate"),
        (zlib.compress(b"hello")[2:-4], "deflate"),
        (gzip.compress(gzip.compress(b"hello", mtime=0), mtime=0), "gzip, gzip"),
        (brotli.compress(b"hello"), "br"),
        (zstandard.compress(b"hello"), "zstd"),
        (b"", "br"),
        (b"hello", "identity"),
        (b"hello", ""),
    ],
)
def test_content_encodings_are_undone(body: bytes, encoding: str) -> None:
    assert decode_body(body, encoding) == (b"hello" if body else b"")


@pytest.mark.parametrize(
    ("body", "encoding"),
    [(b"no gzip", "gzip"), (b"x", "snappy"), (b"no brotli", "br"), (b"no zstd", "zstd")],
)
def test_a_broken_encoding_is_a_bad_answer(body: bytes, encoding: str) -> None:
    with pytest.raises(BadResponseError):
        decode_body(body, encoding)


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
def test_a_body_of_several_members_is_taken_whole(pack: Callable[[bytes], bytes]) -> None:
    name = "gzip" if pack is gzip.compress else "zstd"
    long = bytes(range(256)) * 40
    assert decode_body(pack(long) + pack(b"") + pack(b"more"), name) == long + b"more"
    assert decode_body(pack(long) + b"what nobody asked for", name) == long


@pytest.mark.parametrize("name", ["gzip", "deflate", "br", "zstd"])
def test_a_body_that_ends_too_early_is_a_bad_answer(name: str) -> None:
    body = PACKERS[name](os.urandom(9_000))
    for kept in (1, 5, len(body) // 2, len(body) - 1):
        with pytest.raises(BadResponseError, match=name):
            decode_body(body[:kept], name)


@pytest.mark.parametrize("name", ["gzip", "deflate", "br", "zstd"])
def test_a_body_that_would_fill_the_memory_is_a_bad_answer(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chapiteau.load.protocols.content._MOST", 1 << 21)
    bomb = PACKERS[name](b"\0" * (1 << 22))
    tracemalloc.start()
    try:
        with pytest.raises(BadResponseError, match="more than 2 MiB"):
            decode_body(bomb, name)
        assert tracemalloc.get_traced_memory()[1] < 12 << 20
    finally:
        tracemalloc.stop()
    assert len(decode_body(PACKERS[name](b"\0" * (1 << 20)), name)) == 1 << 20


def test_the_charset_is_read_from_the_content_type() -> None:
    assert charset('text/html; charset="latin-1"') == "latin-1"
    assert charset("text/html") == "utf-8"


def test_what_can_be_undone_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert accept_encoding() == "gzip, deflate, br, zstd"
    monkeypatch.setattr("chapiteau.load.protocols.content.brotli", None)
    assert accept_encoding() == "gzip, deflate, zstd"
    with pytest.raises(BadResponseError, match="nobody asked for"):
        decode_body(b"x", "br")
