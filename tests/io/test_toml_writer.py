"""The TOML writer: whatever is written reads back as the same."""

from __future__ import annotations

import math
import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chapiteau.io.toml_writer import write_toml

PLAIN = (
    st.text(max_size=40)
    | st.text("ab'\"\\\n\t ${}#=[]", max_size=40)
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
)
VALUES = st.recursive(
    PLAIN,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)
DOCUMENTS = st.dictionaries(st.text(max_size=12) | st.sampled_from(["a-b", "a.b", ""]), VALUES)


@given(DOCUMENTS)
def test_a_document_reads_back_as_it_was(document: dict[str, Any]) -> None:
    assert tomllib.loads(write_toml(document)) == document


@given(DOCUMENTS, st.lists(st.text(max_size=30)))
def test_comments_change_nothing(document: dict[str, Any], comments: list[str]) -> None:
    paths = {(): comments, **{(key,): comments for key in document}}
    assert tomllib.loads(write_toml(document, paths)) == document


def test_numbers_that_are_none_survive() -> None:
    read = tomllib.loads(write_toml({"a": math.nan, "b": math.inf, "c": -math.inf}))
    assert math.isnan(read["a"])
    assert read["b"] == math.inf
    assert read["c"] == -math.inf


@pytest.mark.parametrize(
    ("value", "line"),
    [
        pytest.param("plain", 'a = "plain"', id="a word in double quotes"),
        pytest.param('say "hi"', "a = 'say \"hi\"'", id="quotes inside single ones"),
        pytest.param(r"\d+", r"a = '\d+'", id="a regular expression stays readable"),
        pytest.param("it's\\", 'a = "it\'s\\\\"', id="escaped where nothing else helps"),
        pytest.param("one\ntwo", "a = '''\none\ntwo'''", id="lines stay lines"),
        pytest.param(2.0, "a = 2.0", id="a float stays one"),
        pytest.param(["x", 1], 'a = ["x", 1]', id="a short list on one line"),
    ],
)
def test_values_are_written_as_people_would(value: Any, line: str) -> None:
    assert write_toml({"a": value}) == line + "\n"


def test_small_tables_stand_on_one_line_and_others_below_their_header() -> None:
    text = write_toml(
        {
            "service": {
                "web": {"env": {"A": "1", "B": "2", "C": "3", "D": "4"}, "x": 1, "y": {"z": 1}}
            }
        }
    )
    head = "[service.web]\nx = 1\ny = { z = 1 }\n"
    assert text == head + '\n[service.web.env]\nA = "1"\nB = "2"\nC = "3"\nD = "4"\n'


def test_what_toml_has_no_form_for_is_refused() -> None:
    with pytest.raises(TypeError, match="NoneType has no form"):
        write_toml({"a": None})
