"""Strings are written that match, and any text is either read or refused as a pattern."""

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chapiteau.load.inputs.schema_patterns import PatternError, compile_pattern

PATTERNS = [
    pytest.param(r"^[a-z]{3}-\d{4}$", id="classes and counts"),
    pytest.param(r"^(foo|bar)+baz?$", id="alternatives"),
    pytest.param(r"[A-Z]{2,}", id="unanchored"),
    pytest.param(r"^#([A-Fa-f0-9]{6}|[A-Fa-f0-9]{3})$", id="a colour"),
    pytest.param(r"^(a|b)(c|d)\1\2$", id="back references"),
    pytest.param(r"^(?<year>\d{4})-(?:0[1-9]|1[0-2])$".replace("?<", "?P<"), id="named group"),
    pytest.param(r"^[^\s@]+@[^\s@]+\.[a-z]{2,6}$", id="negated class"),
    pytest.param(r"^\+?[1-9]\d{1,14}$", id="a phone number (E.164)"),
    pytest.param(r"^[\w.-]+$", id="escape within a class"),
    pytest.param(r"^\u0041\x42[\]\-^]$", id="code points and escaped brackets"),
    pytest.param(r"^a.c$", id="any character"),
    pytest.param(r"^$", id="nothing"),
    pytest.param(r"^v(0|[1-9]\d*)\.(0|[1-9]\d*)$", id="a version"),
    pytest.param(r"x{2}?y*?z+?", id="lazy quantifiers"),
]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_what_is_written_matches(pattern: str) -> None:
    writer = compile_pattern(pattern)
    for seed in range(200):
        text = writer.write(random.Random(seed))
        assert re.search(pattern, text), text


def test_unicode_properties_write_letters_and_digits() -> None:
    text = compile_pattern(r"^\p{Lu}\p{L}{4}\p{Nd}\P{L}$").write(random.Random(1))
    assert text[0].isupper()
    assert text[:5].isalpha()
    assert text[5].isdigit()
    assert not text[6].isalpha()


@given(st.integers(0, 60), st.integers(0, 10), st.randoms(use_true_random=False))
def test_lengths_are_kept_where_the_pattern_allows_it(
    least: int, more: int, chance: random.Random
) -> None:
    text = compile_pattern("^[a-z]+$").write(chance, max(1, least), max(1, least) + more)
    assert max(1, least) <= len(text) <= max(1, least) + more


@pytest.mark.parametrize(
    "pattern",
    [
        "(",
        ")",
        "a)",
        "[a",
        "[z-a]",
        "*a",
        "(?z)",
        r"\p",
        r"\p{L",
        r"\xZZ",
        "[^\\x20-\\x7e]",
        "\\",
        "[]",
    ],
)
def test_an_unreadable_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(PatternError):
        compile_pattern(pattern)


def test_named_groups_as_ecma_writes_them() -> None:
    text = compile_pattern(r"^(?<year>\d{4})-[(?<]$").write(random.Random(0))
    assert re.search(r"^\d{4}-[(?<]$", text)


def test_a_hostile_pattern_ends_soon() -> None:
    text = compile_pattern("^((((a{999}){999}){999}){999}){999}$").write(random.Random(0))
    assert len(text) <= 10_000
    with pytest.raises(PatternError, match="too deep"):
        compile_pattern("(" * 5000 + ")" * 5000)


@given(st.text(st.sampled_from("ab01^$()[]{}|?*+.\\-,:<>=!pPdwsuxUL"), max_size=30))
def test_any_text_is_read_or_refused(pattern: str) -> None:
    try:
        writer = compile_pattern(pattern)
    except PatternError:
        return
    assert isinstance(writer.write(random.Random(0)), str)
