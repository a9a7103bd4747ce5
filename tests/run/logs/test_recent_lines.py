"""Lines are read back from log files with their time, and from where a reader was."""

from pathlib import Path

import pytest

from chapiteau.run.logs.recent_lines import last_lines, lines_after


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "1.stdout.log"
    path.write_bytes(b"one\ntwo\nthree\n")
    return path


def test_the_last_lines_come_with_the_time_at_which_they_came(log: Path) -> None:
    found = list(last_lines(log, [(0, 100.0), (4, 200.0)], 2))
    assert [(line.time, line.text, line.end) for line in found] == [
        (200.0, "two", 8),
        (200.0, "three", 14),
    ]


def test_an_older_file_fills_up_what_the_newest_lacks(log: Path) -> None:
    log.with_name("1.stdout.log.1").write_bytes(b"minus one\nzero\n")
    assert [line.text for line in last_lines(log, [], 4)] == ["zero", "one", "two", "three"]


def test_a_reader_goes_on_where_it_was(log: Path) -> None:
    assert [line.text for line in lines_after(log, [], 99, 4)] == ["two", "three"]
    assert list(lines_after(log, [], 99, 14)) == []


def test_a_reader_goes_on_though_the_file_was_turned_meanwhile(log: Path) -> None:
    log.with_name("1.stdout.log.1").write_bytes(b"x" * 50 + b"\nseen\nunseen\n")
    assert [line.text for line in lines_after(log, [], 99, 56)] == ["unseen", "one", "two", "three"]
