"""Trying an API reaches the service's own address, and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chapiteau.dash.errors import BadRequestError
from chapiteau.dash.fleet.fetch import clean_headers, clean_method, clean_path, target


def status(url: str) -> dict[str, object]:
    return {"services": [{"name": "web", "openapi": url}]}


@pytest.mark.parametrize(
    ("url", "origin", "document"),
    [
        ("http://127.0.0.1:8000/openapi.json", "http://127.0.0.1:8000", "/openapi.json"),
        ("http://[::1]:8000/api/o.json", "http://[::1]:8000", "/api/o.json"),
        ("https://shop.example", "https://shop.example", "/openapi.json"),
    ],
)
def test_the_address_is_the_services_own(url: str, origin: str, document: str) -> None:
    found = target(status(url), "web")
    assert (found.origin, found.document) == (origin, document)


@pytest.mark.parametrize("url", ["", "file:///etc/passwd", "ftp://x/", "http://u:p@h/", "http://"])
def test_other_addresses_are_none(url: str) -> None:
    with pytest.raises(BadRequestError):
        target(status(url), "web")


def test_an_unknown_service_is_told() -> None:
    with pytest.raises(BadRequestError, match="no service 'wbe'"):
        target(status("http://h/"), "wbe")


@given(st.text(max_size=30))
def test_a_clean_path_can_only_be_a_path(text: str) -> None:
    try:
        path = clean_path(text)
    except BadRequestError:
        return
    assert path.startswith("/")
    assert not path.startswith("//")
    assert not any(c in path for c in "\r\n\t \\\x00")


@pytest.mark.parametrize(
    "headers", [{"a b": "x"}, {"": "x"}, {"X": "a\r\nHost: evil"}, {"X\n": "a"}, {"X": "\x00"}]
)
def test_headers_can_not_smuggle(headers: dict[str, str]) -> None:
    with pytest.raises(BadRequestError):
        clean_headers(headers)


def test_the_connections_own_headers_are_dropped() -> None:
    sent = {"Host": "x", "Cookie": "y", "If-Match": "1", "Transfer-Encoding": "chunked"}
    assert clean_headers(sent) == {"If-Match": "1"}


def test_methods_are_known_ones() -> None:
    assert clean_method("patch") == "PATCH"
    with pytest.raises(BadRequestError):
        clean_method("CONNECT")
