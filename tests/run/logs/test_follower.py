"""Who follows gets every line with its place, or is told how many it did not get."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chapiteau.run.logs.follower import MAX_PENDING, LineSplitter, LogFollower
from chapiteau.run.logs.messages import LogQuery, OutputStream

WEB = OutputStream("web", 1, "stdout")
FOLLOW = LogQuery(follow=True)


@given(st.lists(st.binary(max_size=8), max_size=8))
def test_however_bytes_are_cut_every_line_knows_its_end(pieces: list[bytes]) -> None:
    splitter, whole = LineSplitter(), b""
    found: list[tuple[bytes, int]] = []
    for piece in pieces:
        whole += piece
        found += splitter.feed(piece, len(whole))
    ends = [i + 1 for i, byte in enumerate(whole) if byte == 0x0A]
    assert [at for _, at in found] == ends
    assert [raw for raw, _ in found] == whole.split(b"\n")[:-1]


@given(st.lists(st.tuples(st.booleans(), st.binary(max_size=8)), max_size=12))
def test_lines_that_are_skipped_cut_none_that_is_not(pieces: list[tuple[bool, bytes]]) -> None:
    splitter, whole, skipped = LineSplitter(), b"", 0
    fed: list[tuple[bytes, int]] = []
    for skip, piece in pieces:
        whole += piece
        if skip:
            skipped += splitter.skip(piece)
        else:
            fed += splitter.feed(piece, len(whole))
    lines = whole.split(b"\n")[:-1]
    assert len(fed) + skipped == len(lines)
    places = {i + 1: n for n, i in enumerate(i for i, b in enumerate(whole) if b == 0x0A)}
    for raw, at in fed:
        assert raw == lines[places[at]]


def test_a_slow_follower_is_told_what_it_missed() -> None:
    following = LogFollower(FOLLOW)
    data = b"a line\n" * 1000
    for number in range(12):
        following.add(WEB, data, 5.0, (number + 1) * len(data))
    assert following.queue.qsize() == MAX_PENDING
    assert following.take_lost() == 12_000 - MAX_PENDING
    assert following.take_lost() == 0
    first = following.queue.get_nowait()
    assert (first.text, first.time, first.at, first.source) == ("a line", 5.0, 7, "web/1/stdout")
    following.add(WEB, b"more\nand more\n", 6.0, 12 * len(data) + 14)
    assert following.take_lost() == 1, "there was room for one"


def test_only_what_matches_counts() -> None:
    following = LogFollower(LogQuery(grep="7$", level="error"))
    for number in range(100):
        level = "ERROR" if number % 2 else "INFO"
        following.add(WEB, f"{level} {number}\r\n".encode(), 1.0, 0)
    found = [following.queue.get_nowait().text for _ in range(following.queue.qsize())]
    assert found == [f"ERROR {number}" for number in range(7, 100, 10)]
