"""Lines read from log files: each once, in order, whatever happens to the files."""

from __future__ import annotations

from pathlib import Path

import pytest

from chapiteau.core.clock import ManualClock
from chapiteau.run.plugins.line_files import LogFileReader

LOG = "web/1.stdout.log"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log" / LOG
    path.parent.mkdir(parents=True)
    path.touch()
    return path


def reader(tmp_path: Path, **more: object) -> LogFileReader:
    made = LogFileReader(
        folder=tmp_path / "log",
        note=tmp_path / "note",
        clock=ManualClock(),
        wanted=lambda service: True,
        **more,  # type: ignore[arg-type]
    )
    made.begin()
    return made


def texts(files: LogFileReader) -> list[str]:
    found = [line.text for line in files.read()]
    files.keep()
    return found


def test_what_was_there_before_is_left_and_what_comes_is_read_once(
    tmp_path: Path, log: Path
) -> None:
    log.write_text("old\n")
    files = reader(tmp_path)
    with log.open("a") as out:
        out.write("one\nhalf")
    assert texts(files) == ["one"]
    assert texts(files) == []
    with log.open("a") as out:
        out.write(" of it\n")
    assert texts(reader(tmp_path)) == ["half of it"]  # another one, after a crash
    files = reader(tmp_path)
    with log.open("a") as out:
        out.write("again\n")
    assert [line.text for line in files.read()] == ["again"]
    assert texts(reader(tmp_path)) == ["again"]  # it was not kept


def test_files_that_are_turned_cut_or_deleted(tmp_path: Path, log: Path) -> None:
    lost: list[str] = []
    files = reader(tmp_path, missed=lost.append)
    log.write_text("1\n")
    assert texts(files) == ["1"]
    with log.open("a") as out:
        out.write("2\n3 begun")
    for name in ("first", "second"):
        log.rename(log.with_name(f"{log.name}.1" if name == "second" else f"{log.name}.2"))
        log.write_text(f"{name}\n")
    found = [text for _ in range(4) for text in texts(files)]
    assert found == ["2", "3 begun", "first", "second"]
    log.write_text("")
    log.write_text("x\n")
    assert texts(files) == ["x"]
    log.unlink()
    (log.parent / "other").touch()  # so that the number is not given out again at once
    log.write_text("after\n")
    assert [text for _ in range(2) for text in texts(files)] == ["after"]
    assert lost == (["web"] if lost else [])


def test_a_flood_in_one_file_holds_up_no_other(tmp_path: Path, log: Path) -> None:
    files = reader(tmp_path)
    log.write_text("".join(f"{n}\n" for n in range(5000)))
    quiet = log.parent.parent / "zebra" / "1.stdout.log"
    quiet.parent.mkdir()
    quiet.write_text("hello\n")
    first, second = texts(files), texts(files)
    assert len(first) == 1000
    assert len(second) == 1000
    assert "hello" in first + second
    rest = [text for _ in range(5) for text in texts(files)]
    assert [t for t in first + second + rest if t != "hello"] == [str(n) for n in range(5000)]


def test_lines_that_belong_together_come_together(tmp_path: Path, log: Path) -> None:
    files = reader(tmp_path, multiline=lambda service: r"^\S")
    log.write_text("a\n  1\nb\n  2\n")
    assert texts(files) == ["a\n  1"]
    with log.open("a") as out:
        out.write("  3\n")
    assert texts(files) == []
    assert texts(files) == ["b\n  2\n  3"]
    assert texts(files) == []
