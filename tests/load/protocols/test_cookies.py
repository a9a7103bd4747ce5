"""A user's cookies go back to where they came from, and nowhere else."""

from __future__ import annotations

import pytest

from chapiteau.load.protocols.cookies import CookieJar
from chapiteau.load.protocols.urls import parse

HOME = parse("http://shop.example/account/login")


def jar(*fields: str) -> CookieJar:
    made = CookieJar()
    made.take(HOME, list(fields))
    return made


@pytest.mark.parametrize(
    ("field", "url", "sent"),
    [
        ("a=1", "http://shop.example/account/x", "a=1"),
        ("a=1", "http://shop.example/accounts", ""),
        ("a=1; Path=/", "http://shop.example/", "a=1"),
        ("a=1; Path=/", "http://other.example/", ""),
        ("a=1; Path=/", "http://sub.shop.example/", ""),
        ("a=1; Path=/; Domain=.shop.example", "http://sub.shop.example/", "a=1"),
        ("a=1; Path=/; Domain=evil.example", "http://evil.example/", ""),
        ("a=1; Path=/; Secure", "http://shop.example/", ""),
        ("a=1; Path=/; Secure", "https://shop.example/", "a=1"),
        ("a=1; Path=/; HttpOnly; SameSite=Lax", "http://shop.example/", "a=1"),
        ("nothing", "http://shop.example/account/", ""),
    ],
)
def test_a_cookie_goes_where_it_belongs(field: str, url: str, sent: str) -> None:
    assert jar(field).field(parse(url)) == sent


@pytest.mark.parametrize(
    "gone",
    ["a=; Max-Age=0; Path=/", "a=; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Path=/"],
)
def test_a_cookie_can_be_taken_back(gone: str) -> None:
    assert not jar("a=1; Path=/", gone)


def test_the_longest_path_comes_first() -> None:
    cookies = jar("a=1; Path=/", "b=2; Path=/account")

    assert cookies.field(HOME) == "b=2; a=1"


def test_a_copy_lives_its_own_life() -> None:
    first = jar("a=1; Path=/")
    second = first.copy()
    second.set("b", "2", "shop.example")

    assert (first.get("b"), second.get("a"), second.get("b")) == ("", "1", "2")
