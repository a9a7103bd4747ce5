"""Lines are read back from log files with their time, and from where a reader was."""

from pathlib import Path

import pytest

from chapiteau.run.engine.output.history import (
    kept_lines,
    lines_after,
    open_shelf,
    search,
)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "1.stdout.log"
    path.write_bytes(b"one\ntwo\nthree\n")
    return path


def test_the_last_lines_come_with_the_time_at_which_they_came(log: Path) -> None:
    found = list(kept_lines(log, [(0, 100.0), (4, 200.0)], 2))
    assert [(line.time, line.text, line.end) for line in found] == [
        (200.0, "two", 8),
        (200.0, "three", 14),
    ]


def test_an_older_file_fills_up_what_the_newest_lacks(log: Path) -> None:
    log.with_name("1.stdout.log.1").write_bytes(b"minus one\nzero\n")
    assert [line.text for line in kept_lines(log, [], 4)] == ["zero", "one", "two", "three"]


def test_a_reader_goes_on_where_it_was(log: Path) -> None:
    assert [line.text for line in lines_after(log, [], 99, 4)] == ["two", "three"]
    assert list(lines_after(log, [], 99, 14)) == []


def test_a_reader_goes_on_though_the_file_was_turned_meanwhile(log: Path) -> None:
    log.with_name("1.stdout.log.1").write_bytes(b"x" * 50 + b"\nseen\nunseen\n")
    assert [line.text for line in lines_after(log, [], 99, 56)] == ["unseen", "one", "two", "three"]


def test_a_search_goes_back_as_far_as_the_files_do(log: Path) -> None:
    log.write_bytes(b"".join(b"line %d\n" % n for n in range(10_000)))
    log.with_name("1.stdout.log.1").write_bytes(b"an older line 4\nanother\n")
    shelf = open_shelf(log, [])
    log.unlink()  # turned away: what is open stays
    found = search(shelf, 4, lambda _, text: text.endswith("line 4") or text == "line 42")
    assert [line.text for line in found] == ["an older line 4", "line 4", "line 42"]
    assert found[1].end == len("line 0\n" * 5)
    assert all(file.closed for file, _, _ in shelf.files)


def test_the_newest_that_fit_are_enough(log: Path) -> None:
    found = search(open_shelf(log, []), 2, lambda _, text: "o" in text)
    assert [line.text for line in found] == ["one", "two"]
    assert search(open_shelf(log, []), 0, lambda *_: True) == []


def test_a_line_that_came_before_the_first_mark_has_its_time(log: Path) -> None:
    marks = [(4, 100.0), (8, 200.0)]
    times = {line.text: line.time for line in search(open_shelf(log, marks), 9, lambda *_: True)}
    assert times == {"one": 100.0, "two": 100.0, "three": 200.0}
