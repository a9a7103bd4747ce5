"""A rate cap keeps whole lines, no more than it may, and begins again after a while."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chapiteau.run.logs.rate_limit import RateLimit

LINE = 10
chunks = st.lists(st.tuples(st.integers(1, 2000), st.floats(0, 2)), max_size=40)


def _text(size: int) -> bytes:
    return b"".join(b"line%05d\n" % number for number in range(size // LINE + 1))[:size]


def _kept(cap: RateLimit, parts: list[tuple[bytes, float]]) -> bytes:
    """What a file would hold: gaps are marked as the capture marks them."""
    found, gap, now = b"", 0, 0.0
    for data, pause in parts:
        now += pause
        if cap.fits(len(data), now):
            found += data
            continue
        kept = cap.choose(data)
        gap += kept.start
        if kept.stop > kept.start:
            found += (b"" if found.endswith(b"\n") or not found else b"\n") + b"|%d|\n" % gap
            found += data[kept]
            gap = 0
        gap += len(data) - kept.stop
    return found + b"\n|%d|\n" % gap


def _cut(whole: bytes, given: list[tuple[int, float]]) -> list[tuple[bytes, float]]:
    parts, at = [], 0
    for size, pause in given:
        parts.append((whole[at : at + size], pause))
        at += size
    return parts


@given(chunks, st.integers(1, 3000))
def test_only_whole_lines_are_kept_and_every_byte_is_counted(
    given: list[tuple[int, float]], rate: int
) -> None:
    whole = _text(sum(size for size, _ in given))
    lines = _kept(RateLimit(rate, 0.0), _cut(whole, given)).split(b"\n")
    kept = counted = 0
    for number, line in enumerate(lines):
        if line.startswith(b"|"):
            counted += int(line.strip(b"|"))
            continue
        amid = number + 1 < len(lines) and lines[number + 1].startswith(b"|")
        assert line == b"" or amid or line + b"\n" in whole
        assert line in whole
        kept += len(line) + (0 if amid else 1)
    # A line that lost its end has no newline; the last, empty "line" has none either.
    assert abs(kept + counted - len(whole)) <= len(lines)


@given(chunks, st.integers(1, 3000))
def test_no_more_is_kept_than_may_be(given: list[tuple[int, float]], rate: int) -> None:
    cap, kept, took = RateLimit(rate, 0.0), 0, 0.0
    for data, pause in _cut(_text(sum(size for size, _ in given)), given):
        took += pause
        if cap.fits(len(data), took):
            kept += len(data)
        else:
            chosen = cap.choose(data)
            kept += chosen.stop - chosen.start
    assert kept <= rate * (1 + took) + 1


def test_after_a_drop_nothing_is_kept_until_a_quarter_second_is_worth_it() -> None:
    cap = RateLimit(100, 0.0)
    data = b"123456789\n" * 12
    assert not cap.fits(len(data), 0.0)
    assert cap.choose(data) == slice(0, 100)
    assert not cap.fits(10, 0.2)
    assert cap.choose(data[:10]) == slice(0, 0), "there would be room for one line"
    assert not cap.fits(30, 0.3)
    assert cap.choose(data[:30]) == slice(0, 30)
    assert cap.fits(10, 0.5), "from now on as they come"


def test_a_line_whose_begin_was_dropped_is_dropped_whole() -> None:
    cap = RateLimit(10, 0.0)
    assert not cap.fits(14, 0.0)
    assert cap.choose(b"123456789\nlost") == slice(0, 10)
    assert not cap.fits(10, 5.0)
    assert cap.choose(b" too\nnext\n") == slice(5, 10)
