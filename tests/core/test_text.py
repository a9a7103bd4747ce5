"""Rows, small charts and foreign text on a terminal."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chapiteau.core.text import escape_control, format_table, sparkline


def test_text_columns_stand_left_and_number_columns_right() -> None:
    rows = [("web", 4, "12.5%"), ("db", 10, "3%")]
    assert format_table(rows, ("NAME", "N", "CPU")) == (
        "NAME   N    CPU\nweb    4  12.5%\ndb    10     3%"
    )


def test_a_table_may_have_no_head_or_no_rows() -> None:
    assert format_table([("a", "bb")]) == "a  bb"
    assert format_table([], ("A", "B")) == "A  B"
    assert format_table([]) == ""


def test_rows_of_unequal_length_are_a_defect() -> None:
    with pytest.raises(ValueError, match="same number of cells"):
        format_table([("a",), ("b", "c")])


@given(st.lists(st.tuples(st.text("ab1. ", max_size=5), st.text("xy", max_size=5)), min_size=1))
def test_every_row_is_one_line(rows: list[tuple[str, str]]) -> None:
    assert format_table(rows, ("H", "I")).count("\n") == len(rows)


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ([], ""),
        ([1, 2, 3, 4, 5, 6, 7, 8], "▁▂▃▄▅▆▇█"),
        ([5, 5], "▁▁"),
        ([0, math.nan, 1], "▁ █"),
        ([0, math.inf, 1], "▁ █"),
        ([math.nan], " "),
    ],
)
def test_a_sparkline_has_one_character_for_each_value(values: list[float], line: str) -> None:
    assert sparkline(values) == line


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("plain\ttext\n", "plain\ttext\n"),
        ("\x1b[31mred", "␛[31mred"),
        ("a\rb", "a\\x0db"),
        ("\u202egnp.exe", "\\x202egnp.exe"),
        ("\x9b31m", "\\x9b31m"),
    ],
)
def test_control_and_direction_characters_of_foreign_text_are_shown(raw: str, shown: str) -> None:
    assert escape_control(raw) == shown


@given(st.text())
def test_printable_text_can_do_nothing_to_a_terminal(text: str) -> None:
    assert not any(ord(c) < 32 and c not in "\t\n" for c in escape_control(text))
    assert "\x1b" not in escape_control(text)
