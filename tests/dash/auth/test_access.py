"""Who may do what, and which requests are our own."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chapiteau.dash.auth.access import (
    VERBS,
    Role,
    allowed,
    host_allowed,
    origin_allowed,
    true_address,
)

NAMES = ("localhost", "127.0.0.1", "::1", "ops.example.org")


def test_nobody_may_do_anything_without_a_role() -> None:
    assert not any(allowed(None, verb) for verb in VERBS)


@given(st.text(), st.sampled_from(Role))
def test_a_verb_that_is_not_in_the_table_is_refused_to_all(verb: str, role: Role) -> None:
    assert allowed(role, verb) == (verb in VERBS and role >= VERBS[verb])


def test_a_higher_role_loses_nothing() -> None:
    for verb in VERBS:
        may = [allowed(role, verb) for role in Role]
        assert may == sorted(may)


@pytest.mark.parametrize(
    ("host", "fits"),
    [
        ("127.0.0.1:8800", True),
        ("localhost:8800", True),
        ("LOCALHOST:8800", True),
        ("[::1]:8800", True),
        ("[::1]", True),
        ("ops.example.org", True),
        ("ops.example.org:443", True),
        ("ops.example.org:8800", True),
        ("127.0.0.1:9999", False),
        ("localhost.evil.example:8800", False),
        ("evil.example:8800", False),
        ("127.0.0.1", True),
        ("", False),
        (":8800", False),
        ("[::1", False),
        ("ops.example.org.", False),
    ],
)
def test_only_our_own_names_are_served(host: str, fits: bool) -> None:
    assert host_allowed(host, 8800, NAMES) is fits


@given(st.text(max_size=40))
def test_no_host_header_makes_it_fall(host: str) -> None:
    assert host_allowed(host, 8800, NAMES) in (True, False)


@pytest.mark.parametrize(
    ("origin", "site", "must", "fits"),
    [
        pytest.param("http://h:1", None, False, True, id="our page"),
        pytest.param("https://h:1", "same-origin", False, True, id="our page over TLS"),
        pytest.param(None, None, False, True, id="curl"),
        pytest.param(None, None, True, False, id="a WebSocket without an Origin"),
        pytest.param("http://h:2", None, False, False, id="another port"),
        pytest.param("null", None, False, False, id="a sandboxed page"),
        pytest.param("http://h:1", "cross-site", False, False, id="the browser says cross-site"),
        pytest.param("http://h:1", "same-site", False, False, id="a sister host"),
    ],
)
def test_origins(origin: str | None, site: str | None, must: bool, fits: bool) -> None:
    assert origin_allowed("h:1", origin, site, must=must) is fits


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("203.0.113.7", [], "203.0.113.7"),
        ("203.0.113.7", ["198.51.100.1"], "203.0.113.7"),  # no proxy of ours: a lie
        ("127.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("::ffff:127.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("127.0.0.1", ["10.9.9.9, 198.51.100.1"], "198.51.100.1"),  # the first was given by them
        ("127.0.0.1", ["10.9.9.9", "198.51.100.1, 10.0.0.2"], "198.51.100.1"),  # two proxies
        ("127.0.0.1", ["2001:DB8::1"], "2001:db8::1"),
        ("127.0.0.1", ["198.51.100.1, unknown"], "127.0.0.1"),
        ("127.0.0.1", [""], "127.0.0.1"),
        ("127.0.0.1", ["10.0.0.2"], "10.0.0.2"),
    ],
)
def test_the_true_address_behind_proxies(peer: str, forwarded: list[str], address: str) -> None:
    assert true_address(peer, forwarded, ("127.0.0.1", "::1", "10.0.0.2")) == address
