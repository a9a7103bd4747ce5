"""Cursors, links, query strings, cookies, entity tags, cross-origin answers."""

from __future__ import annotations

import contextlib
from urllib.parse import parse_qsl, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chapiteau.service.protocol.conditional import tags_match
from chapiteau.service.protocol.cors import CorsPolicy, cors_headers, preflight_headers
from chapiteau.service.protocol.headers import parse_cookies, parse_query
from chapiteau.service.protocol.pagination import (
    NoSuchPageError,
    decode_cursor,
    encode_cursor,
    link_header,
    with_query,
)


@given(st.tuples(st.integers(-(2**60), 2**60), st.text(max_size=20)))
def test_a_cursor_comes_back_as_it_went(values: tuple[int, str]) -> None:
    assert decode_cursor(encode_cursor(values), tuple[int, str]) == values


@given(st.text(max_size=40))
def test_nothing_else_is_a_cursor(text: str) -> None:
    with contextlib.suppress(NoSuchPageError):
        assert isinstance(decode_cursor(text, tuple[int, int]), tuple)


def test_links() -> None:
    target = with_query("/a", {"q": "b c&d", "n": 0, "none": None, "empty": ""})
    assert target == "/a?q=b%20c%26d&n=0"
    assert link_header({"next": target, "prev": None}) == f'<{target}>; rel="next"'


@given(st.lists(st.tuples(st.text(min_size=1, max_size=5), st.text(max_size=5)), max_size=5))
def test_query_strings_read_as_the_standard_library_reads_them(
    wanted: list[tuple[str, str]],
) -> None:
    text = "&".join(f"{quote_plus(k)}={quote_plus(v)}" for k, v in wanted)
    assert parse_query(text) == parse_qsl(text, keep_blank_values=True)


def test_query_corners() -> None:
    assert parse_query("a&b=&=c&&d=e=f") == [("a", ""), ("b", ""), ("", "c"), ("d", "e=f")]
    with pytest.raises(UnicodeDecodeError):
        parse_query("a=%FF")


def test_the_first_of_two_cookies_wins() -> None:
    assert parse_cookies('a=1; b="2"; a=3; broken') == {"a": "1", "b": "2"}


@pytest.mark.parametrize(
    ("header", "tag", "strong", "match"),
    [
        ('"a"', '"a"', True, True),
        ('W/"a"', '"a"', True, False),
        ('W/"a"', '"a"', False, True),
        ('"b", "a"', '"a"', True, True),
        ('"a,b"', '"a,b"', True, True),
        ('"a,b"', '"b"', True, False),
        ("*", '"a"', True, True),
        ("", '"a"', True, False),
    ],
)
def test_entity_tags(header: str, tag: str, strong: bool, match: bool) -> None:
    assert tags_match(header, tag, strong=strong) is match


def test_a_named_origin_gets_its_own_name_back_and_vary() -> None:
    policy = CorsPolicy(origins=("https://*.example.org",), credentials=True, expose=("ETag",))
    assert cors_headers(policy, "https://a.example.org") == [
        ("Vary", "Origin"),
        ("Access-Control-Allow-Origin", "https://a.example.org"),
        ("Access-Control-Allow-Credentials", "true"),
        ("Access-Control-Expose-Headers", "ETag"),
    ]
    assert cors_headers(policy, "https://evil.example") == [("Vary", "Origin")]
    assert cors_headers(policy, None) == [("Vary", "Origin")]
    assert cors_headers(CorsPolicy(), "https://x") == [("Access-Control-Allow-Origin", "*")]


def test_a_preflight_names_methods_and_headers_in_a_fixed_order() -> None:
    found = dict(
        preflight_headers(
            CorsPolicy(max_age=60),
            origin="https://x",
            asked="X-B, x-a",
            methods=("GET", "PUT"),
        )
    )
    assert found["Access-Control-Allow-Methods"] == "GET, PUT"
    assert found["Access-Control-Allow-Headers"] == "X-B, x-a"
    assert found["Access-Control-Max-Age"] == "60"
    foreign = CorsPolicy(origins=("https://y",))
    refused = preflight_headers(foreign, origin="https://x", asked=None, methods=("GET",))
    assert [name for name, _ in refused] == ["Vary"]
