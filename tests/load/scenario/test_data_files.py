"""Rows of data files, whose turn they are, and values picked out of answers."""

from __future__ import annotations

import contextlib
import csv
import io
import itertools
import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chapiteau.core.errors import UsageError
from chapiteau.load.engine.response import form_fields, match_pattern, pick_path
from chapiteau.load.scenario.data_files import Order, parse_rows, row_indexes

CELL = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=6)


@given(st.lists(st.lists(CELL, min_size=2, max_size=2), min_size=1, max_size=5))
def test_what_a_csv_writer_wrote_is_read(rows: list[list[str]]) -> None:
    out = io.StringIO()
    csv.writer(out).writerows([["a", "b"], *rows])

    assert parse_rows("\ufeff" + out.getvalue(), "x.csv") == [{"a": r[0], "b": r[1]} for r in rows]


def test_each_kind_gives_the_same_rows() -> None:
    rows = [{"n": "1"}, {"n": "2"}]

    assert parse_rows("n\n1\n2\n", "x.csv") == rows
    assert parse_rows("n\n1\n2\n", "x.tsv") == rows
    assert parse_rows(json.dumps(rows), "x.json") == rows
    assert parse_rows('{"n": "1"}\n\n{"n": "2"}\n', "x.ndjson") == rows
    assert parse_rows("\ufeff" + json.dumps(rows), "x.json") == rows
    assert parse_rows('\ufeff{"n": "1"}\r\n{"n": "2"}', "x.jsonl") == rows
    assert parse_rows('{"n": "a\u2028b\x85c"}', "x.ndjson") == [{"n": "a\u2028b\x85c"}]
    assert parse_rows("[1, 2]", "x.json") == [{"value": 1}, {"value": 2}]


@pytest.mark.parametrize(
    ("text", "name", "says"),
    [
        ("a,b\n1\n", "x.csv", "x.csv:2: 1 cells under 2 names"),
        ("a,a\n1,2\n", "x.csv", "stands there twice"),
        ("a,b\n", "x.csv", "no rows"),
        ("{}", "x.json", "not a list"),
        ("[[1]]", "x.json", "item 0"),
        ("{}\n{", "x.ndjson", "x.ndjson:2"),
        ("x", "x.txt", "no kind of data"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(text: str, name: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        parse_rows(text, name)


def taken(count: int, order: Order, workers: int, *, unique: bool, most: int) -> list[list[int]]:
    every = (
        row_indexes(count, order, worker, workers, random.Random(worker), unique=unique)
        for worker in range(workers)
    )
    return [list(itertools.islice(one, most)) for one in every]


@given(st.integers(1, 30), st.integers(1, 5))
def test_once_gives_each_row_to_exactly_one_process(count: int, workers: int) -> None:
    parts = taken(count, "once", workers, unique=False, most=100)

    assert sorted(itertools.chain(*parts)) == list(range(count))


@given(st.integers(1, 30), st.integers(1, 5), st.sampled_from(["sequential", "random"]))
def test_unique_rows_are_never_shared(count: int, workers: int, order: Order) -> None:
    parts = [set(part) for part in taken(count, order, workers, unique=True, most=60)]

    for one, other in itertools.combinations(parts, 2):
        assert not one & other
    if order == "sequential":
        assert set.union(*parts) == set(range(count))


@given(st.integers(1, 30), st.integers(1, 5))
def test_in_sequence_every_process_sees_all_rows_in_order(count: int, workers: int) -> None:
    for part in taken(count, "sequential", workers, unique=False, most=count):
        assert part == [(part[0] + i) % count for i in range(count)]


def test_values_are_picked_by_path() -> None:
    answer = {"items": [{"id": 7}, {"id": 8, "tags": ["x"]}], "next": None}

    assert pick_path(answer, "items[0].id") == 7
    assert pick_path(answer, "items[-1].tags[0]") == "x"
    assert pick_path(answer, "next") is None
    assert pick_path(answer, "items[5].id", "none") == "none"
    with pytest.raises(LookupError, match=r"items has 2 items"):
        pick_path(answer, "items[5].id")
    with pytest.raises(LookupError, match=r"items\[0\] has id"):
        pick_path(answer, "items[0].name")
    with pytest.raises(LookupError, match="is no path"):
        pick_path(answer, "items[[0")


def test_values_are_picked_by_pattern() -> None:
    assert match_pattern('token="ab12"', r'token="(\w+)"') == "ab12"
    assert match_pattern("order 17", r"\d+") == "17"
    assert match_pattern("", "x", "none") == "none"
    with pytest.raises(LookupError, match="matches 'x'"):
        match_pattern("", "x")


def test_a_form_is_read_as_a_browser_would_send_it() -> None:
    page = """<form><input type=hidden name=csrf value="a&amp;b"><input name=q>
      <input type=checkbox name=on checked><input type=checkbox name=off>
      <select name=size><option value=s>S<option value=m selected>M</select>
      <textarea name=note>two &lt;three</textarea><input type=submit name=go></form><form></form>"""

    assert form_fields(page) == {
        "csrf": "a&b", "q": "", "on": "on", "size": "m", "note": "two <three"
    }  # fmt: skip
    assert form_fields(page, 1) == {}
    with pytest.raises(LookupError, match="2 forms"):
        form_fields(page, 2)


@given(st.text(max_size=200))
def test_any_page_and_any_path_is_survived(text: str) -> None:
    for read in (lambda: form_fields(text), lambda: pick_path({"a": [1]}, text)):
        with contextlib.suppress(LookupError):
            read()
