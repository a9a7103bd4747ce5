"""Addresses, queries, and the names that requests are grouped under."""

from __future__ import annotations

import pytest

from chapiteau.core.errors import UsageError
from chapiteau.load.protocols import urls


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("http://a", ("http", "a", 80, "/", "a")),
        ("https://a.b:8443/x?y=1#z", ("https", "a.b", 8443, "/x?y=1", "a.b:8443")),
        ("http://[::1]:8000/x", ("http", "::1", 8000, "/x", "[::1]:8000")),
        ("http://a?x=1", ("http", "a", 80, "/?x=1", "a")),
        ("http://a/ü b", ("http", "a", 80, "/%C3%BC%20b", "a")),
        ("http://a/already%20quoted", ("http", "a", 80, "/already%20quoted", "a")),
    ],
)
def test_an_address_is_taken_apart(text: str, parts: tuple[str, str, int, str, str]) -> None:
    at = urls.parse(text)

    assert (at.scheme, at.host, at.port, at.path, at.netloc) == parts


@pytest.mark.parametrize("text", ["", "ftp://a", "http://", "http://a:99999/", "a/b", "http:///x"])
def test_what_is_no_address_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        urls.parse(text)
    assert "http://" in caught.value.hint


def test_a_user_in_an_address_is_kept_apart() -> None:
    at = urls.parse("http://me:secret@a/x")

    assert (at.user, str(at)) == ("me:secret", "http://a/x")


@pytest.mark.parametrize(
    ("base", "url", "whole"),
    [
        ("http://a", "/x", "http://a/x"),
        ("http://a/api", "/x", "http://a/api/x"),
        ("http://a/api/", "x", "http://a/api/x"),
        ("http://a/api?q=1", "?y=2", "http://a/api?y=2"),
        ("http://a", "http://b/x", "http://b/x"),
        ("https://a", "//b/x", "https://b/x"),
        ("http://a/api", "", "http://a/api"),
    ],
)
def test_requests_stay_below_the_base(base: str, url: str, whole: str) -> None:
    assert urls.join(base, url) == whole


def test_a_relative_url_without_a_base_says_what_is_missing() -> None:
    with pytest.raises(UsageError, match="no base URL") as caught:
        urls.join("", "/x")
    assert "--base" in caught.value.hint


@pytest.mark.parametrize(
    ("location", "whole"),
    [
        ("/y", "http://a:1/y"),
        ("y", "http://a:1/x/y"),
        ("https://b/", "https://b/"),
        ("//b/z", "http://b/z"),
    ],
)
def test_redirects_leave_from_the_origin(location: str, whole: str) -> None:
    assert urls.resolve_location(urls.parse("http://a:1/x/old?q=1"), location) == whole


def test_a_query_repeats_lists_and_leaves_out_none() -> None:
    assert urls.query({"a": [1, 2], "b": None, "c": True, "d": "x y&z"}) == (
        "a=1&a=2&c=true&d=x%20y%26z"
    )


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/users/17/posts/3", "GET /users/{id}/posts/{id}"),
        ("/u/550e8400-e29b-41d4-a716-446655440000", "GET /u/{id}"),
        ("/c/5d41402abc4b2a76b9719d911017c592?x=1", "GET /c/{id}"),
        ("/t/eyJhbGciOiJIUzI1NiJ9_abc1", "GET /t/{id}"),
        ("/v1/cities", "GET /v1/cities"),
        ("/a-rather-long-readable-slug", "GET /a-rather-long-readable-slug"),
        ("/", "GET /"),
    ],
)
def test_ids_in_a_path_fold_into_one_row(path: str, name: str) -> None:
    assert urls.endpoint_name("GET", path) == name


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.9.9.9", "::1", "app.localhost"])
def test_this_machine_is_known_by_its_names(host: str) -> None:
    assert urls.is_loopback(host)


@pytest.mark.parametrize("host", ["example.com", "10.0.0.1", "127.0.0.1.evil.org", "localhost.org"])
def test_others_do_not_pass_for_this_machine(host: str) -> None:
    assert not urls.is_loopback(host)


def test_allowed_hosts_are_known_in_any_spelling() -> None:
    assert urls.is_allowed("Shop.Example.", ["shop.example"])
    assert urls.is_allowed("LOCALHOST", ())
    assert urls.is_allowed("fe80::1", ["[FE80::1]"])
    assert not urls.is_allowed("shop.example.com", ["shop.example"])
