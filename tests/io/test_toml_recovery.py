"""Reading on behind syntax errors: every line that is wrong in itself, nothing guessed."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chapiteau.io.toml_file import recover_toml


def test_every_wrong_line_is_told_and_the_rest_is_read() -> None:
    made = recover_toml(
        '[a]\nx = \ny = 2\nz = "open\n[b\ninside = 1\n[c]\nok = true\nok = false\nnot toml = 3\n'
    )
    assert [line for line, _ in made.errors] == [2, 4, 5, 9, 10]
    assert made.data == {"a": {"y": 2}, "c": {"ok": True}}
    assert made.lost == [2, 4, 10], "what is given twice is known"
    assert made.headers == [("b",)]


@pytest.mark.parametrize("text", ['x = """\nopen', "x = [\n1,\n", "[a]\n]\nx = 1\n}"])
def test_where_nothing_can_be_known_the_first_error_is_all(text: str) -> None:
    made = recover_toml(text)
    assert made.data is None
    assert len(made.errors) == 1


@given(st.text('ab=[]{}"\n 1.#', max_size=60))
def test_any_text_ends_and_valid_text_is_as_it_is(text: str) -> None:
    made = recover_toml(text)
    assert made.data is not None or made.errors
    try:
        valid = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        assert made.errors
    else:
        assert (made.data, made.errors) == (valid, [])
