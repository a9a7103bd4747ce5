"""Durations, sizes and rates: what people write, and what is shown to them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chapiteau.core.units import (
    format_duration,
    format_size,
    parse_byte_rate,
    parse_duration,
    parse_rate,
    parse_size,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90.0),
        ("1m30s", 90.0),
        ("1m 30s", 90.0),
        (" 5min ", 300.0),
        ("5m", 300.0),
        ("1h", 3600.0),
        ("2d", 172800.0),
        ("1w", 604800.0),
        ("250ms", 0.25),
        ("1.5s", 1.5),
        ("7us", 7e-6),
        ("7µs", 7e-6),
        (3, 3.0),
        (0.25, 0.25),
        (0, 0.0),
    ],
)
def test_a_duration_is_read_as_seconds(text: str | float, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds, rel=1e-12)


@pytest.mark.parametrize(
    "text",
    ["", "s", "5", "5 minutes", "1s!", "-5s", "1 0s", "٣s", "1e3s", "5S", None, True, [], "9" * 30],
)
def test_what_is_no_duration_is_refused_with_an_example(text: object) -> None:
    with pytest.raises(ValueError, match="is not a duration; write for example"):
        parse_duration(text)  # type: ignore[arg-type]


@pytest.mark.parametrize("number", [-1, -0.001, math.nan, math.inf])
def test_a_number_of_seconds_must_be_finite_and_not_negative(number: float) -> None:
    with pytest.raises(ValueError, match=r"is negative|no finite number"):
        parse_duration(number)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("64MiB", 64 << 20),
        ("64M", 64 << 20),
        ("10kB", 10_000),
        ("10KB", 10_000),
        ("512K", 512 << 10),
        ("1.5KiB", 1536),
        ("7", 7),
        ("7B", 7),
        (7, 7),
        ("1 GiB", 1 << 30),
        ("2TB", 2 * 10**12),
        ("9007199254740993", 9007199254740993),  # one more than a float can tell
    ],
)
def test_a_size_is_read_as_bytes(text: str | int, count: int) -> None:
    assert parse_size(text) == count


@pytest.mark.parametrize("text", ["", "MiB", "1 XB", "-1", "5k", "5 kiB", "iB", 1.5, True, None])
def test_what_is_no_size_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="is not a size"):
        parse_size(text)  # type: ignore[arg-type]


def test_a_negative_number_of_bytes_is_refused() -> None:
    with pytest.raises(ValueError, match="is negative"):
        parse_size(-1)


@pytest.mark.parametrize(
    ("text", "rate"),
    [("200/s", 200.0), ("30/min", 0.5), ("30 / m", 0.5), ("5/10s", 0.5), ("36/h", 0.01), (7, 7.0)],
)
def test_a_rate_is_read_per_second(text: str | float, rate: float) -> None:
    assert parse_rate(text) == pytest.approx(rate)


@pytest.mark.parametrize("text", ["", "200", "5/0s", "5/00s", "/s", "x/s", "-1/s", None, True])
def test_what_is_no_rate_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="is not a rate"):
        parse_rate(text)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (90, "1m30s"),
        (0.25, "250ms"),
        (0.9996, "1s"),
        (0.99949, "999ms"),
        (0.0009996, "1ms"),
        (0.000007, "7us"),
        (1e-12, "0s"),
        (1.25, "1.25s"),
        (59.999, "1m"),
        (3600, "1h"),
        (90061, "1d1h"),
        (-90, "-1m30s"),
        (math.inf, "∞"),
        (-math.inf, "-∞"),
        (math.nan, "–"),
    ],
)
def test_a_duration_is_shown_in_its_two_largest_units(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0B"),
        (100, "100B"),
        (1023, "1023B"),
        (1024, "1KiB"),
        (1536, "1.5KiB"),
        ((1 << 20) - 1, "1MiB"),
        (1 << 30, "1GiB"),
        (5 << 40, "5TiB"),
        (1 << 60, "1048576TiB"),
        (-2048, "-2KiB"),
        (math.nan, "–"),
        (math.inf, "–"),
    ],
)
def test_a_size_is_shown_in_binary_units(count: float, text: str) -> None:
    assert format_size(count) == text


@given(st.floats(min_value=1e-5, max_value=1e7))
def test_a_shown_duration_reads_back_to_nearly_the_same(seconds: float) -> None:
    # Two units are shown, so at most one in the smaller of them is lost: below 1/24 + rounding.
    assert parse_duration(format_duration(seconds)) == pytest.approx(seconds, rel=0.042)


@given(st.integers(0, 10**7))
def test_whole_seconds_below_an_hour_read_back_exactly(seconds: int) -> None:
    shown = parse_duration(format_duration(seconds))
    assert shown == seconds or seconds >= 3600


@given(st.integers(0, 1 << 50))
def test_a_shown_size_reads_back_to_nearly_the_same(count: int) -> None:
    assert parse_size(format_size(count)) == pytest.approx(count, rel=0.05)


@given(st.text(max_size=12))
def test_any_text_is_either_read_or_refused_with_value_error(text: str) -> None:
    for parse in (parse_duration, parse_size, parse_rate):
        try:
            assert 0 <= parse(text) < math.inf
        except ValueError as exc:
            assert "write for example" in str(exc)  # noqa: PT017 — both ends are right


@pytest.mark.parametrize(
    ("text", "count"), [("20KiB/s", 20 << 10), ("1MB", 10**6), (" 5kB/s ", 5000), (512, 512)]
)
def test_sizes_per_second(text: str | int, count: int) -> None:
    assert parse_byte_rate(text) == count


@pytest.mark.parametrize("text", ["1MB/min", "/s", "x", -1])
def test_what_is_no_size_per_second(text: str) -> None:
    with pytest.raises(ValueError, match='is not a size per second; write for example "1MB/s"'):
        parse_byte_rate(text)
