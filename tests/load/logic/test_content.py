"""Bodies out and in."""

from __future__ import annotations

import gzip
import zlib

import brotli
import pytest
import zstandard

from chapiteau.load.errors import BadAnswerError
from chapiteau.load.logic.http.content import accepted, charset, decoded, encoded


def test_what_goes_out_has_its_content_type() -> None:
    assert encoded({"ä": 1}, None, has_json=True) == ('{"ä":1}'.encode(), "application/json")
    assert encoded(None, None, has_json=True) == (b"null", "application/json")
    assert encoded(None, b"x", has_json=False) == (b"x", "")
    assert encoded(None, {"a": "b c"}, has_json=False) == (
        b"a=b+c",
        "application/x-www-form-urlencoded",
    )
    with pytest.raises(TypeError, match="bytes, text or a mapping"):
        encoded(None, 7, has_json=False)


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
    assert decoded(body, encoding) == (b"hello" if body else b"")


@pytest.mark.parametrize(
    ("body", "encoding"),
    [(b"no gzip", "gzip"), (b"x", "snappy"), (b"no brotli", "br"), (b"no zstd", "zstd")],
)
def test_a_broken_encoding_is_a_bad_answer(body: bytes, encoding: str) -> None:
    with pytest.raises(BadAnswerError):
        decoded(body, encoding)


def test_the_charset_is_read_from_the_content_type() -> None:
    assert charset('text/html; charset="latin-1"') == "latin-1"
    assert charset("text/html") == "utf-8"


def test_what_can_be_undone_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert accepted() == "gzip, deflate, br, zstd"
    monkeypatch.setattr("chapiteau.load.logic.http.content.brotli", None)
    assert accepted() == "gzip, deflate, zstd"
    with pytest.raises(BadAnswerError, match="nobody asked for"):
        decoded(b"x", "br")
