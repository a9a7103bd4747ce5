"""OpenMetrics text, written for a scraper."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chapiteau.io.openmetrics import Family, Sample, format_labels, format_openmetrics


def written(value: float) -> str:
    family = Family("bytes_held", "gauge", "", "Held.", [Sample({}, value)])
    return format_openmetrics([family]).splitlines()[2].removeprefix("bytes_held ")


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers(0, 2**53))
def test_no_digit_of_a_value_is_lost(value: float) -> None:
    assert float(written(value)) == value


def test_large_counts_and_moments_are_not_rounded() -> None:
    assert written(123_456_789) == "123456789"
    assert written(1_700_000_001.25) == "1700000001.25"
    assert written(3.0) == "3"


def test_infinity_is_a_value_too() -> None:
    assert float(written(math.inf)) == math.inf
    assert math.isnan(float(written(math.nan)))


def test_a_counter_and_an_info_carry_their_suffix_on_samples_only() -> None:
    text = format_openmetrics(
        [
            Family("asked", "counter", "", "Asked.", [Sample({"by": "x"}, 2)]),
            Family("about", "info", "", "About.", [Sample({"version": "1"}, 1)]),
        ]
    )
    assert text.splitlines() == [
        "# TYPE asked counter",
        "# HELP asked Asked.",
        'asked_total{by="x"} 2',
        "# TYPE about info",
        "# HELP about About.",
        'about_info{version="1"} 1',
        "# EOF",
    ]


def test_a_unit_is_told() -> None:
    text = format_openmetrics([Family("held_bytes", "gauge", "bytes", "Held.", [])])
    assert "# UNIT held_bytes bytes\n" in text


@pytest.mark.parametrize(
    ("value", "shown"), [('a"b', r"a\"b"), ("a\\b", r"a\\b"), ("a\nb", r"a\nb"), ("é", "é")]
)
def test_labels_are_escaped(value: str, shown: str) -> None:
    assert format_labels({"name": value}) == f'{{name="{shown}"}}'
    assert format_labels({}) == ""
