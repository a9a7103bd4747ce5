"""The table finds what trying all patterns one after the other would find."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chapiteau.service.declare.path import (
    RouteTable,
    is_more_specific,
    openapi_path,
    path_parameters,
)

WORDS = st.sampled_from(["a", "b", "{x}", "{y}", r"{n:\d+}", "c.{z}"])
PATTERNS = st.lists(WORDS, min_size=1, max_size=3, unique=True).map(lambda w: "/" + "/".join(w))
PATHS = st.lists(st.sampled_from(["a", "b", "1", "c.d", "é", ""]), min_size=1, max_size=3).map(
    lambda w: "/" + "/".join(w)
)


def matcher(pattern: str):
    text = ""
    for part in re.split(r"(\{[^}]*\})", pattern):
        if part.startswith("{"):
            name, _, rule = part[1:-1].partition(":")
            text += f"(?P<{name}>{rule or '[^/]+'})"
        else:
            text += re.escape(part)
    compiled = re.compile(text)

    def match(path: str):
        found = compiled.fullmatch(path)
        return None if found is None else found.groupdict()

    return match


@given(st.lists(PATTERNS, max_size=8), PATHS)
def test_the_first_declared_route_wins(patterns: list[str], path: str) -> None:
    table = RouteTable()
    matchers = [matcher(p) for p in patterns]
    for number, pattern in enumerate(patterns):
        table.add(number, pattern, matchers[number])
    wanted = next((n for n, m in enumerate(matchers) if m(path) is not None), None)
    for _ in range(2):  # the second answer may come from memory
        found = table.find(path)
        assert (None if found is None else found[0]) == wanted
    if found is not None and ":" not in patterns[found[0]] and "." not in patterns[found[0]]:
        expected = matchers[found[0]](path)
        assert found[1] == [expected[name] for name in path_parameters(patterns[found[0]])]


@given(PATTERNS, PATTERNS)
def test_of_two_patterns_at_most_one_goes_before(left: str, right: str) -> None:
    assert not (is_more_specific(left, right) and is_more_specific(right, left))


@pytest.mark.parametrize(
    ("special", "general"),
    [
        ("/cities/nearest", "/cities/{id}"),
        ("/a/b/{x}", "/a/{y}/c"),
        ("/a/{x}", "/a*rest"),
        (r"/a/b", r"/a/{x:[a-z]+}"),
    ],
)
def test_what_is_more_special(special: str, general: str) -> None:
    assert is_more_specific(special, general)
    assert not is_more_specific(general, special)


def test_names_and_templates() -> None:
    assert path_parameters(r"/a/{x}/{n:\d{2}}/*rest") == ("x", "n", "rest")
    assert openapi_path(r"a/{x}/{n:\d{2}}") == "/a/{x}/{n}"
