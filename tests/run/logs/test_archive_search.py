"""A search goes through every file that is kept, compressed or not, a page at a time."""

from __future__ import annotations

import asyncio
import gzip
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chapiteau.core.clock import ManualClock
from chapiteau.run.config.spec import Logs
from chapiteau.run.logs.archive import (
    LogArchive,
    RotationHistory,
    read_backwards,
    read_forwards,
    thin_marks,
)
from chapiteau.run.logs.archive_search import LogSearch, Position, kept_lines
from chapiteau.run.logs.capture import Capture
from chapiteau.run.logs.grep import prefilter
from chapiteau.run.logs.messages import LogLine, LogQuery, OutputStream, PreviousPage
from chapiteau.run.logs.rotation import Rotation, compress_rotated

WEB = OutputStream("web", 1, "stdout")
ALL = LogQuery()


class Stream:
    """A real capture of a pipe, rotated now and then."""

    def __init__(self, folder: Path, *, keep: int = 4) -> None:
        self.clock = ManualClock(wall=1000.0)
        self.rule = Logs(max_size=1 << 30, keep=keep)
        self.capture = Capture(folder / "1.stdout.log", Rotation(self.rule), self.clock)
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)

    def say(self, *lines: str, every: float = 1.0) -> None:
        for line in lines:
            self.clock.advance(every)
            os.write(self._write, line.encode() + b"\n")
            self.capture.move(self._read)

    def rotate(self) -> None:
        self.capture._rotate(self.clock.now())

    def pack(self, kind: str) -> None:
        compress_rotated(self.capture.path, self.rule.keep, kind)

    def archive(self) -> LogArchive:
        return self.capture.archive()

    def close(self) -> None:
        self.capture.close()
        os.close(self._read)
        os.close(self._write)


@pytest.fixture
def stream(tmp_path: Path) -> Iterator[Stream]:
    stream = Stream(tmp_path)
    yield stream
    stream.close()


def page(
    archive: LogArchive,
    count: int,
    query: LogQuery = ALL,
    before: Position | None = None,
    looks: int = 1 << 30,
) -> tuple[list[str], Position | None]:
    left = iter(range(looks))
    query = replace(query, before={WEB.source: before} if before else {})
    search = LogSearch(query, {WEB: archive})
    lines, goes_on = search.newest(count, lambda: next(left, None) is not None)
    return [line.text for line in lines], goes_on.get(WEB.source)


def fill(stream: Stream) -> list[str]:
    """Five files, two of them packed."""
    said = []
    for turn in range(5):
        lines = [f"turn {turn} line {number}" for number in range(40)]
        stream.say(*lines, every=0.5)
        said += lines
        if turn < 4:
            stream.rotate()
    return said


@pytest.mark.parametrize("kind", ["none", "gzip", "zstd"])
def test_every_file_is_looked_through(stream: Stream, kind: str) -> None:
    said = fill(stream)
    if kind != "none":
        stream.pack(kind)
        suffix = ".gz" if kind == "gzip" else ".zst"
        assert len(list(stream.capture.path.parent.glob(f"*{suffix}"))) == 3
    texts, older = page(stream.archive(), 1000, LogQuery(grep="line 7"))
    assert texts == [line for line in said if line.endswith("line 7")]
    assert older is None


@pytest.mark.parametrize("kind", ["none", "gzip"])
def test_page_after_page_gives_each_line_once(stream: Stream, kind: str) -> None:
    said = fill(stream)
    stream.pack(kind)
    archive, before = stream.archive(), None
    found: list[str] = []
    while True:
        texts, before = page(archive, 7, LogQuery(grep="line"), before)
        found = texts + found
        if before is None:
            break
        assert len(texts) == 7
    assert found == said


def test_a_page_that_ran_out_of_time_goes_on_where_it_was(stream: Stream) -> None:
    said = fill(stream)
    archive, before, pages = stream.archive(), None, 0
    found: list[str] = []
    while True:
        texts, before = page(archive, 1000, LogQuery(grep="line"), before, looks=3)
        found = texts + found
        pages += 1
        if before is None:
            break
    assert found == said
    assert pages > 10


def test_turning_and_packing_between_two_pages_lose_and_double_nothing(stream: Stream) -> None:
    said = fill(stream)
    texts, before = page(stream.archive(), 60, LogQuery(grep="line"))
    stream.rotate()
    stream.say("line of later")
    stream.pack("gzip")
    rest, none = page(stream.archive(), 1000, LogQuery(grep="line"), before)
    # One file more than are kept: what was in the oldest is gone.
    assert rest + texts == said[40:]
    assert none is None


def test_turning_while_it_is_read_changes_nothing(stream: Stream) -> None:
    said = fill(stream)
    archive = stream.archive()
    stream.rotate()
    stream.say("later")
    assert page(archive, 1000)[0] == said[40:]


def test_the_place_outlives_the_brain(stream: Stream, tmp_path: Path) -> None:
    said = fill(stream)
    texts, before = page(stream.archive(), 60, LogQuery(grep="line"))
    path = stream.capture.path
    after = LogArchive(path, RotationHistory(path), path.stat().st_size, ())
    assert page(after, 1000, LogQuery(grep="line"), before)[0] + texts == said


def test_a_brain_killed_while_it_turned_is_found_out(stream: Stream) -> None:
    fill(stream)
    known = stream.capture.history.rotations
    path = stream.capture.path
    Rotation(stream.rule).rotate(path, stream.capture._file, stream.capture.size, b"")
    assert RotationHistory(path).rotations == known + 1


def test_lines_of_older_files_keep_their_time(stream: Stream) -> None:
    fill(stream)
    stream.pack("gzip")
    search = LogSearch(LogQuery(grep="turn 1 line (9|30)"), {WEB: stream.archive()})
    first, second = (line.time for line in search.newest(9, lambda: True)[0])
    assert 10.0 <= second - first <= 11.0
    assert RotationHistory(stream.capture.path).marks(1)


def test_a_window_of_time_is_found_without_reading_what_is_newer(stream: Stream) -> None:
    said = fill(stream)
    stream.pack("gzip")
    began, ended = 1000.0 + 0.5 * 45, 1000.0 + 0.5 * 60
    texts, older = page(stream.archive(), 1000, LogQuery(since=began, until=ended), looks=60)
    assert older is None
    assert set(texts) <= set(said[40:64])
    assert set(texts) >= set(said[48:58])


def test_all_lines_come_from_the_first_on(stream: Stream) -> None:
    said = fill(stream)
    stream.pack("gzip")
    batches = list(LogSearch(ALL, {WEB: stream.archive()}).batches(30))
    assert [line.text for batch in batches for line in batch] == said
    assert {len(batch) for batch in batches} == {30, 20}


def test_streams_are_merged_by_time(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    one, two = Stream(tmp_path), Stream(tmp_path / "b")
    for number in range(20):
        one.say(f"one {number}", every=2.0)
        two.say(f"two {number}", every=2.0)
        if number == 10:
            one.rotate()
    archives = {
        OutputStream("one", 1, "stdout"): one.archive(),
        OutputStream("two", 1, "stdout"): two.archive(),
    }
    lines, goes_on = LogSearch(ALL, archives).newest(10, lambda: True)
    assert sorted(line.service for line in lines) == ["one"] * 5 + ["two"] * 5
    rest, end = LogSearch(LogQuery(before=goes_on), archives).newest(99, lambda: True)
    assert len(rest) == 30
    assert not end
    one.close()
    two.close()


def test_a_broken_packed_file_is_told_and_the_others_are_read(stream: Stream) -> None:
    said = fill(stream)
    stream.pack("gzip")
    broken = stream.capture.path.with_name("1.stdout.log.3.gz")
    broken.write_bytes(broken.read_bytes()[:-20])
    search = LogSearch(LogQuery(grep="line 7"), {WEB: stream.archive()})
    lines, goes_on = search.newest(1000, lambda: True)
    texts = {line.text for line in lines}
    assert texts >= {line for line in said if line.endswith("line 7") and "turn 1" not in line}
    assert not goes_on
    assert len(search.unread) == 1
    assert search.unread[0].startswith("1.stdout.log.3.gz: ")


def test_more_lines_than_are_kept_of_a_compressed_file_come_in_passes(
    stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chapiteau.run.logs.archive_search._COMPRESSED_LINES", 11)
    said = fill(stream)
    stream.pack("gzip")
    assert page(stream.archive(), 1000)[0] == said


def test_a_file_packed_by_another_is_read_too(tmp_path: Path) -> None:
    path = tmp_path / "1.stdout.log"
    path.write_bytes(b"new\n")
    with gzip.open(tmp_path / "1.stdout.log.1.gz", "wb") as packed:
        packed.write(b"old\n")
    archive = LogArchive(path, RotationHistory(path), 4, ())
    assert page(archive, 9)[0] == ["old", "new"]


@given(st.binary(max_size=400).map(lambda raw: raw.replace(b"a", b"\n")), st.integers(1, 50))
@settings(max_examples=60)
def test_pieces_are_whole_lines_and_all_of_them(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, block: int
) -> None:
    path = tmp_path_factory.mktemp("p") / "f"
    path.write_bytes(data)
    with pytest.MonkeyPatch.context() as patch, path.open("rb", buffering=0) as file:
        patch.setattr("chapiteau.run.logs.archive._BLOCK", block)
        ahead, back = list(read_forwards(file)), list(read_backwards(file, len(data)))
    for pieces in (ahead, back[::-1]):
        assert b"".join(piece for _, piece in pieces) == data
        assert all(data[at : at + len(piece)] == piece for at, piece in pieces)
        assert all(piece.endswith(b"\n") for _, piece in pieces[:-1])


@given(st.integers(2, 50), st.integers(2, 400))
def test_thinned_marks_keep_the_first_and_the_last(most: int, count: int) -> None:
    marks = [(n, float(n)) for n in range(count)]
    kept = thin_marks(marks, most)
    assert len(kept) <= max(most, 1)
    assert kept[0] == (0, 0.0)
    assert kept == sorted(kept)


@pytest.mark.parametrize(
    ("pattern", "has"),
    [
        ("error", True),
        ("^a.*b$", True),
        (r"\bfoo\b|x{3}", True),
        (r"(?P<n>a)(?P=n)", True),
        (r"a\Z", False),
        ("(?!x)a", False),
        ("(?<=x)a", False),
        ("a++", False),
        ("(?i)error", True),
        ("(?i)a(?=b)", False),
    ],
)
def test_what_can_be_sieved(pattern: str, has: bool) -> None:
    assert (prefilter(re.compile(pattern)) is not None) == has


@given(
    st.lists(st.text("ab x", max_size=6), max_size=6),
    st.sampled_from(
        ["a", "^a", "b$", "^$", "a.b", r"\ba", "[^a]", r"\sx", "a|^b", "(a)x", "a*b", "(?i)A"]
    ),
)
def test_a_piece_with_a_fitting_line_always_passes_the_sieve(
    lines: list[str], pattern: str
) -> None:
    compiled = re.compile(pattern)
    through = prefilter(compiled)
    assert through is not None
    if any(compiled.search(line) for line in lines):
        assert through.search("\n".join(lines) + "\n")


def test_before_the_first_output_there_is_no_folder_and_nothing_to_read(tmp_path: Path) -> None:
    path = tmp_path / "web" / "1.stdout.log"
    search = LogSearch(ALL, {WEB: LogArchive(path, RotationHistory(path), 0, [])})
    assert search.newest(10, lambda: True) == ([], {})
    assert list(search.batches(10)) == []


@pytest.mark.parametrize("pages", [True, False])
async def test_what_was_not_read_is_told_when_all_else_was(stream: Stream, *, pages: bool) -> None:
    """In line mode older lines stand in a file that this search does not go through."""
    stream.say("one", "two")
    beyond = ["w.log: older lines"]

    async def told(last: int) -> list[str]:
        query = LogQuery(grep="o", last=last, pages=pages)
        archives, gate = {WEB: stream.archive()}, asyncio.Semaphore(1)
        found = kept_lines(query, archives, clock=stream.clock, gate=gate, elsewhere=beyond)
        items = [item async for item in found]
        if items and isinstance(items[-1], PreviousPage):
            return list(items[-1].unread)
        return [item.text for item in items if isinstance(item, LogLine) and item.stream == "note"]

    assert await told(5) == (beyond if pages else ["[chapiteau: not read: w.log: older lines]"])
    assert await told(1) == [], "there is more to look at"


def test_last_lines_come_with_the_time_at_which_they_arrived(tmp_path: Path) -> None:
    path = tmp_path / "1.stdout.log"
    path.write_bytes(b"one\ntwo\nthree\n")
    archive = LogArchive(path, RotationHistory(path), 14, [(0, 100.0), (4, 200.0)])
    lines, _ = LogSearch(ALL, {WEB: archive}).newest(2, lambda: True)
    assert [(line.time, line.text, line.at) for line in lines] == [
        (200.0, "two", 8),
        (200.0, "three", 14),
    ]


@pytest.mark.parametrize(
    ("after", "texts"),
    [
        (4, ["two", "three"]),
        (14, []),
        # The file is shorter than that: it was rotated meanwhile.
        (56, ["unseen", "one", "two", "three"]),
    ],
)
def test_reader_goes_on_where_it_was(tmp_path: Path, after: int, texts: list[str]) -> None:
    path = tmp_path / "1.stdout.log"
    path.write_bytes(b"one\ntwo\nthree\n")
    path.with_name("1.stdout.log.1").write_bytes(b"x" * 50 + b"\nseen\nunseen\n")
    query = LogQuery(after={WEB.source: after})
    search = LogSearch(query, {WEB: LogArchive(path, RotationHistory(path), 14, [])})
    assert [line.text for line in search.newest(99, lambda: True)[0]] == texts


def test_stream_without_a_position_gives_its_last_lines(tmp_path: Path) -> None:
    path = tmp_path / "1.stdout.log"
    path.write_bytes(b"one\ntwo\nthree\n")
    query = LogQuery(after={"other/1/stdout": 7}, last=2)
    search = LogSearch(query, {WEB: LogArchive(path, RotationHistory(path), 14, [])})
    assert [line.text for line in search.newest(99, lambda: True)[0]] == ["two", "three"]
